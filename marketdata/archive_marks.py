"""Lines of the marks companion: snapshots, gaps and gaps that begin (docs/csv-format.md).

unit + what a record showed ─► lines with the number of rows before them
"""

from typing import NamedTuple

from marketdata.archive_state import Hole, UnitState, day_count
from marketdata.csv_rows import event_time, line
from marketdata.messages import Cause, Gap
from marketdata.times import day_of, parse_iso_ms

SNAPSHOT_KINDS = {"": "snapshot", "b": "snapshot_bids", "a": "snapshot_asks"}

Missing = tuple[int | None, int | None]


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


def tell_gap(
    unit: UnitState, day: str, exchange: str, *, missing: Missing | None, time: str, epoch: int
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
    lines = []
    if not hole.announced and hole.since and _day(hole.since, exchange) != day:
        lines.append(_open_line(unit, exchange, hole, (missing or hole.ids)[0]))
    ids = missing or hole.ids
    until = hole.until or time
    lines.append(_line(unit, day, "gap", ids=ids, told=(hole.cause, hole.since, until)))
    return lines


def hear_gap(unit: UnitState, exchange: str, gap: Gap, *, sequential: bool) -> list[MarkLine]:
    """What a gap record adds: cause and times (rule 7).

    An open one gives an `open` line. A closed one waits for the record after the gap, which
    decides the ids where they are `sequential`; when that one came already, so did the line.
    Said once more as the first record of a day, whose book cannot be stated yet, it is told
    once more in that day.

    Raises:
        DecodeError: a time that no calendar has.
    """
    since = event_time(gap.from_, exchange)
    until = "" if gap.to is None else event_time(gap.to, exchange)
    if not until and gap.last is None:
        return _begin(unit, exchange, Hole(gap.cause, since), gap.first)
    if _is_told(unit, gap):
        return _tell_again(unit, exchange, gap, since, until)
    announced = unit.hole is not None and unit.hole.announced
    by_ids = sequential and gap.last is not None
    ids = (None, None) if sequential else (gap.first, gap.last)
    unit.hole = Hole(gap.cause, since, until, announced=announced, by_ids=by_ids, ids=ids)
    return []


def _begin(unit: UnitState, exchange: str, hole: Hole, first: int | None) -> list[MarkLine]:
    if unit.hole is not None and unit.hole.announced:
        return []
    told = _open_line(unit, exchange, hole, first)
    hole.announced = True
    unit.hole = hole
    return [told]


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
    cause: Cause = "restart" if unit.last is not None and epoch > unit.epoch else "sequence"
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
