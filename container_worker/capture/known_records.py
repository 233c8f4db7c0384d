"""What the records of a unit say about how far it was written. Pure.

records of one unit, in the topic's order ─► advanced ─► LastKnown
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from marketdata import codec, topics
from marketdata.codec import HeaderFields
from marketdata.errors import DecodeError
from marketdata.messages import Gap, Watermark
from marketdata.times import parse_iso_ms


class LastKnown(NamedTuple):
    """Of one unit: the newest id, the newest event time (Unix ms), and what else it told.

    `candle_start_ms` is the start of the newest candle that was written closed; `id` is that of
    the newest one, closed or not. `cursor` is a chain's, from its watermark. What no record
    told is None, and `event_ms` 0.
    """

    id: int | str | None
    event_ms: int
    candle_start_ms: int | None = None
    cursor: str | None = None


class Wanted(NamedTuple):
    """A unit, and the topic that it is written to."""

    topic: str
    exchange: str
    ticker: str
    type: str


NOTHING = LastKnown(None, 0)


def advanced(
    known: LastKnown, stream_type: str, headers: HeaderFields, value: bytes
) -> LastKnown:
    """What is known after the next record of the unit, in the order of the topic.

    Backfill and gaps change nothing, for what they speak of lies behind; only a candle that was
    fetched counts as written.

    Raises:
        DecodeError: the value is not what its type says.
    """
    if headers.backfill and stream_type != topics.CANDLE_UPDATES:
        return known
    reader = _READERS.get(stream_type)
    if reader is None:
        raise DecodeError(f"the type {stream_type[:40]!r} is none of ours")
    try:
        after = (_of_book if codec.is_mark(value) else reader)(known, value)
        return after if not headers.backfill else _filled(known, after)
    except ValueError as error:
        raise DecodeError(str(error)) from None


def _filled(known: LastKnown, after: LastKnown) -> LastKnown:
    """After a candle that was fetched: newer ones may have been written before it."""
    starts = [at for at in (known.candle_start_ms, after.candle_start_ms) if at is not None]
    return known._replace(candle_start_ms=max(starts, default=None))


def joined(older: LastKnown, newer: LastKnown) -> LastKnown:
    """What is known from two stretches of a topic, of which `newer` comes after `older`."""
    return LastKnown(
        id=older.id if newer.id is None else newer.id,
        event_ms=max(older.event_ms, newer.event_ms),
        candle_start_ms=max(
            (at for at in (older.candle_start_ms, newer.candle_start_ms) if at is not None),
            default=None,
        ),
        cursor=newer.cursor or older.cursor,
    )


def _of_book(known: LastKnown, value: bytes) -> LastKnown:
    """A message of the order book, or a mark of any topic: they share the member `e`."""
    message = codec.decode_book(value)
    if isinstance(message, Gap):
        return known
    event_ms = max(known.event_ms, message.E)
    if isinstance(message, Watermark):
        return known._replace(event_ms=event_ms, cursor=message.cursor or known.cursor)
    return known._replace(id=message.u, event_ms=event_ms)


def _of_price(known: LastKnown, value: bytes) -> LastKnown:
    update = codec.decode_price(value)
    id_ = known.id if update.trade_id == "" else update.trade_id
    return known._replace(id=id_, event_ms=max(known.event_ms, parse_iso_ms(update.timestamp)))


def _of_candle(known: LastKnown, value: bytes) -> LastKnown:
    candle = codec.decode_candle(value)
    start_ms = candle.timestamp
    closed_ms = start_ms if candle.closed else known.candle_start_ms
    return LastKnown(start_ms, max(known.event_ms, start_ms), closed_ms, known.cursor)


def _of_event(known: LastKnown, value: bytes) -> LastKnown:
    event = codec.decode_event(value)
    event_ms = max(known.event_ms, parse_iso_ms(event.timestamp))
    return known._replace(id=event.id, event_ms=event_ms)


_READERS: Mapping[str, Callable[[LastKnown, bytes], LastKnown]] = {
    topics.DIFF_DEPTH: _of_book,
    topics.DEPTH_SNAPSHOTS: _of_book,
    topics.TRADES: _of_price,
    topics.TICKER: _of_price,
    topics.CANDLE_UPDATES: _of_candle,
    topics.CONTRACT_EVENTS: _of_event,
}


def is_whole(unit: Wanted, known: LastKnown) -> bool:
    """Whether nothing further back could add to it."""
    if unit.type == topics.TICKER:
        return known.event_ms > 0
    if unit.type == topics.CANDLE_UPDATES:
        return known.id is not None and known.candle_start_ms is not None
    cursor_is_there = unit.type != topics.CONTRACT_EVENTS or known.cursor is not None
    return known.id is not None and cursor_is_there
