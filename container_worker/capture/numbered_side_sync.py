"""A book that is stated side by side under the exchange's numbers: Stockbit's other layout.

Each message has the ticker's next number and states one side. A number that is missing may
have been either side's, so that its gap stays open until both sides have been stated again.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from container_worker.capture.emissions import Emissions, Write, gap
from container_worker.capture.numbered_sync import NumberedSync
from container_worker.capture.series_guard import SeriesGuard
from container_worker.capture.side_sync import BOTH, sides_of
from container_worker.exchanges.outcomes import BookState
from marketdata.book import Step
from marketdata.messages import Cause, DepthSnapshot, Gap
from marketdata.times import day_bounds_ms, day_of

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown


class NumberedSideSync(NumberedSync[BookState]):
    """Publishes every statement once, by rising number.

    It begins after the last number that the topic has, so that a restart shows its own hole.
    Nobody says for how long the numbers go on: a lower one on a later day, one that says itself
    that it counts anew, or two that agree (`SeriesGuard`) begin a new series.
    """

    def __init__(self, exchange: str, ticker: str, last: "LastKnown | None" = None) -> None:
        super().__init__(exchange, ticker, last)
        self._sides: dict[str | None, DepthSnapshot] = {}
        self._fresh: frozenset[str] = BOTH
        self._open: Gap | None = None
        self._day_end_ms = 0
        self._series = SeriesGuard()
        self._begun_ms = 0
        self._unsaid: Gap | None = None
        if last is not None and isinstance(last.id, int):
            self.last = last.id
            self._cause = "restart"
            self._fresh = frozenset()

    @property
    def settled(self) -> bool:
        """As for all numbered units, and neither a side nor the series is in doubt."""
        return super().settled and self._open is None and self._series.doubted is None

    def take(self, event: BookState, received_ms: int) -> Emissions:
        """What an event leads to."""
        if not self.muted:
            self._unsaid = None
        return super().take(event, received_ms)

    def disrupted(self, cause: Cause) -> Emissions:
        """See `UnitSync`."""
        self._series.disrupted()
        return super().disrupted(cause)

    def speak(self) -> Emissions:
        """States the sides that are known; the gap stays open while one is in doubt."""
        lost, self._lost, self.muted = self._lost, None, False
        if lost is None or lost.first is None or self.last is None:
            return []
        hole = lost
        if lost.last is None:
            hole = msgspec.structs.replace(lost, last=max(lost.first, self.last))
        if self._unsaid is not None:
            return self._speak_of_series(self._unsaid, hole)
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
        if event.clock == "exchange" and self._begun_ms > stated.E:
            self.repeats += 1
            return []
        if self._counts_anew(event):
            return self._begin_series([event])
        if last is None or stated.u > last:
            self._series.went_on(event)
            return super()._accept(event)
        begun = self._judge(event, last)
        return self._begin_series(begun) if begun else self._take_late(event)

    def _counts_anew(self, event: BookState) -> bool:
        """Whether one statement alone says so: by its day, or because the exchange says it."""
        number, last = event.message.u, self.last
        if last is None or number == last + 1 or not self._is_news(event):
            return False
        if event.resets:
            return True
        day, known_day = self._day_of(event.message.E), self._day_of(self._since_ms)
        return number < last and day > known_day

    def _judge(self, event: BookState, last: int) -> Sequence[BookState]:
        """What begins a new series, of numbers that are not above the last one.

        The older of two sockets may lag behind the newer: nothing begins while there are two.
        """
        number, hole = event.message.u, self._open
        is_late = hole is not None and hole.first is not None and number >= hole.first
        if number == last or is_late or self._is_known(event):
            self._series.went_on(event)
            return ()
        if not self._is_news(event):
            return ()
        if not self._held.open:
            return self._series.judge(event)
        if event.clock == "exchange":
            self._series.doubted = event
        return ()

    def _is_known(self, event: BookState) -> bool:
        known, doubted = self._sides.get(event.message.side), self._series.doubted
        if known is None or known.u != event.message.u:
            return False
        return doubted is None or doubted.message.u != known.u

    def _is_news(self, event: BookState) -> bool:
        return event.message.E > self._since_ms > 0 and not self._is_known(event)

    def _take_late(self, event: BookState) -> Emissions:
        stated, hole = event.message, self._open
        self.repeats += 1
        if stated.side not in self._sides:
            self._sides[stated.side] = stated
        if hole is None or hole.first is None or stated.u < hole.first:
            return []
        if sides_of(stated) <= self._fresh or self.muted:
            return []
        self._sides[stated.side] = stated
        return [*self._restate(stated), self._again(stated, max(stated.E, self.event_ms))]

    def _begin_series(self, events: Sequence[BookState]) -> Emissions:
        """Counted anew, and what lay between is unknown: a gap without numbers.

        Readers follow a lower number that is later than all they know, while a gap is open.
        """
        self._begun_ms = min(event.message.E for event in events)
        hole = self._gap(None, None, "sequence", self._since_ms, self._since_ms)
        out, lost = self._told(hole), self._lost
        if self.muted and lost is not None and lost.first is not None and lost.last is None:
            ended = max(lost.first, self.last or 0)
            self._lost = msgspec.structs.replace(lost, last=ended)
        self._unsaid = hole
        self.last, self._sides = None, {}
        for event in events:
            out += super()._accept(event)
        return out

    def _speak_of_series(self, begun: Gap, lost: Gap) -> Emissions:
        """The gap before the series is told, and open, before the sides are stated."""
        fresh, open_, out = self._fresh, self._open, Emissions()
        if open_ is not None and open_.first is not None:
            out.append(self._closed(open_, begun.from_))
        from_ms = min(lost.from_, begun.from_)
        out.append(self._closed(msgspec.structs.replace(lost, from_=from_ms), begun.from_))
        self._open = None
        self._begins_day(self.event_ms)
        out += self._told(begun)
        for stated in self._sides.values():
            if sides_of(stated) <= fresh:
                out += [*self._restate(stated), self._again(stated, self.event_ms)]
        return out

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
