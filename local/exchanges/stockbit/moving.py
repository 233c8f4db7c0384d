"""A message with its times and its number moved on, in whatever layout and forms. Pure.

Everything else in it stays byte for byte: what cannot be read as a time is left alone.
"""

import re
from datetime import date, datetime, time, timedelta

from container_worker.exchanges.stockbit.protobuf_wire import (
    LENGTH,
    VARINT,
    Field,
    _encode_varint,
    decode_fields,
    encode_field,
)

ORDER_BOOK = 10
_NUMBER = 3
_TIMES = (5, 9)
_UNIX = re.compile(r"[0-9]{9,19}")
_TIME_OF_DAY = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?")
_ANY_DAY = date(2000, 1, 2)


def moved(payload: bytes, ahead_ms: int, ahead_number: int = 0) -> bytes:
    """A flat or wrapped order book so many milliseconds, and so many numbers, later.

    Raises:
        DecodeError: the payload is no protobuf message.
    """
    fields = decode_fields(payload)
    if any(field.number == ORDER_BOOK and field.wire_type == LENGTH for field in fields):
        return b"".join(
            encode_field(ORDER_BOOK, moved(field.value, ahead_ms, ahead_number))
            if field.number == ORDER_BOOK and isinstance(field.value, bytes)
            else _encoded(field)
            for field in fields
        )
    return b"".join(_encoded(_later(field, ahead_ms, ahead_number)) for field in fields)


def shift_time(payload: bytes, ahead_ms: int) -> bytes:
    """See `moved`."""
    return moved(payload, ahead_ms)


def _encoded(field: Field) -> bytes:
    if field.wire_type in {VARINT, LENGTH} or isinstance(field.value, int):
        return encode_field(field.number, field.value)
    return _encode_varint(field.number << 3 | field.wire_type) + field.value


def _later(field: Field, ahead_ms: int, ahead_number: int) -> Field:
    number, wire_type, value = field
    if number == _NUMBER and isinstance(value, int) and value:
        return Field(number, wire_type, _bounded(value + ahead_number))
    if number not in _TIMES or not value or not ahead_ms:
        return field
    if isinstance(value, int):
        return Field(number, wire_type, _bounded(_later_unix(value, ahead_ms)))
    if wire_type != LENGTH:
        return field
    return Field(number, wire_type, _later_text(value, ahead_ms))


def _bounded(value: int) -> int:
    """What a varint can hold."""
    return min(max(0, value), 2**64 - 1)


def _later_unix(value: int, ahead_ms: int) -> int:
    """By its size in s, ms, µs or ns."""
    if value < 10**11:
        return value + ahead_ms // 1000
    if value < 10**14:
        return value + ahead_ms
    return value + ahead_ms * (1_000 if value < 10**17 else 1_000_000)


def _later_text(raw: bytes, ahead_ms: int) -> bytes:
    try:
        text = raw.decode()
        if _UNIX.fullmatch(text):
            return str(_later_unix(int(text), ahead_ms)).encode()
        if _TIME_OF_DAY.fullmatch(text):
            of_day = datetime.combine(_ANY_DAY, time.fromisoformat(text))
            return _iso(of_day + timedelta(milliseconds=ahead_ms), text)[11:].encode()
        moment = datetime.fromisoformat(text) + timedelta(milliseconds=ahead_ms)
    except (ValueError, OverflowError):
        return raw
    return _iso(moment, text).encode()


def _iso(moment: datetime, like: str) -> str:
    """In the form of `like`: its separator, its `Z`, and microseconds if it has a fraction."""
    separator = " " if like[10:11] == " " else "T"
    written = moment.isoformat(separator, "microseconds" if "." in like else "seconds")
    return written.replace("+00:00", "Z") if like.endswith("Z") else written
