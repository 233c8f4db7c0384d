"""What the server sends to a client, on every stage (design.md §7).

    answer ─ encode ─► text for the client

Everything of the protocol is to be had from here: codes, the client's messages, the server's.
"""

from collections.abc import Sequence

import msgspec

from marketdata.client_errors import (
    INTERNAL,
    MESSAGES,
    QUEUE_FULL,
    RATE_LIMITED,
    SUBSCRIPTION_LIMIT,
    UNAUTHORIZED,
    UNKNOWN_SYMBOL,
    VALIDATION_ERROR,
    client_error,
)
from marketdata.client_messages import (
    KNOWN_TYPES,
    MAX_NAME_LENGTH,
    MAX_UNSUBSCRIBE_NAMES,
    ClientMessage,
    Filters,
    Ping,
    Register,
    Subscribe,
    Unsubscribe,
    parse,
)
from marketdata.decimals import plain
from marketdata.errors import ClientError, DecodeError
from marketdata.messages import NULL, Candle, DepthTop, Tick
from marketdata.server_messages import (
    BareCandle,
    ClientCandle,
    ClientDepth,
    ClientPrice,
    ErrorMessage,
    Pong,
    Reconnect,
    Registered,
    ServerMessage,
    Subscribed,
    Unsubscribed,
    Welcome,
)
from marketdata.times import iso_ms

__all__ = [
    "INTERNAL",
    "KNOWN_TYPES",
    "MAX_NAME_LENGTH",
    "MAX_UNSUBSCRIBE_NAMES",
    "MESSAGES",
    "QUEUE_FULL",
    "RATE_LIMITED",
    "SUBSCRIPTION_LIMIT",
    "UNAUTHORIZED",
    "UNKNOWN_SYMBOL",
    "VALIDATION_ERROR",
    "BareCandle",
    "ClientCandle",
    "ClientDepth",
    "ClientMessage",
    "ClientPrice",
    "ErrorMessage",
    "Filters",
    "Ping",
    "Pong",
    "Reconnect",
    "Register",
    "Registered",
    "ServerMessage",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "Welcome",
    "client_error",
    "parse",
]


REGISTERED = "Registration successful, processing queued events"

encode = msgspec.json.Encoder().encode
"""Any message of this module as its text."""


def subscribed(names: Sequence[str], now_ms: int) -> bytes:
    """The confirmation of a plain subscription to `names`."""
    return encode(Subscribed(names, iso_ms(now_ms)))


def unsubscribed(names: Sequence[str], now_ms: int) -> bytes:
    """The confirmation that `names` are subscribed no more."""
    return encode(Unsubscribed(names, iso_ms(now_ms)))


def pong(now_ms: int) -> bytes:
    """The answer to a ping."""
    return encode(Pong(iso_ms(now_ms)))


def error(error: ClientError, now_ms: int) -> bytes:
    """An error as the client sees it."""
    return encode(
        ErrorMessage(
            error.message,
            error.code,
            iso_ms(now_ms),
            str(error),
            error.symbols,
            error.retry_after_s,
            error.dropped,
        )
    )


def price_update(tick: Tick, name: str, cursor: str = "") -> bytes:
    """A tick for a subscriber of `name`, its digits untouched but for exponents.

    Raises:
        DecodeError: the tick's price or volume is not a JSON number.
    """
    volume = tick.volume if tick.volume == NULL else _number(tick.volume)
    return encode(
        ClientPrice(name, _number(tick.price), volume, tick.timestamp, tick.source, cursor)
    )


def candle(candle: Candle, name: str, cursor: str = "") -> bytes:
    """A candle for a subscriber of `name`. Raises DecodeError as `price_update`."""
    opened, high, low, close, volume = map(_number, _values(candle))
    return encode(
        ClientCandle(
            name,
            candle.timestamp,
            opened,
            high,
            low,
            close,
            volume,
            candle.source,
            candle.interval,
            candle.closed,
            cursor,
        )
    )


def bare_candle(candle: Candle, name: str) -> bytes:
    """A candle as sources/crypto-streams.md prints it. Raises DecodeError as `price_update`."""
    return encode(BareCandle(name, candle.timestamp, *map(_number, _values(candle))))


def depth(top: DepthTop, name: str, cursor: str = "") -> bytes:
    """The top of a book for a subscriber of `name`."""
    return encode(
        ClientDepth(
            name,
            top.bids,
            top.asks,
            top.timestamp,
            top.source,
            top.hash,
            top.provisional,
            cursor,
        )
    )


def _values(candle: Candle) -> tuple[msgspec.Raw, ...]:
    return candle.open, candle.high, candle.low, candle.close, candle.volume


def _number(raw: msgspec.Raw) -> msgspec.Raw:
    try:
        return msgspec.Raw(plain(str(raw, "ascii")))
    except UnicodeDecodeError:
        raise DecodeError("a number of a price, candle or book is none") from None
