"""The messages that the server sends, as structs (design.md §7).

The documents' messages are theirs, member by member. What a client has to ask for (`resume`,
`channels`) adds members at the end and never changes one.
"""

from collections.abc import Sequence

import msgspec

from marketdata.client_messages import Filters
from marketdata.messages import Level


class Subscribed(
    msgspec.Struct, frozen=True, tag_field="type", tag="subscribed", omit_defaults=True
):
    """The answer to `subscribe`; comes before the first update.

    `channels` and `rate` are there when the client gave them, `cursors` (the HEAD vector of its
    sources) when it asked to resume, `recovered` when it said from where (rule 21).
    """

    symbols: Sequence[str]
    timestamp: str
    channels: Sequence[str] = ()
    rate: str = ""
    interval: str = ""
    cursors: Sequence[str] = ()
    recovered: bool | None = None


class Unsubscribed(
    msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribed", omit_defaults=True
):
    """The answer to `unsubscribe`: the names asked for, or those that were ended."""

    symbols: Sequence[str]
    timestamp: str
    channels: Sequence[str] = ()


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to `ping`; on `stream` also sent every 30 s."""

    timestamp: str


class Format(msgspec.Struct, frozen=True, tag_field="type", tag="register"):
    """The empty registration that `welcome` shows."""

    filters: Filters = Filters()


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="welcome"):
    """The first message on `ws` (sources/save-to-websocket.md, step 2)."""

    message: str = "Please send registration message to begin receiving events"
    format: Format = Format()


class Registered(
    msgspec.Struct, frozen=True, tag_field="type", tag="registered", omit_defaults=True
):
    """The answer to `register`, with the filters as they were understood."""

    message: str
    filters: Filters
    cursors: Sequence[str] = ()
    recovered: bool | None = None


class ErrorMessage(
    msgspec.Struct, frozen=True, tag_field="type", tag="error", omit_defaults=True
):
    """What could not be done: the document's four members, `detail`, and what belongs to it."""

    message: str
    code: str
    timestamp: str
    detail: str
    symbols: Sequence[str] = ()
    retry_after: int = 0
    dropped: int = 0


class ClientPrice(
    msgspec.Struct, frozen=True, tag_field="type", tag="price_update", omit_defaults=True
):
    """The document's `price_update`, member by member."""

    symbol: str
    price: msgspec.Raw
    volume: msgspec.Raw
    timestamp: str
    source: str
    cursor: str = ""


class BareCandle(msgspec.Struct, frozen=True):
    """The candle of sources/crypto-streams.md: the answer to `subscribe,BTC-USD`."""

    pair: str
    timestamp: int
    open: msgspec.Raw
    high: msgspec.Raw
    low: msgspec.Raw
    close: msgspec.Raw
    volume: msgspec.Raw


class ClientCandle(
    msgspec.Struct, frozen=True, tag_field="type", tag="candle", omit_defaults=True
):
    """A candle for those who asked for the channel; `timestamp` is its start in ms."""

    symbol: str
    timestamp: int
    open: msgspec.Raw
    high: msgspec.Raw
    low: msgspec.Raw
    close: msgspec.Raw
    volume: msgspec.Raw
    source: str
    interval: str
    closed: bool
    cursor: str = ""


class ClientDepth(
    msgspec.Struct, frozen=True, tag_field="type", tag="depth", omit_defaults=True
):
    """The top of a book for those who asked for the channel; levels are texts, best first."""

    symbol: str
    bids: Sequence[Level]
    asks: Sequence[Level]
    timestamp: str
    source: str
    hash: str
    provisional: bool = False
    cursor: str = ""


class Reconnect(msgspec.Struct, frozen=True, tag_field="type", tag="reconnect"):
    """Told to those who resume, before the server ends the connection."""

    reason: str
    deadline: str
    timestamp: str


ServerMessage = (
    Subscribed
    | Unsubscribed
    | Pong
    | Welcome
    | Registered
    | ErrorMessage
    | ClientPrice
    | ClientCandle
    | ClientDepth
    | Reconnect
)
