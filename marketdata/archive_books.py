"""How the records of `orderbook` become rows (rules 7, 10, 12).

delta or snapshot ─► what is missing before it ─► one row a level

A book of two sides comes whole or side by side. Side by side, an announced gap stays open
until the record that closes it: one side stated anew is not yet the book.
"""

from marketdata.archive_following import (
    NO_ROWS,
    advance,
    gap_lines,
    note_restart,
    read_mark,
)
from marketdata.archive_ledger import Ids, Missing
from marketdata.archive_marks import snapshot_line
from marketdata.archive_state import Hole, UnitState
from marketdata.archive_unit import OWN_IDS, Rows, Unit
from marketdata.book import Step, Verdict, follow, follow_snapshot
from marketdata.codec import decode_book
from marketdata.csv_rows import book_rows, event_time
from marketdata.messages import DepthSnapshot, DepthUpdate, Gap, Mark
from marketdata.times import parse_iso_ms
from marketdata.topics import DEPTH_SNAPSHOTS


def read_book(unit: Unit, epoch: int, value: bytes, *, ours: bool, late: bool) -> list[Rows]:
    """A record of `orderbook`. `ours`: capture numbers the updates. Raises DecodeError."""
    del late
    message = decode_book(value)
    ids = OWN_IDS if ours else unit.ids
    if not isinstance(message, DepthUpdate | DepthSnapshot):
        return _read_book_mark(unit, epoch, message, ids, ours=ours)
    state = unit.state
    if ours and epoch > state.epoch and state.last is not None:
        _begin_again(state)
    if isinstance(message, DepthSnapshot):
        return _read_snapshot(unit, epoch, message, ids)
    last = state.last if isinstance(state.last, int) else None
    step = follow(last, message.U, message.u)
    if step.verdict is Verdict.DROP:
        return NO_ROWS
    missing = (None, message.U - 1) if step.verdict is Verdict.START else step.missing
    return _write(unit, epoch, message, missing, ids)


def _read_book_mark(unit: Unit, epoch: int, mark: Mark, ids: Ids, *, ours: bool) -> list[Rows]:
    state = unit.state
    if isinstance(mark, Gap):
        if ours and epoch > state.epoch:
            state.last = None
        if state.snapshot and state.snapshot[2] and state.hole and state.hole.announced:
            ids = ids._replace(at_once=True)
    written = read_mark(unit, mark, ids)
    if isinstance(mark, Gap) and state.hole and state.hole.announced and mark.to is None:
        # The writer of this record is the one who closes it.
        state.epoch = max(state.epoch, epoch)
    return written


def _begin_again(state: UnitState) -> None:
    """Numbers count from their beginning: what was between cannot be seen by them."""
    state.hole = state.hole or Hole("restart", state.last_time)
    state.hole.by_ids = False
    state.last = None


def _read_snapshot(unit: Unit, epoch: int, message: DepthSnapshot, ids: Ids) -> list[Rows]:
    state = unit.state
    if unit.type == DEPTH_SNAPSHOTS and ids.follow and _is_renumbered(state, epoch, message):
        _begin_again(state)
    last = state.last if isinstance(state.last, int) else None
    step = follow_snapshot(last, message.u)
    same = (message.u, message.E, message.side or "")
    if step.verdict is Verdict.DROP or (last == message.u and state.snapshot == same):
        return NO_ROWS
    if not ids.follow:
        note_restart(state, epoch, since=state.last_time)
    return _write(unit, epoch, message, _snapshot_missing(unit, step, last, ids), ids)


def _is_renumbered(state: UnitState, epoch: int, message: DepthSnapshot) -> bool:
    """Whether the exchange counts from its beginning again after a loss or a restart."""
    if not isinstance(state.last, int) or message.u >= state.last:
        return False
    lost = epoch > state.epoch or (state.hole is not None and state.hole.announced)
    return lost and parse_iso_ms(state.last_time) < message.E


def _snapshot_missing(unit: Unit, step: Step, last: int | None, ids: Ids) -> Missing | None:
    """In a stream of snapshots each has a number of its own, which is not missing."""
    if unit.type != DEPTH_SNAPSHOTS:
        return step.missing
    if ids.follow and last is not None and step.last > last + 1:
        return last + 1, step.last - 1
    return None


def _write(
    unit: Unit,
    epoch: int,
    message: DepthUpdate | DepthSnapshot,
    missing: Missing | None,
    ids: Ids,
) -> list[Rows]:
    state = unit.state
    time = event_time(message.E, unit.exchange)
    data = book_rows(time, message)
    day = unit.day_at(message.E)
    count = len(message.b) + len(message.a)
    side = message.side or "" if isinstance(message, DepthSnapshot) else ""
    told = []
    if not (side and _stays_open(state, epoch)):
        told = gap_lines(unit, day, time, epoch=epoch, missing=missing, ids=ids)
    written = unit.marks(told)
    if isinstance(message, DepthSnapshot):
        line = snapshot_line(state, day, rows=count, side=side, id_=message.u, time=time)
        written += unit.marks([line])
        state.snapshot = (message.u, message.E, side)
    advance(unit, day, message.u, time, epoch)
    if count:
        written.append(unit.rows(day, data, count))
    return written


def _stays_open(state: UnitState, epoch: int) -> bool:
    """Whether an announced gap waits for the record that closes it."""
    hole = state.hole
    return hole is not None and hole.announced and not hole.until and epoch == state.epoch
