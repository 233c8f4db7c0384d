"""What the fold counts while it folds: events, gaps, what is missing, time without cover.

record, gap, late row ─► LedgerDay of the unit ─► `marketdata.completeness`

The counts are in the fold's state, so that they are a function of the topic as the rows are.
"""

from typing import NamedTuple

from marketdata.archive_state import DAYS_KEPT, HISTORY, LedgerDay, UnitState, Wanted
from marketdata.times import DAY_MS, day_bounds_ms, day_of, parse_iso_ms

INTERVALS_KEPT = 16
"""How many gaps back a new one is compared with, so that no time is counted twice."""

Missing = tuple[int | None, int | None]
Interval = tuple[int, int]


class Ids(NamedTuple):
    """What the ids of a unit can show.

    `follow`: a jump is a loss. `step` is the distance between neighbours, 0 where a number
    does not tell how many were lost. `late`: what is missing may still come, within `series`.
    `at_once`: a record that closes a gap is believed without the record after the gap.
    """

    follow: bool
    step: int
    late: bool = False
    series: str = ""
    at_once: bool = False


def begin_counting(unit: UnitState) -> None:
    """Takes over a unit that an older version has folded: its days are not counted whole."""
    if unit.last_time and not unit.began and not unit.uncounted:
        unit.uncounted = max(unit.days, default="")


def count_event(unit: UnitState, day: str, time: str) -> None:
    """A record that changed something: a delta, a snapshot, a trade, a closed candle."""
    counted = unit.ledger.get(day)
    if counted is None:
        counted = _ledger_day(unit, day)
    counted.events += 1
    if not counted.first:
        counted.first = time
        unit.began = unit.began or time
    counted.last = time


def count_gap(
    unit: UnitState, exchange: str, day: str, *, missing: int, told: tuple[str, str, str]
) -> None:
    """A gap that ended in `day`; `missing` is 0 where nobody knows how many.

    `told` are its cause and the times from when and until when, empty if unknown.
    """
    cause, since, until = told
    counted = _ledger_day(unit, day)
    counted.gaps += 1
    counted.causes[cause] = counted.causes.get(cause, 0) + 1
    counted.missing += missing
    counted.unnumbered += not missing
    for piece in uncovered(unit, since, until):
        for part_day, length in split_days(piece, exchange):
            _ledger_day(unit, part_day).uncovered_ms += length
        unit.uncovered = [*unit.uncovered, piece][-INTERVALS_KEPT:]


def count_late(unit: UnitState, day: str, filled: Wanted | None) -> None:
    """A late row of `day`; it is taken off the day whose gap told it missing, if one did."""
    if filled is None:
        _ledger_day(unit, day).backfilled += 1
        return
    if filled.cause == HISTORY:
        _ledger_day(unit, day).history += 1
        return
    counted = unit.ledger.get(filled.day)
    if counted is not None:
        counted.missing = max(0, counted.missing - 1)
        counted.backfilled += 1


def how_many(ids: Missing, step: int) -> int:
    """The number of ids from the first to the last; 0 where that is not known."""
    first, last = ids
    if first is None or last is None or not step:
        return 0
    return max(0, last - first) // step + 1


def uncovered(unit: UnitState, since: str, until: str) -> list[Interval]:
    """The parts of a gap's time that lie in no gap before it, nor before the first event."""
    if not since or not until or not unit.began:
        return []
    end = parse_iso_ms(until)
    # Older days than the state has are of no use, and a time of 1970 must not make any.
    start = max(parse_iso_ms(since), parse_iso_ms(unit.began), end - (DAYS_KEPT - 1) * DAY_MS)
    pieces = [(start, end)] if start < end else []
    for known_from, known_to in unit.uncovered:
        pieces = [
            part
            for from_ms, to_ms in pieces
            for part in ((from_ms, min(to_ms, known_from)), (max(from_ms, known_to), to_ms))
            if part[0] < part[1]
        ]
    return pieces


def split_days(piece: Interval, exchange: str) -> list[tuple[str, int]]:
    """How many milliseconds of an interval lie in which of the exchange's days."""
    found = []
    start, end = piece
    while start < end:
        day = day_of(start, exchange)
        until = min(end, day_bounds_ms(day, exchange)[1])
        found.append((day, until - start))
        start = until
    return found


def _ledger_day(unit: UnitState, day: str) -> LedgerDay:
    counted = unit.ledger.get(day)
    if counted is None:
        counted = LedgerDay(whole=day > max(unit.uncounted, unit.forgotten))
        unit.ledger[day] = counted
        while len(unit.ledger) > DAYS_KEPT:
            del unit.ledger[min(unit.ledger)]
    return counted
