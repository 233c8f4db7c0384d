"""What a decoder can say about a frame: all that passes from an exchange to capture.

    bytes ─ decode ─► outcomes ─► capture

Books and deltas are already `marketdata.messages`; the rest is what capture needs to make one.
Prices and quantities are plain decimal texts with the exchange's own digits.
"""

from typing import Literal

import msgspec

from marketdata.messages import DepthSnapshot, DepthUpdate, Level

Clock = Literal["exchange", "received"]


class BookState(msgspec.Struct, frozen=True, gc=False):
    """A whole book that came on the socket, for the capture unit of `type`.

    `clock` says whose time its `E` is (rule 10).
    """

    type: str
    clock: Clock
    message: DepthSnapshot


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade: ids count up by one a ticker, `side` is the taker's."""

    ticker: str
    id: int
    time_ms: int
    price: str
    quantity: str
    side: Literal["BUY", "SELL"]


class CandleState(msgspec.Struct, frozen=True, gc=False):
    """A candle as of `event_ms`; repeated until one says `closed`."""

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
    closed: bool


class Accepted(msgspec.Struct, frozen=True):
    """The exchange accepted the request that was sent with this id."""

    request_id: int


class Refused(msgspec.Struct, frozen=True):
    """The exchange refused a request; `text` is its own."""

    text: str


class Leaving(msgspec.Struct, frozen=True):
    """The server is about to close this connection: open another one now."""


class Unknown(msgspec.Struct, frozen=True):
    """Well-formed, but nothing that we asked for or know; counted and kept in `rejects`."""

    reason: str


Outcome = DepthUpdate | BookState | Trade | CandleState | Accepted | Refused | Leaving | Unknown


class RestBook(msgspec.Struct, frozen=True, gc=False):
    """A book from the REST interface: right as of `last_id`, best level first."""

    ticker: str
    last_id: int
    bids: list[Level]
    asks: list[Level]
