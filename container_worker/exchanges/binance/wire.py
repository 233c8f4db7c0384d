"""Binance's own frames and answers, by its own field names (protocols 1.3-1.5).

https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md
Times are Unix ms, or µs on a connection with `timeUnit=MICROSECOND`.
"""

# ruff: noqa: N815 - the venue's own names
from typing import Generic, TypeVar

import msgspec

Level = tuple[str, str]
"""Price and absolute quantity; quantity zero removes the level."""

T = TypeVar("T")


class Combined(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A frame of a combined connection."""

    stream: str
    data: T


class DiffDepth(msgspec.Struct, frozen=True, gc=False, tag_field="e", tag="depthUpdate"):
    """`<symbol>@depth[@100ms]`: the updates with ids `U` to `u`; `E` is the event time."""

    E: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]


class PartialDepth(msgspec.Struct, frozen=True, gc=False):
    """`<symbol>@depth20[@100ms]`, and the answer of `GET /api/v3/depth`: no symbol, no time."""

    lastUpdateId: int
    bids: list[Level]
    asks: list[Level]


class TradeEvent(msgspec.Struct, frozen=True, gc=False, tag_field="e", tag="trade"):
    """`<symbol>@trade`: `t` counts up by one a symbol; `m`: the buyer was the maker."""

    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class Kline(msgspec.Struct, frozen=True, gc=False):
    """The candle from `t` to `T` (its last ms); `v`: base volume, `x`: closed."""

    t: int
    T: int
    i: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    c: str
    v: str
    x: bool


class KlineEvent(msgspec.Struct, frozen=True, gc=False, tag_field="e", tag="kline"):
    """`<symbol>@kline_<interval>`."""

    E: int
    s: str
    k: Kline


class Envelope(msgspec.Struct, frozen=True):
    """Any object: enough of it to tell what it is."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    e: str | None = None
    id: int | str | None = None
    code: int | None = None
    msg: str | None = None
    error: "ControlError | None" = None


class ControlError(msgspec.Struct, frozen=True):
    """The refusal of a control message, in the form that nests it."""

    code: int | None = None
    msg: str = ""


class Symbol(msgspec.Struct, frozen=True):
    """One element of `symbols` in the answer of `GET /api/v3/exchangeInfo`."""

    symbol: str
    baseAsset: str
    quoteAsset: str
    status: str = ""


class ExchangeInfo(msgspec.Struct, frozen=True):
    """`GET /api/v3/exchangeInfo`."""

    symbols: list[Symbol]


class PastTrade(msgspec.Struct, frozen=True, gc=False):
    """One element of `GET /api/v3/historicalTrades`; the id is the `t` of the stream."""

    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool


class PastCandle(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One row of `GET /api/v3/klines`: the first seven of its twelve values."""

    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    end: int
