"""What the records of a unit say about how far it was written. Pure.

records of one unit, in the topic's order ─► advanced ─► LastKnown
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from container_worker.capture.id_ranges import Range, Ranges, trimmed, with_range
from marketdata import codec, topics
from marketdata.codec import HeaderFields
from marketdata.errors import DecodeError
from marketdata.messages import Gap, Watermark
from marketdata.times import parse_iso_ms


class LastKnown(NamedTuple):
    """Of one unit: the newest id, the newest event time (Unix ms), and what else it told.

    `candle_start_ms` is the start of the newest candle that was written closed; `id` is that of
    the newest one, closed or not. `cursor` is a chain's, from its watermark. What no record
    told is None, and `event_ms` 0. Of trades and candles `told` are ids that gaps named, and
    `there` those that have come all the same: fetched later, or, of candles, closed. Candles
    are counted in minutes.
    """

    id: int | str | None
    event_ms: int
    candle_start_ms: int | None = None
    cursor: str | None = None
    told: Ranges = ()
    there: Ranges = ()


class Wanted(NamedTuple):
    """A unit, and the topic that it is written to."""

    topic: str
    exchange: str
    ticker: str
    type: str


NOTHING = LastKnown(None, 0)

TOLD_KEPT = 64
"""As many gaps as the archive remembers of a unit; the oldest go first."""
THERE_KEPT = 2_000
"""A quiet ticker's candles are a range each; the oldest go first."""
_BOOKS = frozenset({topics.DIFF_DEPTH, topics.DEPTH_SNAPSHOTS})
_STEPS = {topics.TRADES: 1, topics.CANDLE_UPDATES: topics.MINUTE_MS}
"""Of the types that can be fetched later, how far their ids are apart."""


def advanced(
    known: LastKnown, stream_type: str, headers: HeaderFields, value: bytes
) -> LastKnown:
    """What is known after the next record of the unit, in the order of the topic.

    Backfill and gaps do not move it on, for what they speak of lies behind; only a candle that
    was fetched counts as written.

    Raises:
        DecodeError: the value is not what its type says.
    """
    if stream_type in _BOOKS or codec.is_mark(value):
        return _of_book(known, stream_type, value)
    reader = _READERS.get(stream_type)
    if reader is None:
        raise DecodeError(f"the type {stream_type[:40]!r} is none of ours")
    try:
        after = reader(known, value)
    except ValueError as error:
        raise DecodeError(str(error)) from None
    return _filled(known, after, stream_type) if headers.backfill else after


def is_fetched_later(stream_type: str) -> bool:
    """Whether what is missing of this type may come by the exchange's REST interface."""
    return stream_type in _STEPS


def holes(known: LastKnown, stream_type: str) -> list[Range]:
    """The ids that a gap told, from the first to the last one that has not come."""
    found = (trimmed(known.there, *one) for one in known.told)
    step = _STEPS.get(stream_type, 1)
    return [(one[0] * step, one[1] * step) for one in found if one is not None]


def _filled(known: LastKnown, after: LastKnown, stream_type: str) -> LastKnown:
    """After what was fetched: newer ones may have been written before it."""
    if stream_type == topics.CANDLE_UPDATES:
        starts = [at for at in (known.candle_start_ms, after.candle_start_ms) if at is not None]
        return known._replace(candle_start_ms=max(starts, default=None), there=after.there)
    if stream_type == topics.TRADES and isinstance(after.id, int):
        return known._replace(there=_with(known.there, after.id, THERE_KEPT))
    return known


def _with(ranges: Ranges, id_: int, most: int) -> Ranges:
    return with_range(ranges, id_, id_)[-most:]


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
        told=_union(older.told, newer.told, TOLD_KEPT),
        there=_union(older.there, newer.there, THERE_KEPT),
    )


def _union(older: Ranges, newer: Ranges, most: int) -> Ranges:
    for first, last in older:
        newer = with_range(newer, first, last)
    return newer[-most:]


def _of_book(known: LastKnown, stream_type: str, value: bytes) -> LastKnown:
    """A message of the order book, or a mark of any type: they share the member `e`."""
    message = codec.decode_book(value)
    if isinstance(message, Gap):
        return _of_gap(known, stream_type, message)
    event_ms = max(known.event_ms, message.E)
    if isinstance(message, Watermark):
        return known._replace(event_ms=event_ms, cursor=message.cursor or known.cursor)
    return known._replace(id=message.u, event_ms=event_ms)


def _of_gap(known: LastKnown, stream_type: str, gap: Gap) -> LastKnown:
    step = _STEPS.get(stream_type)
    if step is None or gap.first is None or gap.last is None:
        return known
    told = with_range(known.told, gap.first // step, gap.last // step)
    return known._replace(told=told[-TOLD_KEPT:])


def _of_price(known: LastKnown, value: bytes) -> LastKnown:
    update = codec.decode_price(value)
    id_ = known.id if update.trade_id == "" else update.trade_id
    return known._replace(id=id_, event_ms=max(known.event_ms, parse_iso_ms(update.timestamp)))


def _of_candle(known: LastKnown, value: bytes) -> LastKnown:
    candle = codec.decode_candle(value)
    start_ms = candle.timestamp
    event_ms = max(known.event_ms, start_ms)
    if not candle.closed:
        return known._replace(id=start_ms, event_ms=event_ms)
    there = _with(known.there, start_ms // topics.MINUTE_MS, THERE_KEPT)
    return known._replace(id=start_ms, event_ms=event_ms, candle_start_ms=start_ms, there=there)


def _of_event(known: LastKnown, value: bytes) -> LastKnown:
    event = codec.decode_event(value)
    event_ms = max(known.event_ms, parse_iso_ms(event.timestamp))
    return known._replace(id=event.id, event_ms=event_ms)


_READERS: Mapping[str, Callable[[LastKnown, bytes], LastKnown]] = {
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
