"""Coinbase Exchange's own messages and answers, by its own field names (protocols 5.2-5.5).

https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
Prices and sizes are texts in messages; times ISO 8601 UTC with six fraction digits. A time in
the year 1 stands for none.
"""

from typing import Annotated, Literal

import msgspec

Level = tuple[str, str]
"""Price and absolute size."""

Side = Literal["buy", "sell"]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Envelope(msgspec.Struct, frozen=True):
    """Any message: enough of it to tell what it is."""

    type: str | None = None


class Snapshot(msgspec.Struct, frozen=True, gc=False, tag="snapshot"):
    """The whole book after a subscription to `level2_batch`; older servers send no time."""

    product_id: str
    bids: list[Level]
    asks: list[Level]
    time: str = ""


class L2Update(msgspec.Struct, frozen=True, gc=False, tag="l2update"):
    """Levels that changed, in order: side, price, new size; size zero removes the level."""

    product_id: str
    changes: list[tuple[Side, str, str]]
    time: str = ""


class Match(msgspec.Struct, frozen=True, gc=False, tag="match"):
    """A trade: `trade_id` counts up by one a product; `side` is the MAKER's."""

    product_id: str
    trade_id: Number
    side: Side
    price: str
    size: str
    time: str = ""


class LastMatch(msgspec.Struct, frozen=True, gc=False, tag="last_match"):
    """The newest trade as of the subscription, with the members of a match."""

    product_id: str
    trade_id: Number


class Ticker(msgspec.Struct, frozen=True, gc=False, tag="ticker"):
    """The last trade and the day around it; `side` is the TAKER's. Any of it may be missing."""

    product_id: str
    price: str | None = None
    volume_24h: str | None = None
    last_size: str | None = None
    trade_id: Number | None = None
    side: Side | Literal[""] | None = None
    time: str | None = None


class Heartbeat(msgspec.Struct, frozen=True, gc=False, tag="heartbeat"):
    """Once a second a product."""

    product_id: str
    last_trade_id: Number | None = None


class SubscribedChannel(msgspec.Struct, frozen=True):
    """One element of `subscriptions`."""

    name: str
    product_ids: list[str] | None = None


class Subscriptions(msgspec.Struct, frozen=True, tag="subscriptions"):
    """The complete state after a request, in no order."""

    channels: list[SubscribedChannel]


class Error(msgspec.Struct, frozen=True, tag="error"):
    """A request that was refused, or why the connection is about to end."""

    message: str = ""
    reason: str = ""


class Product(msgspec.Struct, frozen=True):
    """One element of the answer of `GET /products`."""

    id: str
    base_currency: str
    quote_currency: str


class RestTrade(msgspec.Struct, frozen=True, gc=False):
    """One element of the answer of `GET /products/{id}/trades`; `side` is the MAKER's."""

    trade_id: Number
    side: Side
    price: str
    size: str
    time: str


RestCandle = tuple[int, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw]
"""Start in s, low, high, open, close, volume: JSON numbers, kept raw for their digits."""
