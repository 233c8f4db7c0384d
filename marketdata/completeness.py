"""The completeness ledger: what is there of each capture unit, and what is not.

states of the archive's fold ─► figures of a unit, of one day or of all (docs/completeness.md)

Pure: the figures are a function of the topics up to the offset of a checkpoint.
"""

from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from marketdata.archive_ledger import Interval, split_days, uncovered
from marketdata.archive_state import LedgerDay, PartitionState, UnitState, split_unit
from marketdata.csv_rows import event_time
from marketdata.times import day_bounds_ms, parse_iso_ms

_MILLION = 1_000_000
_FIGURES = Decimal("0.0001")


class Figures(NamedTuple):
    """A unit's account; times are as in the rows, empty where there is none.

    `date` is the exchange's own day, None for all days. `events` changed something: deltas,
    snapshots, trades, closed candles. `gaps` are those that ended, by cause in `causes`;
    `unnumbered` of them do not say how much; `open_cause` is that of one that lasts. `missing`
    ids were told and are not there, `backfilled` ones came later, `history` is what was
    fetched from before the first event. `uncovered_ms` is the time in gaps, each moment once,
    of `span_ms` between the first event and `known_until`; after that nothing is known. Not
    `whole` where a day began before anybody counted.
    """

    exchange: str
    ticker: str
    type: str
    date: str | None
    events: int
    gaps: int
    causes: dict[str, int]
    unnumbered: int
    open_cause: str | None
    missing: int
    backfilled: int
    history: int
    uncovered_ms: int
    span_ms: int
    first_event: str
    last_event: str
    known_until: str
    whole: bool

    @property
    def gaps_per_million(self) -> Decimal | None:
        """Gaps in a million events; None without an event."""
        if not self.events:
            return None
        return (Decimal(self.gaps * _MILLION) / self.events).quantize(_FIGURES)

    @property
    def coverage_percent(self) -> Decimal | None:
        """The covered part of the time, rounded down: 100 is all of it. None without time."""
        if self.span_ms <= 0:
            return None
        covered = max(0, self.span_ms - self.uncovered_ms)
        return (Decimal(covered * 100) / self.span_ms).quantize(_FIGURES, ROUND_DOWN)


def ledger(state: PartitionState, date: str | None = None) -> Iterator[Figures]:
    """The figures of every unit of a partition that has something to say about `date`.

    A unit that wrote nothing but watermarks is told with zeros.

    Raises:
        ValueError: `date` is not `YYYY-MM-DD`.
    """
    for name, unit in state.units.items():
        figures = _figures(name, unit, date)
        if figures is not None:
            yield figures


def _figures(name: str, unit: UnitState, date: str | None) -> Figures | None:
    exchange, ticker, stream_type = split_unit(name)
    known_ms = _known_ms(unit)
    bounds = None if date is None else day_bounds_ms(date, exchange)
    span = _span(unit, known_ms, bounds)
    days = [unit.ledger[day] for day in sorted(unit.ledger) if date in {None, day}]
    if not known_ms or (date is not None and not days and not span):
        return None
    told = [day for day in days if day.first]
    hole = unit.hole if unit.hole is not None and _is_real(unit) else None
    lasting = _lasting(unit, exchange, known_ms, date)
    is_open = hole is not None and (bounds is None or _begins_before(hole.since, bounds[1]))
    return Figures(
        exchange,
        ticker,
        stream_type,
        date,
        events=sum(day.events for day in days),
        gaps=sum(day.gaps for day in days),
        causes=_causes(days),
        unnumbered=sum(day.unnumbered for day in days),
        open_cause=hole.cause if hole is not None and is_open else None,
        missing=sum(day.missing for day in days),
        backfilled=sum(day.backfilled for day in days),
        history=sum(day.history for day in days),
        uncovered_ms=sum(day.uncovered_ms for day in days) + lasting,
        span_ms=span,
        first_event=told[0].first if told else "",
        last_event=told[-1].last if told else "",
        known_until=event_time(known_ms, exchange),
        whole=all(day.whole for day in days) and not (unit.last_time and not unit.began),
    )


def _causes(days: list[LedgerDay]) -> dict[str, int]:
    found: dict[str, int] = {}
    for day in days:
        for cause, count in day.causes.items():
            found[cause] = found.get(cause, 0) + count
    return dict(sorted(found.items()))


def _known_ms(unit: UnitState) -> int:
    """The time up to which the unit is known: its last event or watermark."""
    return max(unit.watermark, parse_iso_ms(unit.last_time) if unit.last_time else 0)


def _span(unit: UnitState, known_ms: int, bounds: Interval | None) -> int:
    if not unit.began:
        return 0
    start, end = parse_iso_ms(unit.began), known_ms
    if bounds is not None:
        start, end = max(start, bounds[0]), min(end, bounds[1])
    return max(0, end - start)


def _is_real(unit: UnitState) -> bool:
    """Whether a hole lasts for certain: one that only a jump would show is not yet a gap."""
    return unit.hole is not None and (unit.hole.announced or not unit.hole.by_ids)


def _begins_before(since: str, end_ms: int) -> bool:
    return not since or parse_iso_ms(since) < end_ms


def _lasting(unit: UnitState, exchange: str, known_ms: int, date: str | None) -> int:
    """The time of a gap that nothing has ended yet, up to what is known."""
    if unit.hole is None or not _is_real(unit):
        return 0
    until = unit.hole.until or event_time(known_ms, exchange)
    return sum(
        length
        for piece in uncovered(unit, unit.hole.since, until)
        for day, length in split_days(piece, exchange)
        if date in {None, day}
    )
