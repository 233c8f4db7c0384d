"""Where the archive's objects are and how their names are read back (design.md §6).

data/orderbook/binance/2024-08-08_BTCUSDT.csv            the main type of the exchange
data/orderbook/binance/2024-08-08_BTCUSDT.ws_depth.csv   any other type
data/orderbook/binance/2024-08-08_BTCUSDT.marks.csv      its snapshots and gaps
data/events/stellar/2024-08-08.csv                       contract events, of no ticker
_state/orderbook/3.json                                  the checkpoint of one partition
"""

import re
from typing import NamedTuple

from marketdata.topics import (
    ARCHIVED,
    CANDLE_UPDATES,
    CANDLES,
    CONTRACT_EVENTS,
    DIFF_DEPTH,
    EVENTS,
    MAIN_TYPE,
    ORDERBOOK,
    PRICES,
    TOPIC_OF_TYPE,
    TRADES,
    Topic,
)

FORMAT = 1
"""The format version of new objects; a day is finished in the one that it began with."""

FOLDED: tuple[Topic, ...] = ARCHIVED
"""The topics whose records `marketdata.archive_fold` makes into rows."""

HEADERS: dict[str, bytes] = {
    ORDERBOOK.name: b"timestamp,price,lots,total_value,side\n",
    PRICES.name: b"timestamp,symbol,price,quantity,side,trade_id,source\n",
    CANDLES.name: b"timestamp,pair,interval,open,high,low,close,volume\n",
    EVENTS.name: b"ledger,timestamp,id,contract_id,transaction_hash,type,topics,data\n",
}
MARKS_HEADER = b"row,rows,kind,first_id,last_id,cause,from,to\n"
DERIVED = ".gz"
ALL_EVENTS = "events"
"""The ticker of the unit that has all events of an exchange; no object's name has it."""

_OUTSIDE = re.compile(r"[^A-Za-z0-9._-]")
_PATH = re.compile(
    r"data/(?P<topic>[a-z]+)/(?P<exchange>[^/]+)/(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:_(?P<rest>[^/]+?))?(?P<marks>\.marks)?\.csv"
)


class ObjectName(NamedTuple):
    """What the name of an object says; `ticker` is the exchange's own, as it was escaped."""

    topic: str
    exchange: str
    day: str
    ticker: str
    type: str
    marks: bool


def main_type(topic: str, exchange: str) -> str:
    """The type whose objects carry no type in their names."""
    if topic == PRICES.name:
        return TRADES
    if topic == CANDLES.name:
        return CANDLE_UPDATES
    if topic == EVENTS.name:
        return CONTRACT_EVENTS
    return MAIN_TYPE.get(exchange, DIFF_DEPTH)


def object_path(
    topic: str, exchange: str, ticker: str, stream_type: str, day: str, *, marks: bool = False
) -> str:
    """The key of the object that holds a unit's day, or of that day's marks."""
    suffix = "" if stream_type == main_type(topic, exchange) else f".{_safe(stream_type)}"
    kind = ".marks.csv" if marks else ".csv"
    of_all = topic == EVENTS.name and ticker == ALL_EVENTS and not suffix
    name = day if of_all else f"{day}_{_safe(ticker)}{suffix}"
    return f"data/{topic}/{_safe(exchange)}/{name}{kind}"


def read_path(path: str) -> ObjectName | None:
    """The inverse of `object_path`; None for what is no CSV object of ours."""
    found = _PATH.fullmatch(path)
    if found is None or found["topic"] not in HEADERS:
        return None
    rest = found["rest"]
    if rest is None:
        if found["topic"] != EVENTS.name:
            return None
        rest = ALL_EVENTS
    ticker, dot, suffix = rest.rpartition(".")
    if not dot or suffix not in TOPIC_OF_TYPE:
        ticker, suffix = rest, main_type(found["topic"], found["exchange"])
    return ObjectName(
        found["topic"],
        found["exchange"],
        found["day"],
        ticker,
        suffix,
        marks=found["marks"] is not None,
    )


def header_of(path: str) -> bytes:
    """The header line with which an object begins."""
    return MARKS_HEADER if path.endswith(".marks.csv") else HEADERS[path.split("/", 2)[1]]


def checkpoint_path(topic: str, partition: int) -> str:
    """The key of a partition's checkpoint (rule 12)."""
    return f"_state/{topic}/{partition}.json"


def derived_path(path: str) -> str:
    """The key of the compressed copy of a closed day's object (rule 17)."""
    return path + DERIVED


def _safe(name: str) -> str:
    return _OUTSIDE.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name
    )
