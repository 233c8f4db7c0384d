"""What `tapedeck.Client` yields: the server's messages with exact numbers, and its own notices.

    server's text ─ understand ─► Update | Reply | None

Numbers are Decimal with the exchange's own digits. A message or member that this version does
not know is passed over, so that new servers may say more.
"""

from decimal import Decimal
from typing import Any

import msgspec

from marketdata.server_messages import (
    ErrorMessage,
    Pong,
    Reconnect,
    Registered,
    Subscribed,
    Unsubscribed,
    Welcome,
)

Levels = tuple[tuple[Decimal, Decimal], ...]


class Price(msgspec.Struct, frozen=True, tag_field="type", tag="price_update"):
    """A price of a subscribed name; `volume` is that of the last 24 h, None where unknown."""

    symbol: str
    price: Decimal
    volume: Decimal | None
    timestamp: str
    source: str
    cursor: str = ""


class Candle(msgspec.Struct, frozen=True, tag_field="type", tag="candle"):
    """A candle of a subscribed name; `timestamp` is its start in ms UTC."""

    symbol: str
    timestamp: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    source: str
    interval: str
    closed: bool
    cursor: str = ""


class Depth(msgspec.Struct, frozen=True, tag_field="type", tag="depth"):
    """The top of a book, best level first: `(price, quantity)`.

    `provisional`: the book lost something and waits to be restated.
    """

    symbol: str
    bids: Levels
    asks: Levels
    timestamp: str
    source: str
    hash: str
    provisional: bool = False
    cursor: str = ""


class Event(msgspec.Struct, frozen=True, tag_field="type", tag="contract_event"):
    """An event of a Stellar contract; `topics` and `data` are as JSON has them."""

    ledger: int
    transaction_hash: str
    contract_id: str
    topics: list[Any]
    data: Any
    id: str = ""
    timestamp: str = ""
    cursor: str = ""


class Lost(msgspec.Struct, frozen=True):
    """Updates are missing here; `dropped` is how many, None where nobody can know.

    `cause` is `reconnect` (the server could not go on where the last connection ended), `slow`
    (this program did not take its updates in time) or `queue` (more events came while
    registering than the server keeps).
    """

    cause: str
    dropped: int | None = None


class Connected(msgspec.Struct, frozen=True):
    """A connection stands and everything asked for is subscribed; `attempt` counts from 1."""

    attempt: int


class Disconnected(msgspec.Struct, frozen=True):
    """A connection ended; the next attempt comes after `pause_s`."""

    reason: str
    pause_s: float


Update = Price | Candle | Depth | Event
Notice = Lost | Connected | Disconnected
Reply = Subscribed | Unsubscribed | Registered | ErrorMessage
ServerText = Update | Reply | Pong | Reconnect | Welcome

_decoder: msgspec.json.Decoder[ServerText] = msgspec.json.Decoder(ServerText)


def understand(text: str | bytes) -> ServerText | None:
    """The message of a text; None for one that this version does not know."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
