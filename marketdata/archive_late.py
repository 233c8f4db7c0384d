"""Rows that come late: trades and candles that fill a gap, or that were before a series began.

id of a late record ─► is it wanted? ─► its row, once; rows one after the other ─► one line

The line of a run of late rows is written when the run ends: at the unit's next record of any
other kind. A watermark is one, so that this takes a minute at most while capture lives.
"""

from typing import NamedTuple

from marketdata.archive_ledger import Ids, count_late
from marketdata.archive_marks import MarkLine, late_line, tell_gap
from marketdata.archive_state import LateRun, UnitState, day_count
from marketdata.archive_unit import Rows, Unit
from marketdata.archive_wanted import fill
from marketdata.times import day_of, parse_iso_ms


class LateRow(NamedTuple):
    """A row and whose it is, before it is known whether anybody wants it."""

    day: str
    time: str
    id: int | str
    data: bytes


def late_row(unit: Unit, row: LateRow, ids: Ids) -> list[Rows]:
    """The row of a late record, at the end of its day's object; none for what is not wanted."""
    if isinstance(row.id, str):
        count_late(unit.state, row.day, None)
        return _append(unit, row, "")
    filled = fill(unit.state, row.id, step=ids.step, series=ids.series)
    if filled is None:
        return []
    count_late(unit.state, row.day, filled)
    return _append(unit, row, filled.cause)


def _append(unit: Unit, row: LateRow, cause: str) -> list[Rows]:
    """A late row, which goes on with the run before it or begins another one."""
    forget_cut_off(unit.state, row.day)
    written = unit.marks(_extend_run(unit.state, row, cause))
    written.append(unit.rows(row.day, row.data, 1))
    return written


def end_run(unit: UnitState) -> list[MarkLine]:
    """The line of the late rows that were written last, when there are any."""
    run, unit.run = unit.run, None
    return [] if run is None else [late_line(run)]


def settle(unit: Unit, ids: Ids, last: int, epoch: int) -> tuple[list[Rows], int]:
    """Tells a gap that is closed by its record, when what fills it comes before anything else.

    Returns the lines and the last id that is told missing by them; `last` where nothing is.
    """
    hole = unit.state.hole
    if hole is None or not hole.until or hole.told is None or hole.told <= last:
        return [], last
    told = hole.told
    missing = (last + 1, told) if ids.follow else None
    day = day_of(parse_iso_ms(hole.until), unit.exchange)
    until = hole.until
    lines = end_run(unit.state)
    lines += tell_gap(
        unit.state, day, unit.exchange, missing=missing, time=until, epoch=epoch, ids=ids
    )
    before = unit.state.last_time
    if not before or parse_iso_ms(before) < parse_iso_ms(until):
        unit.state.last_time = until
    return unit.marks(lines), told


def forget_cut_off(unit: UnitState, day: str) -> None:
    """Retention took the unit's beginning, in the middle of `day`: its rows are not known."""
    if not unit.last_time and unit.hole is not None and unit.hole.cause == "retention":
        unit.forgotten = max(unit.forgotten, day)


def _extend_run(unit: UnitState, late: LateRow, cause: str) -> list[MarkLine]:
    run = unit.run
    if run is not None and _goes_on(run, late, cause):
        run.rows += 1
        run.last, run.until = late.id, late.time
        return []
    told = end_run(unit)
    count = day_count(unit, late.day)
    row = count.rows if count.whole else None
    unit.run = LateRun(late.day, row, 1, late.id, late.id, cause, late.time, late.time)
    return told


def _goes_on(run: LateRun, late: LateRow, cause: str) -> bool:
    if (run.day, run.cause) != (late.day, cause):
        return False
    if isinstance(run.last, int) and isinstance(late.id, int):
        return late.id > run.last
    return True
