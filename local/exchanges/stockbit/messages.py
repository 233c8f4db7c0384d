"""What the server says, in the layout of who asked (protocols 2.4, 2.5 and the guide). Pure.

statement ─► flat message ─► as it is, or the same wrapped for the channel layout
"""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from container_worker.exchanges.stockbit.protobuf_wire import decode_fields, encode_field
from local.exchanges.ladder import BID
from local.exchanges.stockbit.shares import SHARES_A_LOT

Level = tuple[int, int]
"""Price and lots."""

_WIB = timezone(timedelta(hours=7))
_REGULAR_BOARD = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=_WIB.utc)
_LOTS_AN_ORDER = 37


def flat_book(ticker: str, side: int, levels: Iterable[Level], time_ms: int) -> bytes:
    """The guide's message: fields 1, 2, 5 (Unix ms) and 9 (ISO 8601 with its offset)."""
    word = "BUY" if side == BID else "SELL"
    numbers = (f"{price};{lots};{price * lots * SHARES_A_LOT}" for price, lots in levels)
    return b"".join(
        (
            encode_field(1, ticker),
            encode_field(2, "|".join([word, *numbers])),
            encode_field(5, time_ms),
            encode_field(9, _iso(time_ms)),
        )
    )


def as_channel(flat: bytes, sequence: int, book_id: int) -> bytes:
    """The same side as `WebsocketWrapMessageChannel{orderbook}`: orders and shares."""
    fields = {field.number: field.value for field in decode_fields(flat)}
    ticker, time_ms = _text(fields[1]), int(fields[5])
    word, *levels = _text(fields[2]).split("|")
    side = "BID" if word == "BUY" else "OFFER"
    body = "|".join(["#O", ticker, side, *map(_channel_level, levels)])
    orderbook = (
        encode_field(1, ticker)
        + encode_field(2, body)
        + encode_field(3, sequence)
        + encode_field(4, book_id)
        + encode_field(5, _iso(time_ms))
        + encode_field(6, "itch")
        + encode_field(8, _REGULAR_BOARD)
        + encode_field(9, _iso(time_ms))
    )
    return encode_field(10, orderbook)


def orders_of(price: int, lots: int) -> int:
    """How many orders make up a level: made up, always the same for the same level."""
    return 1 + lots // (_LOTS_AN_ORDER + price % 11)


def _channel_level(level: str) -> str:
    price, lots = (int(number) for number in level.split(";")[:2])
    return f"{price};{orders_of(price, lots)};{lots * SHARES_A_LOT}"


def pong() -> bytes:
    """The answer to an application ping: wrapper field 2."""
    return encode_field(2, encode_field(1, "pong"))


def error(code: int, text: str) -> bytes:
    """A refusal: wrapper field 7, in both layouts."""
    return encode_field(7, encode_field(1, code) + encode_field(2, text))


def is_wrapped(payload: bytes) -> bool:
    """Whether a message is of the channel layout: everything is in field 10."""
    return payload[:1] == encode_field(10, b"")[:1]


def wrapped(flat: bytes, number: int) -> bytes:
    """A flat message in the wrapper with a sequence number, its fields as they are."""
    return encode_field(10, flat + encode_field(3, number))


def _text(value: int | bytes) -> str:
    return bytes(value).decode() if isinstance(value, bytes) else str(value)


def _iso(time_ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.astimezone(_WIB).isoformat(timespec="microseconds")
