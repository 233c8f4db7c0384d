"""A Stellar RPC node as its clients see it (protocols 4): a seeded or recorded chain."""

from local.exchanges.registry import Simulator
from local.exchanges.stellar.answers import TICKER
from local.exchanges.stellar.server import SETTINGS, serve

SIMULATOR = Simulator("stellar", (TICKER,), serve, replays=True, settings=SETTINGS)
