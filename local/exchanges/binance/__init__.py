"""Binance spot as its clients see it (protocols 1): a seeded market or a recorded tape."""

from local.exchanges.binance.instruments import TABLE
from local.exchanges.binance.limits import SETTINGS
from local.exchanges.binance.server import serve
from local.exchanges.registry import Simulator

SIMULATOR = Simulator("binance", tuple(TABLE), serve, replays=True, settings=SETTINGS)
