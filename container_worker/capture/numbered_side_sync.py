"""A book that is stated side by side under the exchange's numbers: Stockbit's other layout.

Each message has the ticker's next number and states one side. A number that is missing may
have been either side's, so that its gap stays open until both sides have been stated again.
"""

from typing import TYPE_CHECKING

import msgspec

from container_worker.capture.emissions import Emissions, Write, gap
from container_worker.capture.numbered_sync import NumberedSync
from container_worker.capture.side_sync import BOTH, sides_of
from container_worker.exchanges.outcomes import BookState
from marketdata.book import Step
from marketdata.messages import DepthSnapshot, Gap
from marketdata.times import day_bounds_ms, day_of

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown


class NumberedSideSync(NumberedSync[BookState]):
    """Publishes every statement once, by rising number.

    It begins after the last number that the topic has, so that a restart shows its own hole.
    Nobody says whether the numbers begin anew each day: a lower one on a later day is taken
    as the first of a new series.
    """

    def __init__(self, exchange: str, ticker: str, last: "LastKnown | None" = None) -> None:
        super().__init__(exchange, ticker, last)
        self._sides: dict[str | None, DepthSnapshot] = {}
        self._fresh: frozenset[str] = BOTH
        self._open: Gap | None = None
        self._day_end_ms = 0
        if last is not None and isinstance(last.id, int):
            self.last = last.id
            self._cause = "restart"
            self._fresh = frozenset()

    @property
    def settled(self) -> bool:
        """As for all numbered units, and no side is in doubt."""
        return super().settled and self._open is None

    def speak(self) -> Emissions:
        """States the sides that are known; the gap stays open while one is in doubt."""
        lost, self._lost, self.muted = self._lost, None, False
        if lost is None or lost.first is None or self.last is None:
            return []
        hole = msgspec.structs.replace(lost, last=self.last)
        out: Emissions = []
        if self._open is not None:
            out.append(self._closed(self._open, self.event_ms))
            self._open = None
        if self._fresh >= BOTH:
            out.append(self._closed(hole, self.event_ms))
        else:
            self._open = hole
        self._begins_day(self.event_ms)
        known = [one for one in self._sides.values() if sides_of(one) <= self._fresh]
        return out + [self._again(one, self.event_ms) for one in known]

    def _span(self, event: BookState) -> tuple[int, int]:
        return event.message.u, event.message.u

    def _time(self, event: BookState) -> int:
        return event.message.E

    def _accept(self, event: BookState) -> Emissions:
        """A statement from before the last one may still be the newest of its side."""
        stated, last = event.message, self.last
        if last is None or stated.u > last:
            return super()._accept(event)
        if self.event_ms and self._day_of(stated.E) > self._day_of(self.event_ms):
            return self._begin_series(event)
        self.repeats += 1
        if stated.side not in self._sides:
            self._sides[stated.side] = stated
        hole = self._open
        if hole is None or hole.first is None or stated.u < hole.first:
            return []
        if sides_of(stated) <= self._fresh or self.muted:
            return []
        self._sides[stated.side] = stated
        return [*self._restate(stated), self._again(stated, max(stated.E, self.event_ms))]

    def _begin_series(self, event: BookState) -> Emissions:
        """A lower number on a later day: counted anew, and what lay between is unknown."""
        hole = self._gap(None, None, "sequence", self.event_ms, event.message.E)
        out = self._told(hole)
        self.last, self._sides = None, {}
        return out + super()._accept(event)

    def _day_of(self, event_ms: int) -> str:
        return day_of(event_ms, self.exchange)

    def _advance(self, event: BookState, step: Step) -> Emissions:
        stated, out = event.message, Emissions()
        self.clock = event.clock
        if step.missing is not None:
            out += self._told(self._missing(step.missing, stated.E))
        self.last, self._cause = step.last, None
        self.event_ms = max(self.event_ms, stated.E)
        if not self.muted and self._begins_day(stated.E):
            out += self._others(stated)
        out += self._restate(stated)
        self._sides[stated.side] = stated
        out.append(Write(stated, stated.u))
        return [] if self.muted else out

    def _told(self, hole: Gap) -> Emissions:
        """A hole within an open one ends that: each gap names just the numbers it lacks."""
        self._fresh = frozenset()
        if self.muted:
            return []
        before = self._open
        self._open = msgspec.structs.replace(hole, E=hole.from_)
        opened = gap(msgspec.structs.replace(self._open, last=None, to=None))
        return [opened] if before is None else [self._closed(before, hole.E), opened]

    def _restate(self, stated: DepthSnapshot) -> Emissions:
        self._fresh |= sides_of(stated)
        hole = self._open
        if hole is None or self._fresh < BOTH or self.muted:
            return []
        self._open = None
        return [self._closed(hole, stated.E)]

    def _closed(self, hole: Gap, event_ms: int) -> Write:
        to_ms = max(event_ms, hole.from_)
        return gap(msgspec.structs.replace(hole, E=to_ms, to=to_ms))

    def _begins_day(self, event_ms: int) -> bool:
        if event_ms < self._day_end_ms:
            return False
        _, self._day_end_ms = day_bounds_ms(day_of(event_ms, self.exchange), self.exchange)
        return True

    def _others(self, stated: DepthSnapshot) -> Emissions:
        """A day begins with the whole book: what this message does not state, or the gap."""
        if self._open is not None:
            return [gap(msgspec.structs.replace(self._open, E=stated.E, last=None, to=None))]
        return [
            self._again(other, stated.E)
            for side, other in self._sides.items()
            if side is not None and stated.side not in {None, side}
        ]

    def _again(self, stated: DepthSnapshot, event_ms: int) -> Write:
        """A side as of the last number of all."""
        last = self.last or stated.u
        return Write(msgspec.structs.replace(stated, E=event_ms, u=last), last)
