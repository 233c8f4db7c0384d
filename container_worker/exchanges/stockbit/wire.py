"""Stockbit's messages, by the names of protocols 2.4; no official specification exists.

Two layouts carry the same order book: the guide's flat one (sources/stockbit-orderbook-l2.md),
with its fields at the top level, and the observed one, with them inside field 10 of a wrapper.
"""

import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta

import msgspec

from container_worker.exchanges.stockbit.protobuf_wire import (
    LENGTH,
    VARINT,
    Field,
    decode_fields,
)
from marketdata.errors import DecodeError
from marketdata.times import DAY_MS, EPOCH, ZONES

TICKER = re.compile(r"[A-Z0-9]{2,12}(?:-[A-Z0-9]{1,4})?")
"""A code of the Indonesia Stock Exchange: `BBCA`, also with the suffix of a right, `BBCA-W`."""

PING = bytes.fromhex("22060a0470696e67")
"""`WebsocketRequest{ping{message: "ping"}}`: the keep-alive of the channel layout."""

ORDER_BOOK = 10
WRAPPED = {
    1: "running_trade",
    2: "ping",
    6: "order_book_body",
    7: "error",
    8: "running_trade_batch",
    9: "liveprice",
    ORDER_BOOK: "orderbook",
    12: "intraday",
}
"""`WebsocketWrapMessageChannel`, server to client: one of these a message."""

_WIB = ZONES["stockbit"]
_YEAR_2000_MS = 946_684_800_000
_YEAR_2100_MS = 4_102_444_800_000
_UNIX = re.compile(r"[0-9]{9,19}(?:\.[0-9]*)?")
_TIME_OF_DAY = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?")
_SHORTEST_DATE_AND_HOUR = len("20260204T1030")


class OrderBook(msgspec.Struct, frozen=True):
    """`Orderbook`: one side of one stock. 5 and 9 are times, a number or a text.

    Flat messages have 1, 2, 5 and 9 only. What is absent is empty or zero.
    """

    stock_code: str
    body: str
    sequence_number: int = 0
    order_book_id: int = 0
    datetime: int | str = 0
    switch_reset: int = 0
    board: int = 0
    itch_incoming_time: int | str = 0


class Error(msgspec.Struct, frozen=True):
    """Field 7 of the wrapper."""

    code: int
    message: str


class Key(msgspec.Struct, frozen=True):
    """`data` of the answer of `GET /auth/websocket/key`."""

    key: str


class KeyAnswer(msgspec.Struct, frozen=True):
    """`GET /auth/websocket/key`."""

    data: Key
    message: str = ""


class ClaimedData(msgspec.Struct, frozen=True):
    """`data` in the payload of the JWT."""

    uid: int | str


class Claims(msgspec.Struct, frozen=True):
    """The payload of the JWT; `exp` is in Unix seconds."""

    data: ClaimedData
    exp: int | float | None = None


def read_order_book(fields: Iterable[Field]) -> OrderBook:
    """The fields of an order book; of a field that comes twice the last counts.

    A known number with another wire type is an unknown field, and passed over as such. Raises
    DecodeError.
    """
    numbers, texts = _split(fields)
    return OrderBook(
        stock_code=_text(texts, 1),
        body=_text(texts, 2),
        sequence_number=numbers.get(3, 0),
        order_book_id=numbers.get(4, 0),
        datetime=numbers.get(5, 0) or _text(texts, 5),
        switch_reset=numbers.get(7, 0),
        board=numbers.get(8, 0),
        itch_incoming_time=numbers.get(9, 0) or _text(texts, 9),
    )


def read_error(raw: bytes) -> Error:
    """Field 7 of the wrapper. Raises DecodeError."""
    numbers, texts = _split(decode_fields(raw))
    return Error(numbers.get(1, 0), _text(texts, 2))


def _split(fields: Iterable[Field]) -> tuple[dict[int, int], dict[int, bytes]]:
    numbers: dict[int, int] = {}
    texts: dict[int, bytes] = {}
    for number, wire_type, value in fields:
        if wire_type == VARINT and isinstance(value, int):
            numbers[number] = value
        elif wire_type == LENGTH and isinstance(value, bytes):
            texts[number] = value
    return numbers, texts


def _text(texts: dict[int, bytes], number: int) -> str:
    try:
        return texts.get(number, b"").decode()
    except UnicodeDecodeError:
        raise DecodeError(f"field {number} is not UTF-8") from None


def time_ms(stamp: int | str, received_ms: int) -> int | None:
    """Fields 5 and 9 as UTC ms; None for what is no time of this century.

    A number, also as text, is in s, ms, µs or ns by its size. ISO 8601 without an offset is
    Jakarta's, and so is a bare time of day, on the day that brings it nearest to the receipt.
    """
    if isinstance(stamp, int):
        found = _unix_ms(stamp, 0)
    else:
        text = stamp.strip()
        moment = _moment(text, received_ms)
        if moment is None:
            return None
        found = moment
    return found if _YEAR_2000_MS <= found < _YEAR_2100_MS else None


def _unix_ms(whole: int, thousandths: int) -> int:
    if whole < 10**11:
        return whole * 1000 + thousandths
    if whole < 10**14:
        return whole
    return whole // 1_000 if whole < 10**17 else whole // 1_000_000


def _moment(text: str, received_ms: int) -> int | None:
    if _UNIX.fullmatch(text):
        whole, _, fraction = text.partition(".")
        return _unix_ms(int(whole), int(fraction[:3].ljust(3, "0")))
    try:
        if _TIME_OF_DAY.fullmatch(text):
            return _nearest_day(time.fromisoformat(text), received_ms)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) < _SHORTEST_DATE_AND_HOUR:
        return None
    return _milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=_WIB))


def _nearest_day(of_day: time, received_ms: int) -> int:
    received = (EPOCH + timedelta(milliseconds=received_ms)).astimezone(_WIB)
    found = _milliseconds(datetime.combine(received.date(), of_day, tzinfo=_WIB))
    days_off = (found - received_ms + DAY_MS // 2) // DAY_MS
    return found - days_off * DAY_MS


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)
