"""Recorded payloads: read for what the server must know, and moved on for a next round."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from local.exchanges.fixed_point import is_zero, units8
from local.exchanges.ladder import ASK, BID, Change

DIFF, PARTIAL, TRADE, AGG_TRADE, KLINE, BOOK_TICKER, OTHER = (
    "diff", "partial", "trade", "aggTrade", "kline", "bookTicker", "other",
)  # fmt: skip
_DEPTH = re.compile(r"depth(\d*)(@\d+ms)?")

_Levels = list[tuple[str, str]]


class Diff(msgspec.Struct):
    """`@depth` (names as on the wire)."""

    E: int
    U: int
    u: int
    b: _Levels
    a: _Levels


class Snapshot(msgspec.Struct):
    """A partial book, or a REST snapshot."""

    lastUpdateId: int  # noqa: N815
    bids: _Levels
    asks: _Levels


class TradeWire(msgspec.Struct):
    """`@trade`."""

    E: int
    t: int
    p: str
    q: str
    T: int
    m: bool


class AggTradeWire(msgspec.Struct):
    """`@aggTrade`."""

    E: int
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741
    T: int
    m: bool


class Candle(msgspec.Struct):
    """The `k` of `@kline_*`."""

    t: int
    T: int
    i: str
    f: int
    L: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741
    v: str
    n: int
    q: str
    V: str
    Q: str


class KlineWire(msgspec.Struct):
    """`@kline_*`."""

    E: int
    k: Candle


class BookTickerWire(msgspec.Struct):
    """`@bookTicker`."""

    u: int


class OtherWire(msgspec.Struct):
    """Anything else."""

    E: int = 0


Wire = Diff | Snapshot | TradeWire | AggTradeWire | KlineWire | BookTickerWire | OtherWire
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    DIFF: msgspec.json.Decoder(Diff),
    PARTIAL: msgspec.json.Decoder(Snapshot),
    TRADE: msgspec.json.Decoder(TradeWire),
    AGG_TRADE: msgspec.json.Decoder(AggTradeWire),
    KLINE: msgspec.json.Decoder(KlineWire),
    BOOK_TICKER: msgspec.json.Decoder(BookTickerWire),
    OTHER: msgspec.json.Decoder(OtherWire),
}
_any = msgspec.json.Decoder()


def kind_of(stream: str) -> str:
    """What a stream's payloads are."""
    suffix = stream.partition("@")[2]
    if found := _DEPTH.fullmatch(suffix):
        return PARTIAL if found[1] else DIFF
    if suffix.startswith("kline_"):
        return KLINE
    return suffix if suffix in (TRADE, AGG_TRADE, BOOK_TICKER) else OTHER


def read(kind: str, payload: bytes) -> Wire | None:
    """The payload's facts, None when it is not what its stream says."""
    try:
        wire: Wire = _DECODERS[kind].decode(payload)
    except msgspec.MsgspecError:
        return None
    return wire


def read_snapshot(payload: bytes) -> Snapshot:
    """A REST snapshot.

    Raises:
        ValueError: it is none.
    """
    snapshot: Snapshot = _DECODERS[PARTIAL].decode(payload)
    return snapshot


def changes(bids: _Levels, asks: _Levels) -> list[Change]:
    """Wire levels as the book's changes; a quantity of zero removes.

    Raises:
        ValueError: a price is no decimal of at most eight digits.
    """
    return [
        Change(side, units8(price), None if is_zero(quantity) else f'["{price}","{quantity}"]')
        for side, levels in ((BID, bids), (ASK, asks))
        for price, quantity in levels
    ]


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a round's ids and times are moved on."""

    book: int = 0
    trade: int = 0
    agg: int = 0
    time_ms: int = 0

    def moved(self, kind: str, payload: bytes) -> bytes:
        """The payload with ids and times moved; the same bytes when nothing moves."""
        if not (self.book or self.trade or self.agg or self.time_ms):
            return payload
        message: dict[str, Any] = _any.decode(payload)
        self._move(message, ("E",), self.time_ms)
        match kind:
            case "diff" | "bookTicker":
                self._move(message, ("U", "u"), self.book)
            case "partial":
                self._move(message, ("lastUpdateId",), self.book)
            case "trade":
                self._move(message, ("t",), self.trade)
                self._move(message, ("T",), self.time_ms)
            case "aggTrade":
                self._move(message, ("a",), self.agg)
                self._move(message, ("f", "l"), self.trade)
                self._move(message, ("T",), self.time_ms)
            case "kline":
                self._move(message["k"], ("t", "T"), self.time_ms)
                if message["k"]["f"] >= 0:
                    self._move(message["k"], ("f", "L"), self.trade)
        return msgspec.json.encode(message)

    @staticmethod
    def _move(message: dict[str, Any], names: tuple[str, ...], by: int) -> None:
        for name in names:
            if name in message:
                message[name] += by
