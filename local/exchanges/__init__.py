"""Simulated exchanges and the replay server: real sockets, known truth."""
