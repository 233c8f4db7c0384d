"""What a recording has, found in one reading before it is played.

recordings ─► records ─► TapeIndex: products, their streams, first ids and times
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from local.exchanges.coinbase.products import product_object
from local.exchanges.coinbase.requests import KINDS
from local.exchanges.fixed_point import UNIT, units8
from local.exchanges.market import MarketInstrument
from local.exchanges.recordings import FRAME, REST, read
from marketdata.errors import InputError
from marketdata.times import parse_iso_ms

KIND_OF_TYPE = {
    "snapshot": KINDS["level2_batch"],
    "l2update": KINDS["level2_batch"],
    "match": KINDS["matches"],
    "last_match": KINDS["matches"],
    "ticker": KINDS["ticker"],
    "heartbeat": KINDS["heartbeat"],
}
"""Recorded types that are played, and the stream that carries each."""

TIMED = ("l2update", "match", "heartbeat")
"""Types whose time is that of now: the others may tell an old trade."""


class Told(msgspec.Struct, gc=False):
    """A recorded message, whatever its type."""

    type: str = ""
    product_id: str = ""
    time: str = ""
    trade_id: int = 0
    last_trade_id: int = 0
    sequence: int = 0
    side: str = ""
    size: str = ""
    price: str = ""
    maker_order_id: str = ""
    taker_order_id: str = ""
    bids: list[tuple[str, str]] = msgspec.field(default_factory=list)
    asks: list[tuple[str, str]] = msgspec.field(default_factory=list)
    changes: list[tuple[str, str, str]] = msgspec.field(default_factory=list)


class Record(NamedTuple):
    """A recorded message of a product; `source` tells connections apart."""

    time_ns: int
    source: tuple[int, int]
    payload: bytes
    told: Told


@dataclass(slots=True)
class ProductIndex:
    """One product of the tape."""

    first_match: int | None = None
    first_sequence: int | None = None
    price_digits: int = 0
    size_digits: int = 0

    def take(self, told: Told) -> None:
        """Note a message."""
        if told.type == "match":
            self.first_match = min(told.trade_id, self.first_match or told.trade_id)
        if told.sequence:
            self.first_sequence = min(told.sequence, self.first_sequence or told.sequence)
        levels = [*told.bids, *told.asks, *(change[1:] for change in told.changes)]
        for price, size in levels:
            units8(price)
            units8(size)
            self.price_digits = max(self.price_digits, len(price.partition(".")[2]))
            self.size_digits = max(self.size_digits, len(size.partition(".")[2]))


@dataclass(slots=True)
class TapeIndex:
    """The tape as a whole; `listed` are the recorded elements of `GET /products`."""

    products: dict[str, ProductIndex] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    first_ms: int | None = None
    last_ms: int = 0

    def product(self, ticker: str) -> dict[str, Any]:
        """The recorded element of `GET /products`, or one made from the name and the digits."""
        if ticker in self.listed:
            return self.listed[ticker]
        base, _, quote = ticker.partition("-")
        own = self.products[ticker]
        tick, step = UNIT // 10**own.price_digits, UNIT // 10**own.size_digits
        return product_object(MarketInstrument(ticker, base, quote, tick, tick, step, step))


def records(paths: Sequence[Path]) -> Iterator[Record]:
    """Every message of a product that can be played, by time of receipt."""
    each = [_of_file(number, path) for number, path in enumerate(paths)]
    return heapq.merge(*each, key=attrgetter("time_ns"))


def _of_file(number: int, path: Path) -> Iterator[Record]:
    for line in read(path):
        if line.kind != FRAME:
            continue
        try:
            told = _told.decode(line.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if told.type in KIND_OF_TYPE and told.product_id:
            yield Record(line.time_ns, (number, line.connection), line.payload, told)


def index_tape(paths: Sequence[Path]) -> TapeIndex:
    """Read the whole tape once.

    Raises:
        InputError: a file is no recording, or nothing in it can be played.
    """
    index = TapeIndex()
    for record in records(paths):
        _take(index, record.told)
    if not index.products:
        raise InputError(f"no frame of Coinbase in {', '.join(str(path) for path in paths)}")
    for path in paths:
        _take_listed(index, path)
    return index


def _take(index: TapeIndex, told: Told) -> None:
    ticker = told.product_id
    try:
        index.products.setdefault(ticker, ProductIndex()).take(told)
        time_ms = parse_iso_ms(told.time) if told.type in TIMED and told.time else 0
    except ValueError as error:
        raise InputError(
            f"a recorded {told.type} of {ticker} cannot be read: {error}"
        ) from error
    index.streams.add(f"{ticker}@{KIND_OF_TYPE[told.type]}")
    if time_ms > 0:
        index.first_ms = min(time_ms, index.first_ms or time_ms)
        index.last_ms = max(time_ms, index.last_ms)


def _take_listed(index: TapeIndex, path: Path) -> None:
    """The list of products, where the recording has the answer of `GET /products`."""
    for line in read(path):
        if line.kind != REST or not line.url.partition("?")[0].endswith("/products"):
            continue
        try:
            rows = msgspec.json.decode(line.payload, type=list[dict[str, Any]])
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        for row in rows:
            if row.get("id") in index.products:
                index.listed[row["id"]] = row


_told = msgspec.json.Decoder(Told)
