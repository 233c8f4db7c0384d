"""Lines of the marks companion: snapshots, gaps, gaps that begin, and late rows.

unit + what a record showed ─► lines with the number of rows before them (docs/csv-format.md)
"""

from typing import NamedTuple

from marketdata.archive_ledger import Ids, Missing, count_gap, how_many
from marketdata.archive_state import Hole, LateRun, UnitState, Wanted, day_count
from marketdata.archive_wanted import want
from marketdata.csv_rows import event_time, line
from marketdata.messages import Cause, Gap
from marketdata.times import day_of, parse_iso_ms

SNAPSHOT_KINDS = {"": "snapshot", "b": "snapshot_bids", "a": "snapshot_asks"}


class MarkLine(NamedTuple):
    """One line, and the day whose companion it belongs to."""

    day: str
    data: bytes


def snapshot_line(
    unit: UnitState, day: str, *, rows: int, side: str, id_: int, time: str
) -> MarkLine:
    """The `rows` rows that come next state the book, or one side of it, as of `id_`."""
    return _line(
        unit, day, SNAPSHOT_KINDS[side], rows=rows, ids=(id_, id_), told=("", time, time)
    )


def late_line(run: LateRun) -> MarkLine:
    """The rows that came late, where they are, and why they were missing."""
    row = "" if run.row is None else str(run.row)
    ids = str(run.first), str(run.last)
    data = line(row, str(run.rows), "backfill", *ids, run.cause, run.since, run.until)
    return MarkLine(run.day, data)


def tell_gap(
    unit: UnitState,
    day: str,
    exchange: str,
    *,
    missing: Missing | None,
    time: str,
    epoch: int,
    ids: Ids,
) -> list[MarkLine]:
    """The lines for what is missing before a record of `time`, which goes into `day`.

    `missing` are the ids that a jump shows, None when there is no jump. Empty when nothing
    is missing. The unit forgets its hole. A gap that began on another day has an `open` line
    there.
    """
    hole = unit.hole
    if hole is None:
        if missing is None:
            return []
        hole = _silent_hole(unit, epoch)
    unit.hole = None
    if missing is None and hole.by_ids and not hole.announced:
        return []
    hole.until = hole.until or time
    return _close(unit, day, exchange, hole=hole, missing=missing or hole.ids, ids=ids)


def hear_gap(unit: UnitState, exchange: str, gap: Gap, *, ids: Ids) -> list[MarkLine]:
    """What a gap record adds: cause and times (rule 7).

    An open one gives an `open` line. A closed one waits for the record after the gap, which
    decides the ids where they can be followed; when that one came already, so did the line.
    Said once more as the first record of a day, whose book cannot be stated yet, it is told
    once more in that day.

    Raises:
        DecodeError: a time that no calendar has.
    """
    since = event_time(gap.from_, exchange)
    until = "" if gap.to is None else event_time(gap.to, exchange)
    if not until and gap.last is None:
        return _begin(unit, exchange, Hole(gap.cause, since), gap)
    if _is_told(unit, gap):
        return _tell_again(unit, exchange, gap, since, until)
    announced = unit.hole is not None and unit.hole.announced
    told = (gap.first, gap.last)
    hole = Hole(gap.cause, since, until, announced=announced, told=gap.last)
    if ids.at_once and until:
        unit.hole = None
        unit.last_time = until
        day = _day(until, exchange)
        return _close(unit, day, exchange, hole=hole, missing=told, ids=ids)
    # What comes first shows no jump: of trades, and of our own numbers in an epoch.
    is_first = unit.last is None and (ids.late or not ids.step)
    hole.by_ids = ids.follow and not is_first and gap.last is not None
    hole.ids = told if is_first or not (ids.follow and ids.step) else (None, None)
    unit.hole = hole
    return []


def _close(
    unit: UnitState,
    day: str,
    exchange: str,
    *,
    hole: Hole,
    missing: Missing,
    ids: Ids,
) -> list[MarkLine]:
    lines = []
    if not hole.announced and hole.since and _day(hole.since, exchange) != day:
        lines.append(_open_line(unit, exchange, hole, missing[0]))
    told = (hole.cause, hole.since, hole.until)
    count_gap(unit, exchange, day, missing=how_many(missing, ids.step), told=told)
    lines.append(_line(unit, day, "gap", ids=missing, told=told))
    first, last = missing
    if ids.late and first is not None and last is not None:
        want(unit, Wanted(first, last, hole.cause, day, ids.series))
    return lines


def _begin(unit: UnitState, exchange: str, hole: Hole, gap: Gap) -> list[MarkLine]:
    if unit.hole is not None and unit.hole.announced:
        return _still_open(unit, exchange, gap)
    told = _open_line(unit, exchange, hole, gap.first)
    hole.announced = True
    unit.hole = hole
    return [told]


def _still_open(unit: UnitState, exchange: str, gap: Gap) -> list[MarkLine]:
    """A day that begins while the gap lasts has its `open` line too."""
    since, day = event_time(gap.from_, exchange), day_of(gap.E, exchange)
    if day == _day(since, exchange) or day in unit.days or day <= unit.forgotten:
        return []
    told = (gap.cause, since, "")
    return [_line(unit, day, "open", ids=(gap.first, None), told=told)]


def _is_told(unit: UnitState, gap: Gap) -> bool:
    if unit.hole is not None:
        return False
    if gap.last is not None and isinstance(unit.last, int):
        return gap.last <= unit.last
    if gap.to is None or not unit.last_time:
        return False
    return gap.to <= parse_iso_ms(unit.last_time)


def _tell_again(
    unit: UnitState, exchange: str, gap: Gap, since: str, until: str
) -> list[MarkLine]:
    day = day_of(gap.E if gap.to is None else gap.to, exchange)
    if day in unit.days or day <= unit.forgotten:
        return []
    return [_line(unit, day, "gap", ids=(gap.first, gap.last), told=(gap.cause, since, until))]


def _silent_hole(unit: UnitState, epoch: int) -> Hole:
    """A jump that no record explains: in a new epoch it is a restart."""
    goes_on = unit.last is not None or bool(unit.candles)
    cause: Cause = "restart" if goes_on and epoch > unit.epoch else "sequence"
    return Hole(cause, unit.last_time)


def _open_line(unit: UnitState, exchange: str, hole: Hole, first: int | None) -> MarkLine:
    day = _day(hole.since, exchange)
    return _line(unit, day, "open", ids=(first, None), told=(hole.cause, hole.since, ""))


def _day(time: str, exchange: str) -> str:
    return day_of(parse_iso_ms(time), exchange)


def _line(
    unit: UnitState,
    day: str,
    kind: str,
    *,
    rows: int = 0,
    ids: Missing,
    told: tuple[str, str, str],
) -> MarkLine:
    count = day_count(unit, day)
    row = str(count.rows) if count.whole else ""
    first, last = ("" if one is None else str(one) for one in ids)
    return MarkLine(day, line(row, str(rows), kind, first, last, *told))
