"""Blockchain.com Exchange's own frames and answers, by its own field names (protocols 3.3-3.5).

https://github.com/blockchain/docs-exchange-api
Numbers are JSON numbers, often with an exponent: they stay raw, so that no digit is touched.
"""

import msgspec


class Envelope(msgspec.Struct, frozen=True):
    """What every frame has; `text` is the reason of a `rejected`."""

    event: str = ""
    channel: str = ""
    seqnum: int | None = None
    symbol: str | None = None
    text: str = ""


class Level(msgspec.Struct, frozen=True, gc=False):
    """An element of `bids` or `asks`; `qty` is absolute, zero removes the level."""

    px: msgspec.Raw
    qty: msgspec.Raw


class Book(msgspec.Struct, frozen=True, gc=False):
    """`l2`, `snapshot` and `updated`; `timestamp` only since 2021."""

    symbol: str
    bids: list[Level]
    asks: list[Level]
    timestamp: str | None = None


class Deal(msgspec.Struct, frozen=True, gc=False):
    """`trades`, `updated`."""

    symbol: str
    side: str
    qty: msgspec.Raw
    price: msgspec.Raw
    trade_id: str
    timestamp: str | None = None


class Price(msgspec.Struct, frozen=True, gc=False):
    """`prices`, `updated`: start (s or ms), open, high, low, close, volume."""

    symbol: str
    price: tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw]


class Ticker(msgspec.Struct, frozen=True, gc=False):
    """`ticker`, `snapshot` and `updated`; an update has the changed members only."""

    symbol: str
    last_trade_price: msgspec.Raw = msgspec.Raw()
    volume_24h: msgspec.Raw = msgspec.Raw()
    timestamp: str | None = None


class Traded(msgspec.Struct, frozen=True):
    """A value of `symbols` in a `snapshot` of that channel; of it only this is used."""

    status: str


class TradedSymbols(msgspec.Struct, frozen=True):
    """`symbols`, `snapshot`: every pair that is listed."""

    symbols: dict[str, Traded]


class TradedSymbol(msgspec.Struct, frozen=True):
    """`symbols`, `updated`: one pair. Another member's change may come without the status."""

    symbol: str
    status: str | None = None


class Symbol(msgspec.Struct, frozen=True):
    """A value of `GET /v3/exchange/symbols`, which is an object by symbol."""

    base_currency: str
    counter_currency: str


class ListedSymbol(msgspec.Struct, frozen=True):
    """An element of the older `GET /mercury-gateway/v1/instruments`, which is a list."""

    symbol: str
    base_currency: str
    counter_currency: str
