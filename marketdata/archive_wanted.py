"""Which ids may come late: those that a gap told missing, and what was before a series began.

gap ─► want ─► ranges in the state, at most `WANTED_KEPT` ─► fill ─► the range that wanted it
"""

from marketdata.archive_state import HISTORY, UnitState, Wanted

WANTED_KEPT = 64
"""Ranges that a unit remembers; the one that was told first is given up for a new one."""
FOREVER = 253_402_300_799_999


def want(unit: UnitState, wanted: Wanted) -> None:
    """These ids may come late; of candles those after the last one that came."""
    first = max(wanted.first, unit.candles.get(wanted.series, -1) + 1)
    if first <= wanted.last:
        wanted.first = first
        unit.wanted.append(wanted)
        del unit.wanted[:-WANTED_KEPT]


def want_history(unit: UnitState, series: str) -> None:
    """A series of candles is seen for the first time: all that was before it may come."""
    want(unit, Wanted(0, FOREVER, HISTORY, "", series))


def begin_series(unit: UnitState, series: str, start: int) -> bool:
    """Whether the first candle of a series that does not come late is new.

    It is not where history had it already. All history ends before it from now on.
    """
    if all(one.series != series for one in unit.wanted):
        want_history(unit, series)
    is_new = False
    kept = []
    for one in unit.wanted:
        if one.series == series:
            is_new = is_new or one.first <= start <= one.last
            one.last = min(one.last, start - 1)
        if one.first <= one.last:
            kept.append(one)
    unit.wanted = kept
    return is_new


def fill(unit: UnitState, id_: int, *, step: int, series: str) -> Wanted | None:
    """The range that wanted this id, which it does no longer; None: a repeat, or never told."""
    for index, one in enumerate(unit.wanted):
        if one.series == series and one.first <= id_ <= one.last:
            rest = ((one.first, id_ - step), (id_ + step, one.last))
            unit.wanted[index : index + 1] = [
                Wanted(first, last, one.cause, one.day, series)
                for first, last in rest
                if first <= last
            ]
            del unit.wanted[:-WANTED_KEPT]
            return one
    return None
