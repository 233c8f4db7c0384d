"""A Coinbase Exchange: the public feed and its REST answers (protocols 5)."""

from local.exchanges.coinbase.limits import SETTINGS
from local.exchanges.coinbase.server import serve
from local.exchanges.registry import Simulator

SIMULATOR = Simulator(
    name="coinbase",
    default_tickers=("BTC-USD", "ETH-USD"),
    serve=serve,
    replays=True,
    settings=SETTINGS,
)
