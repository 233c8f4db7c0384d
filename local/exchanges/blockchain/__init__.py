"""Blockchain.com Exchange as its clients see it (protocols 3): a seeded market or a tape."""

from local.exchanges.blockchain.instruments import TABLE
from local.exchanges.blockchain.server import serve
from local.exchanges.blockchain.settings import SETTINGS
from local.exchanges.registry import Simulator

SIMULATOR = Simulator("blockchain", tuple(TABLE), serve, replays=True, settings=SETTINGS)
