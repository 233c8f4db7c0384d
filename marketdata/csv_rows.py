"""Rows of the CSV objects: exact text from exact text (design.md §6, docs/csv-format.md)."""

from collections.abc import Iterable
from datetime import timedelta

import msgspec

from marketdata.decimals import plain, product
from marketdata.errors import DecodeError
from marketdata.messages import (
    NULL,
    Candle,
    ContractEvent,
    DepthSnapshot,
    DepthUpdate,
    Level,
    PriceUpdate,
)
from marketdata.times import EPOCH, ZONES, iso_ms

_NUMERIC = b"0123456789.-"
_SPECIAL = frozenset(',"\r\n')
_LARGEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999: what ISO 8601 can write with four digits."""


def event_time(time_ms: int, exchange: str) -> str:
    """ISO 8601 with milliseconds and `Z`, or in the exchange's own zone where it has one.

    There, whole seconds have no fraction: `2026-02-04T10:30:15+07:00`.

    Raises:
        DecodeError: a time that no calendar has.
    """
    if not 0 <= time_ms <= _LARGEST_MS:
        raise DecodeError("an event time outside the years 1970 to 9999")
    zone = ZONES.get(exchange)
    if zone is None:
        return iso_ms(time_ms)
    moment = (EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds")


def book_rows(time: str, message: DepthUpdate | DepthSnapshot) -> bytes:
    """One row a level, bids before asks, in the message's order.

    Raises:
        DecodeError: a price or a quantity is not a decimal number.
    """
    bids, asks = message.b, message.a
    try:
        lines = _side_lines(time, bids, ",BUY\n")
        lines += _side_lines(time, asks, ",SELL\n")
        rows = "".join(lines).encode()
    except (ValueError, IndexError):
        return _careful_book_rows(time, bids, asks)
    if not _is_clean(rows, time, len(lines)):
        return _careful_book_rows(time, bids, asks)
    return rows


def _side_lines(time: str, levels: Iterable[Level], end: str) -> list[str]:
    return [
        f"{time},{level[0]},{level[1]},"
        f"{product(level[0], level[1]) if len(level) == 2 else _own_value(level)}{end}"
        for level in levels
    ]


def _own_value(level: Level) -> str:
    _, _, value = level
    return value


def _is_clean(rows: bytes, time: str, count: int) -> bool:
    """Whether only numbers stand between the commas: the texts were `plain` already.

    One pass over the whole instead of a regular expression a number.
    """
    rest = rows.replace(time.encode(), b"").translate(None, _NUMERIC)
    bids = rest.count(b",,,,BUY\n")
    return rest == b",,,,BUY\n" * bids + b",,,,SELL\n" * (count - bids)


def _careful_book_rows(time: str, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
    lines = _side_lines(time, map(_plain_level, bids), ",BUY\n")
    lines += _side_lines(time, map(_plain_level, asks), ",SELL\n")
    return "".join(lines).encode()


def _plain_level(level: Level) -> Level:
    if not 2 <= len(level) <= 3:
        raise DecodeError("a level is not a price and a quantity")
    return tuple(map(plain, level))


def price_row(trade: PriceUpdate) -> bytes:
    """The row of one trade or ticker; an unknown quantity is empty. Raises DecodeError."""
    return line(
        trade.timestamp,
        trade.symbol,
        _number(trade.price),
        "" if trade.quantity == NULL else _number(trade.quantity),
        trade.side,
        str(trade.trade_id),
        trade.source,
    )


def candle_row(time: str, candle: Candle) -> bytes:
    """The row of one candle that starts at `time`. Raises DecodeError."""
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return line(time, candle.pair, candle.interval, *map(_number, numbers))


def event_row(event: ContractEvent) -> bytes:
    """The row of one contract event; `topics` and `data` are JSON without white space."""
    return line(
        str(event.ledger),
        event.timestamp,
        event.id,
        event.contract_id,
        event.transaction_hash,
        event.event_type,
        _compact(event.topics),
        _compact(event.data),
    )


def line(*fields: str) -> bytes:
    """One CSV line with a line feed; a field is quoted only where it must be (RFC 4180)."""
    text = ",".join(fields)
    if text.count(",") != len(fields) - 1 or '"' in text or "\n" in text or "\r" in text:
        text = ",".join(map(_quoted, fields))
    return f"{text}\n".encode()


def _quoted(field: str) -> str:
    if _SPECIAL.isdisjoint(field):
        return field
    return '"' + field.replace('"', '""') + '"'


def _number(raw: bytes | memoryview) -> str:
    return plain(str(raw, "ascii", "replace"))


def _compact(raw: msgspec.Raw) -> str:
    return msgspec.json.format(bytes(raw), indent=-1).decode()
