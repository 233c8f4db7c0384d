"""One message on its way: the payload, whose it is, and its bytes on the wire."""

from typing import Any, NamedTuple

import msgspec

_TIME_FIELDS = ("E", "T")
_any = msgspec.json.Decoder()
_encode = msgspec.json.encode

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88


class Frame(NamedTuple):
    """A payload of a stream; a hole would be told by its ids (0 where it has none)."""

    ticker: str
    stream: str
    payload: bytes
    first_id: int
    last_id: int


def websocket_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole unmasked WebSocket frame, ready for every subscriber's socket."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65_536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def combined(stream: str, payload: bytes) -> bytes:
    """The wrapper of combined mode (protocols 1.1)."""
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
