"""Which losses the wire of an exchange shows: one table, compared with docs/completeness.md.

Loaded by conftest.py. The seeded fault plan wants every loss that the table calls detectable.
The values are the words with which the page's cells begin.
"""

from typing import NamedTuple

IDS = "ids"
"""The gap names what is missing, one by one."""
TIMES = "interval"
"""The gap is an interval."""
COMPARED = "compared"
"""Only when the book is stated anew and says otherwise: an interval since the last time."""
CLOSE = "starts"
"""Only where the end of a candle was not seen: the gap names the candle."""
STATED = "not shown"
"""Nothing shows it, and the next message says all anew."""
ASKED = "none"
"""The exchange is asked for it again."""


class Shown(NamedTuple):
    """How a loss shows: one message that does not come; a connection that ends or is doubted.

    `stream` is the simulator's name for what carries the type.
    """

    stream: str
    message: str
    connection: str


DETECTABLE = {
    ("binance", "ws_diff_depth"): Shown("depth@100ms", IDS, IDS),
    ("binance", "ws_depth"): Shown("depth20@100ms", STATED, TIMES),
    ("binance", "ws_trades"): Shown("trade", IDS, IDS),
    ("binance", "ws_candles"): Shown("kline_1m", CLOSE, CLOSE),
    ("coinbase", "ws_diff_depth"): Shown("level2", COMPARED, TIMES),
    ("coinbase", "ws_trades"): Shown("matches", IDS, IDS),
    ("coinbase", "ws_ticker"): Shown("ticker", STATED, TIMES),
    ("blockchain", "ws_diff_depth"): Shown("l2", TIMES, TIMES),
    ("blockchain", "ws_trades"): Shown("trades", TIMES, TIMES),
    ("blockchain", "ws_candles"): Shown("prices", CLOSE, CLOSE),
    ("blockchain", "ws_ticker"): Shown("ticker", TIMES, TIMES),
    ("stockbit flat", "ws_depth"): Shown("orderbook", STATED, TIMES),
    ("stockbit channel", "ws_depth"): Shown("orderbook", IDS, IDS),
    ("stellar", "contract_events"): Shown("getEvents", ASKED, ASKED),
}


def row_of(unit, wire):
    """The row of a unit; `wire` is the layout of the exchange that has two."""
    exchange = f"stockbit {wire}" if unit.exchange == "stockbit" else unit.exchange
    return DETECTABLE[exchange, unit.type]
