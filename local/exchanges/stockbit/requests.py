"""What clients send: the guide's flat frame or a `WebsocketRequest` (protocols 2.3). Pure."""

from typing import Literal, NamedTuple

from container_worker.exchanges.stockbit.protobuf_wire import VARINT, Field, decode_fields
from marketdata.errors import DecodeError

Layout = Literal["flat", "channel"]


class Request(NamedTuple):
    """A client's message; `tickers` is None where it does not say what is wanted."""

    layout: Layout
    user_id: str = ""
    tickers: tuple[str, ...] | None = None
    key: str = ""
    token: str = ""
    is_ping: bool = False


def read_request(raw: bytes) -> Request:
    """A message of either layout: only the flat one has the user id as a number.

    Raises:
        DecodeError: it is none, or the lists of tickers in the flat one contradict each other.
    """
    fields = decode_fields(raw)
    if any(field.number == 1 and field.wire_type == VARINT for field in fields):
        return _flat({field.number: field.value for field in fields})
    return _channel(fields)


def _flat(values: dict[int, int | bytes]) -> Request:
    tickers = tuple(_text(values, 3).split(":"))
    if _text(values, 2) != "".join(tickers):
        raise DecodeError("field 2 is not the tickers of field 3 without a separator")
    if _text(values, 4) != "".join(f"J{ticker}" for ticker in tickers):
        raise DecodeError("field 4 is not the tickers of field 3, each with J before it")
    return Request("flat", str(values[1]), tickers, _text(values, 5), _text(values, 6))


def _channel(fields: list[Field]) -> Request:
    values = {field.number: field.value for field in fields}
    return Request(
        "channel",
        user_id=_text(values, 1),
        tickers=_order_books(values[2]) if 2 in values else None,
        key=_text(values, 3),
        token=_text(values, 5),
        is_ping=4 in values,
    )


def _order_books(channel: int | bytes) -> tuple[str, ...]:
    """`order_book` of a `WebsocketChannel`; the other channels are passed over."""
    fields = decode_fields(bytes(channel) if isinstance(channel, bytes) else b"")
    return tuple(_text({2: field.value}, 2) for field in fields if field.number == 2)


def _text(values: dict[int, int | bytes], number: int) -> str:
    value = values.get(number, b"")
    if isinstance(value, int):
        raise DecodeError(f"field {number} is a number instead of a text")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DecodeError(f"field {number} is not UTF-8") from None
