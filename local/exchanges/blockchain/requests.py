"""The client's messages and the exchange's words for those that it rejects (protocols 3.3)."""

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec

from marketdata.errors import LocalError

GRANULARITIES = {60: "1m", 300: "5m", 900: "15m", 3_600: "1h", 21_600: "6h", 86_400: "1d"}
"""Seconds of a candle, and the name of the same interval in our candles."""

WHOLE = frozenset({"heartbeat", "symbols"})
OF_SYMBOL = frozenset({"l2", "l3", "prices", "ticker", "trades"})
PRIVATE = frozenset({"auth", "balances", "trading"})
_ACTIONS = frozenset({"subscribe", "unsubscribe"})


class Rejected(LocalError):
    """A message that is answered with `rejected`; the text is the exchange's."""

    def __init__(self, text: str, channel: str = "", symbol: str = "") -> None:
        self.channel = channel
        self.symbol = symbol
        super().__init__(text)


class Request(NamedTuple):
    """A sound message: what to begin or end; `granularity` is 0 but for `prices`."""

    subscribes: bool
    channel: str
    symbol: str
    granularity: int

    @property
    def stream(self) -> str:
        """`BTC-USD@l2`, `BTC-USD@prices` for the minute, `BTC-USD@prices@300`, `@heartbeat`."""
        return stream(self.symbol, self.channel, self.granularity)


def stream(symbol: str, channel: str, granularity: int = 0) -> str:
    """The name of what a subscription brings."""
    suffix = f"@{granularity}" if granularity not in (0, 60) else ""
    return f"{symbol}@{channel}{suffix}"


def read(text: str | bytes, listed: Collection[str], streams: Collection[str]) -> Request:
    """What the message asks for, given what is listed and what the client has.

    Raises:
        Rejected: the exchange would not do it.
    """
    if isinstance(text, bytes):
        raise Rejected("Invalid json received")
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise Rejected("Invalid json received") from None
    if not isinstance(message, dict):
        raise Rejected("Invalid json received")
    request = _sound(message, listed, streams)
    has = request.stream in streams
    if request.channel == "prices" and not has and request.subscribes:
        mine = f"{request.symbol}@prices"
        has = any(one == mine or one.startswith(f"{mine}@") for one in streams)
    if has == request.subscribes:
        text = "Already subscribed" if has else "Not subscribed"
        raise Rejected(text, request.channel, request.symbol)
    return request


def _sound(
    message: dict[str, Any], listed: Collection[str], streams: Collection[str]
) -> Request:
    channel, symbol = _text(message, "channel"), _text(message, "symbol")
    action = message.get("action")
    if action is None:
        raise Rejected("Missing action", channel, symbol)
    if not isinstance(action, str) or action not in _ACTIONS:
        raise Rejected("Invalid action", channel, symbol)
    if channel in PRIVATE:
        raise Rejected("Authentication Failed", channel)
    if channel in WHOLE:
        return Request(action == "subscribe", channel, "", 0)
    if channel not in OF_SYMBOL:
        raise Rejected("Invalid channel", channel, symbol)
    if not symbol:
        raise Rejected("missing symbol field", channel)
    if symbol not in listed:
        text = "Invalid symbol" if channel == "ticker" else "invalid symbol identifier"
        raise Rejected(text, channel, symbol)
    granularity = 0
    if channel == "prices":
        if action == "unsubscribe" and "granularity" not in message:
            message = message | {"granularity": _subscribed(symbol, streams)}
        granularity = _granularity(message, symbol)
    return Request(action == "subscribe", channel, symbol, granularity)


def _subscribed(symbol: str, streams: Collection[str]) -> int:
    """The one granularity that the client has of a symbol."""
    having = (one for one in GRANULARITIES if stream(symbol, "prices", one) in streams)
    return next(having, 60)


def _granularity(message: dict[str, Any], symbol: str) -> int:
    """Seconds; 60.0 is as good as 60."""
    value = message.get("granularity")
    if not isinstance(value, int | float) or value not in GRANULARITIES:
        raise Rejected("Invalid granularity", "prices", symbol)
    return int(value)


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""
