"""One message on its way: the payload, whose it is, and its bytes on the wire."""

from collections.abc import Mapping
from typing import NamedTuple

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88


class Frame(NamedTuple):
    """A payload of a stream; a hole would be told by its ids (0 where it has none).

    `stream` is `<ticker>@<kind>`. `numbers` are what the hub gave it on numbered connections,
    by the connection's number. With `only` it goes to that connection alone, subscribed or not:
    what a subscription is answered with and faults shall hit.
    """

    ticker: str
    stream: str
    payload: bytes
    first_id: int
    last_id: int
    numbers: Mapping[int, int] | None = None
    only: int | None = None


def websocket_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole unmasked WebSocket frame, ready for every subscriber's socket."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65_536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload
