"""Stockbit as its clients see it (protocols 2 and the guide): seeded books or a tape."""

from local.exchanges.registry import Simulator
from local.exchanges.stockbit.credentials import USER_ID, demo_token
from local.exchanges.stockbit.server import SETTINGS, serve

__all__ = ["SIMULATOR", "USER_ID", "demo_token"]

SIMULATOR = Simulator(
    "stockbit", ("BBCA", "TLKM", "BBRI"), serve, replays=True, settings=SETTINGS
)
