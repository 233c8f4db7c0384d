"""A book that is stated side by side and that nobody numbers: flat Stockbit's `ws_depth`.

Every message is the whole of one side, and gets the next number. What was lost is one number
that no message has; its gap is closed when both sides have been stated again.
"""

from typing import TYPE_CHECKING

import msgspec

from container_worker.capture.emissions import Emissions, Write, gap
from container_worker.capture.one_socket import OneSocketSync
from container_worker.capture.timing import PRODUCTION, Timing
from container_worker.exchanges.outcomes import BookState
from marketdata.messages import Cause, DepthSnapshot

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

BOTH = frozenset("ba")


def sides_of(stated: DepthSnapshot) -> frozenset[str]:
    """The sides that a message states."""
    return BOTH if stated.side is None else frozenset(stated.side)


def says_again(stated: DepthSnapshot, known: DepthSnapshot | None) -> bool:
    """Whether a message states what is known."""
    return known is not None and (stated.b, stated.a) == (known.b, known.a)


class SideSync(OneSocketSync[BookState]):
    """Publishes every statement under a number of its own."""

    def __init__(
        self,
        exchange: str,
        ticker: str,
        last: "LastKnown | None" = None,
        timing: Timing = PRODUCTION,
    ) -> None:
        super().__init__(exchange, ticker, last, timing)
        self._sides: dict[str | None, DepthSnapshot] = {}
        self._second: dict[str | None, BookState] = {}
        self._fresh: frozenset[str] = frozenset()

    @property
    def _is_known(self) -> bool:
        return bool(self._sides)

    @property
    def _is_joining(self) -> bool:
        return bool(self._second)

    def lost_new(self) -> None:
        """See `UnitSync`."""
        self._second = {}

    def stalled(self) -> Emissions:
        """As all of its kind; what is stated then and is no news is no event either."""
        out = super().stalled()
        self._fresh = frozenset() if self._suspect else self._fresh
        return out

    def speak(self) -> Emissions:
        """Closes the gap and states the own sides, unless they are not known."""
        self._begin(self._now_ms)
        self.muted = False
        if self._hole is None or self._is_lost:
            return []
        out: Emissions = [self._closed(self._hole, self.event_ms)]
        self._begins_day(self.event_ms)
        for stated in self._sides.values():
            out.append(self._numbered(msgspec.structs.replace(stated, E=self.event_ms)))
        return out

    def _time(self, event: BookState) -> int:
        return event.message.E

    def _accept(self, event: BookState) -> Emissions:
        self.clock = event.clock
        stated, sides, out = event.message, sides_of(event.message), Emissions()
        if self._suspect:
            self._fresh |= sides
            if says_again(stated, self._sides.get(stated.side)):
                self._suspect = not self._fresh >= BOTH
                return out
            out += self._lose("stall", self._sound_ms)[:1]
        self.event_ms = max(self.event_ms, stated.E)
        if not self.muted and self._begins_day(stated.E):
            out += self._others(stated)
        if self._is_lost:
            out += self._restate(sides, stated.E)
        self._sides[stated.side] = stated
        return [] if self.muted else [*out, self._numbered(stated)]

    def _restate(self, sides: frozenset[str], event_ms: int) -> Emissions:
        self._fresh |= sides
        if not self._fresh >= BOTH:
            return []
        if self.muted or self._hole is None:
            self._is_lost = False
            return []
        return [self._closed(self._hole, event_ms)]

    def _lose(self, cause: Cause, from_ms: int) -> Emissions:
        if not self._suspect:
            self._fresh = frozenset()
        return super()._lose(cause, from_ms)

    def _open(self, cause: Cause, from_ms: int) -> Emissions:
        """The number of what was lost is used up: no statement will have it."""
        is_open = self._hole is not None
        out = super()._open(cause, from_ms)
        self._last += 0 if is_open else 1
        return out

    def _numbered(self, stated: DepthSnapshot) -> Write:
        self._last += 1
        return Write(msgspec.structs.replace(stated, u=self._last), self._last)

    def _others(self, stated: DepthSnapshot) -> Emissions:
        """A day begins with the whole book: what this message does not state, or the gap."""
        if self._is_lost and self._hole is not None:
            return [gap(msgspec.structs.replace(self._hole, E=stated.E))]
        return [
            Write(msgspec.structs.replace(other, E=stated.E, u=self._last), self._last)
            for side, other in self._sides.items()
            if side not in {None, stated.side} and stated.side is not None
        ]

    def _join(self, event: BookState) -> None:
        self._second[event.message.side] = event

    def _agrees(self) -> bool:
        second = self._second
        return self._sides.keys() <= second.keys() and all(
            says_again(second[side].message, own) for side, own in self._sides.items()
        )

    def _went_over(self) -> Emissions:
        self._second = {}
        return []

    def _go_over(self) -> Emissions:
        """What the second socket says otherwise was lost by the first, or came later."""
        second, self._second = self._second, {}
        news = [
            event
            for side, event in second.items()
            if self._is_lost or not says_again(event.message, self._sides.get(side))
        ]
        out = self._lose("disconnect", self._sound_ms)[:1] if news else Emissions()
        for event in second.values() if news else ():
            out += self._accept(event)
        return out
