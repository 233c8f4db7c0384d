"""The language that every part of Tapedeck shares: messages, topics, books, rows, protocol.

Pure: nothing here opens a socket, reads a clock, an environment variable or a file.
"""
