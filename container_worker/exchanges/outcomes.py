"""What a decoder can say about a frame: all that passes from an exchange to capture.

    bytes ─ decode ─► outcomes ─► capture

Books and deltas are already `marketdata.messages`; the rest is what capture needs to make one.
Prices and quantities are plain decimal texts with the exchange's own digits.
"""

from typing import Literal

import msgspec

from marketdata.messages import DepthSnapshot, DepthUpdate, Level

Clock = Literal["exchange", "received"]
Side = Literal["BUY", "SELL"]


class BookState(msgspec.Struct, frozen=True, gc=False):
    """A whole book, or one side of it, that came on the socket for the unit of `type`.

    `clock` says whose time its `E` is (rule 10). `u` is 0 where the exchange has no id.
    `resets`: the exchange says that it counts anew from here.
    """

    type: str
    clock: Clock
    message: DepthSnapshot
    resets: bool = False


class BookDelta(msgspec.Struct, frozen=True, gc=False):
    """A delta that the exchange does not number: `U` and `u` are 0, capture sets them."""

    clock: Clock
    message: DepthUpdate


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade; `side` is the taker's.

    `id` counts up by one a ticker, or is a text that only tells repeats (`Numbering`).
    """

    ticker: str
    id: int | str
    time_ms: int
    price: str
    quantity: str
    side: Side
    clock: Clock = "exchange"


class LastTrade(msgspec.Struct, frozen=True):
    """The exchange says which trade of a ticker is its newest, without telling it as new."""

    ticker: str
    id: int


class TickerState(msgspec.Struct, frozen=True, gc=False):
    """What a ticker channel says; None where this message does not say it.

    `volume` is the 24 h volume in the base asset.
    """

    ticker: str
    time_ms: int
    clock: Clock
    price: str | None = None
    volume: str | None = None
    trade_id: int | str | None = None
    quantity: str | None = None
    side: Side | None = None


class CandleState(msgspec.Struct, frozen=True, gc=False):
    """A candle as of `event_ms`; repeated until one says `closed`.

    `closed` is None where the exchange never says it: the next candle's begin does.
    """

    ticker: str
    event_ms: int
    start_ms: int
    length_ms: int
    interval: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    closed: bool | None


class ConnectionNumber(msgspec.Struct, frozen=True):
    """The number of this frame on its connection; it comes before the frame's other outcomes.

    The first frame has 0. A hole means that the connection lost something of any unit.
    """

    number: int


class Accepted(msgspec.Struct, frozen=True):
    """The exchange accepted what these names stand for (`Subscription.awaits`)."""

    names: frozenset[str]


class Refused(msgspec.Struct, frozen=True):
    """The exchange refused a request; `text` is its own.

    `tickers` and `type` say what it refused, where it names that and requests add up, so that
    the rest can be had without; with an empty type it is all types of the tickers.
    """

    text: str
    tickers: tuple[str, ...] = ()
    type: str = ""

    def names(self, ticker: str, type_: str) -> bool:
        """Whether it says that this is what was refused."""
        return ticker in self.tickers and self.type in {"", type_}


class Leaving(msgspec.Struct, frozen=True):
    """The server is about to close this connection: open another one now."""


class Heartbeat(msgspec.Struct, frozen=True):
    """The connection lives; says nothing about any ticker."""


class TradingStatus(msgspec.Struct, frozen=True):
    """How the exchange trades a ticker, in its own word; `is_open`: as usual."""

    ticker: str
    word: str
    is_open: bool


class Unknown(msgspec.Struct, frozen=True):
    """Well-formed, but nothing that we asked for or know; counted and kept in `rejects`."""

    reason: str


Outcome = (
    DepthUpdate
    | BookState
    | BookDelta
    | Trade
    | LastTrade
    | TickerState
    | CandleState
    | ConnectionNumber
    | Accepted
    | Refused
    | Leaving
    | Heartbeat
    | TradingStatus
    | Unknown
)


class RestBook(msgspec.Struct, frozen=True, gc=False):
    """A book from the REST interface: right as of `last_id`, best level first."""

    ticker: str
    last_id: int
    bids: list[Level]
    asks: list[Level]
