"""A payload as one connection asked for it: combined streams, microseconds (protocols 1.1)."""

from typing import Any

import msgspec

# `O` and `C` are the times of `@ticker`; no other event has them outside its candle.
_TIME_FIELDS = ("E", "T", "O", "C")
_any = msgspec.json.Decoder()
_encode = msgspec.json.encode


def combined(stream: str, payload: bytes) -> bytes:
    """The wrapper of combined mode."""
    return b'{"stream":"%b","data":%b}' % (stream.encode(), payload)


def in_microseconds(payload: bytes) -> bytes:
    """The payload with every time field in microseconds (`timeUnit=MICROSECOND`)."""
    message: dict[str, Any] = _any.decode(payload)
    for field in _TIME_FIELDS:
        if field in message:
            message[field] *= 1000
    candle = message.get("k")
    if candle:
        candle["t"] *= 1000
        candle["T"] = candle["T"] * 1000 + 999
    return _encode(message)


def ahead(payload: bytes, by_ms: int) -> bytes:
    """The payload with the exchange's times that much later; candles keep their minute."""
    message: dict[str, Any] = _any.decode(payload)
    for field in _TIME_FIELDS:
        if field in message:
            message[field] += by_ms
    return _encode(message)
