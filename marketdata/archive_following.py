"""What the readers of all topics have in common: marks, gaps, and how far a unit is.

record ─► lines of what is missing before it ─► its rows ─► advance
"""

from datetime import datetime

from marketdata.archive_late import end_run, forget_cut_off
from marketdata.archive_ledger import Ids, Missing, count_event
from marketdata.archive_marks import MarkLine, hear_gap, tell_gap
from marketdata.archive_state import Hole, UnitState
from marketdata.archive_unit import Rows, Unit
from marketdata.errors import DecodeError
from marketdata.messages import Mark, Watermark
from marketdata.times import ZONES, day_of, parse_iso_ms

NO_ROWS: list[Rows] = []


def read_mark(unit: Unit, mark: Mark, ids: Ids) -> list[Rows]:
    """A gap or a watermark. Raises DecodeError."""
    told: list[MarkLine] = []
    if isinstance(mark, Watermark):
        unit.state.watermark = max(unit.state.watermark, mark.E)
    else:
        told = hear_gap(unit.state, unit.exchange, mark, ids=ids)
    return unit.marks(end_run(unit.state) + told) if told or unit.state.run else NO_ROWS


def gap_lines(
    unit: Unit, day: str, time: str, *, epoch: int, missing: Missing | None, ids: Ids
) -> list[MarkLine]:
    """What is told before a record of `time` that goes into `day`; `missing` by its ids."""
    state = unit.state
    lines = end_run(state) if state.run is not None else []
    if missing is None and state.hole is None:
        return lines
    forget_cut_off(state, day)
    return lines + tell_gap(
        state, day, unit.exchange, missing=missing, time=time, epoch=epoch, ids=ids
    )


def note_restart(
    state: UnitState, epoch: int, *, since: str, ids: Missing = (None, None)
) -> None:
    """A new process goes on without a word, and nothing that follows shows what it missed.

    For units whose ids show no jump. `ids` are those that are missing, where that is known.
    """
    if state.hole is None and state.last_time and epoch > state.epoch:
        state.hole = Hole("restart", since, ids=ids)


def advance(unit: Unit, day: str, last: int | str | None, time: str, epoch: int) -> None:
    """A record of this id and time has been taken."""
    state = unit.state
    state.last, state.last_time, state.epoch = last, time, epoch
    count_event(state, day, time)


def day_of_text(time: str, exchange: str) -> str:
    """The day of an ISO time; `2024-08-08T…Z` needs no arithmetic where the zone is UTC.

    Raises:
        DecodeError: not ISO 8601, or without an offset.
    """
    try:
        moment = datetime.fromisoformat(time)
        if exchange not in ZONES and time[10:11] == "T" and time.endswith("Z"):
            return time[:10] if time[4] == time[7] == "-" else f"{moment:%Y-%m-%d}"
        return day_of(parse_iso_ms(time), exchange)
    except (ValueError, IndexError):
        raise DecodeError("a timestamp is not ISO 8601 with an offset") from None
