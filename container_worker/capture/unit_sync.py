"""The pure core of a capture unit: typed events in, records and commands out.

No socket, no clock, no thread: times are arguments. One subclass for each kind of stream.

    event ─► clock guard (rule 10) ─► follow (rule 7) ─► Write, Fetch, Refuse
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from container_worker.capture.clock_guard import AN_HOUR_MS, ClockGuard
from container_worker.capture.emissions import Emissions, Event, Refuse, Write, gap
from container_worker.capture.held_back import HeldBack
from container_worker.exchanges.outcomes import Clock
from marketdata.book import Step, Verdict, follow
from marketdata.messages import Cause, Gap

E = TypeVar("E", bound=Event)


class UnitSync:
    """What all capture units have in common.

    `event_ms` is the time up to which everything was written: the highest event or watermark.
    `muted` says that records are lost for want of room, until `speak` (rule 5).
    """

    clock: Clock = "exchange"

    def __init__(self, exchange: str, ticker: str) -> None:
        self.exchange = exchange
        self.ticker = ticker
        self.event_ms = 0
        self.muted = False
        self.repeats = 0
        self._cause: Cause | None = None

    @property
    def settled(self) -> bool:
        """Whether all that was received has been written, so that a watermark is true."""
        return not self.muted

    def disrupted(self, cause: Cause) -> Emissions:
        """Something may be missing from now on, for this reason."""
        self._cause = cause
        return []

    def share(self, *, two_sockets: bool) -> Emissions:
        """Two sockets feed this unit from now on, or one again (rule 9)."""
        del two_sockets
        return []

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """There was no room for these and what follows is lost too, until `speak`."""
        raise NotImplementedError

    def speak(self) -> Emissions:
        """There is room again."""
        raise NotImplementedError

    def _gap(
        self, first: int | None, last: int | None, cause: Cause, from_ms: int, to_ms: int | None
    ) -> Gap:
        known_ms = self.event_ms if to_ms is None else to_ms
        return Gap(known_ms, self.ticker, self.exchange, first, last, cause, from_ms, to_ms)


class GuardedSync(UnitSync, Generic[E]):
    """A unit whose events carry the exchange's time, which may be wrong (rule 10)."""

    def __init__(self, exchange: str, ticker: str) -> None:
        super().__init__(exchange, ticker)
        self._guard: ClockGuard[E] = ClockGuard()

    @property
    def settled(self) -> bool:
        """Nothing is muted or held by the clock guard."""
        return not self.muted and self._guard.held is None

    def _time(self, event: E) -> int:
        raise NotImplementedError

    def _accept(self, event: E) -> Emissions:
        raise NotImplementedError

    def take(self, event: E, received_ms: int) -> Emissions:
        """What an event leads to."""
        event_ms = self._time(event)
        known_ms = self.event_ms or received_ms
        if self._guard.held is None and event_ms - known_ms <= AN_HOUR_MS:
            return self._accept(event)
        ready, refused = self._guard.admit(event, event_ms, known_ms)
        out: Emissions = []
        if refused is not None:
            self._cause = "clock"
            ahead_s = (self._time(refused) - known_ms) // 1000
            out.append(Refuse(refused, f"its time is {ahead_s} s ahead of the ticker's last"))
        for admitted in ready:
            out += self._accept(admitted)
        return out


class NumberedSync(GuardedSync[E]):
    """A unit whose events carry ids without holes: books by deltas, trades."""

    def __init__(self, exchange: str, ticker: str) -> None:
        super().__init__(exchange, ticker)
        self.last: int | None = None
        self._held: HeldBack[E] = HeldBack()
        self._lost: Gap | None = None

    @property
    def settled(self) -> bool:
        """As for all guarded units, and nothing is ahead of the other socket."""
        return super().settled and not self._held

    def _span(self, event: E) -> tuple[int, int]:
        raise NotImplementedError

    def _advance(self, event: E, step: Step) -> Emissions:
        raise NotImplementedError

    def share(self, *, two_sockets: bool) -> Emissions:
        """While two sockets are open, what runs ahead waits for the other one."""
        self._held.open = two_sockets
        out: Emissions = []
        while not two_sockets and (event := self._held.next(self.last or 0, force=True)):
            out += self._accept(event)
        return out

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; the open gap begins with the first id that was not published."""
        self.muted = True
        first = next((id_ for write in unsent if (id_ := self._first_id(write))), None)
        self._lost = self._gap(first, None, "backpressure", self.event_ms, None)
        return [gap(self._lost)]

    def speak(self) -> Emissions:
        """Closes the gap that `overflow` opened."""
        lost, self._lost, self.muted = self._lost, None, False
        if lost is None:
            return []
        last = self.last if lost.first is not None else None
        return [gap(self._gap(lost.first, last, "backpressure", lost.from_, self.event_ms))]

    def _first_id(self, write: Write) -> int | None:
        return write.id if isinstance(write.id, int) else None

    def _accept(self, event: E) -> Emissions:
        first, final = self._span(event)
        step = follow(self.last, first, final)
        if step.verdict is Verdict.DROP:
            self.repeats += 1
            return []
        if step.verdict is Verdict.GAP and self._held.add(first, final, event):
            return []
        out = self._advance(event, step)
        while self._held and (waiting := self._held.next(step.last)):
            first, final = self._span(waiting)
            step = follow(self.last, first, final)
            if step.verdict is not Verdict.DROP:
                out += self._advance(waiting, step)
        return out

    def _missing(self, missing: tuple[int, int], event_ms: int) -> Gap:
        cause = self._cause or "sequence"
        return self._gap(*missing, cause, self.event_ms, event_ms)
