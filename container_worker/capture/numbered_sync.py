"""Units whose events carry the exchange's ids without holes (rules 7, 9)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from container_worker.capture.emissions import Emissions, Event, Write, gap
from container_worker.capture.held_back import HeldBack
from container_worker.capture.unit_sync import GuardedSync
from marketdata.book import Step, Verdict, follow
from marketdata.messages import Gap

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

E = TypeVar("E", bound=Event)


class NumberedSync(GuardedSync[E]):
    """Books by deltas, trades, numbered statements: two sockets are merged by id."""

    def __init__(self, exchange: str, ticker: str, last: "LastKnown | None" = None) -> None:
        super().__init__(exchange, ticker, last)
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

    def share(self, *, two_sockets: bool, new_stays: bool = True, now_ms: int = 0) -> Emissions:
        """While two sockets are open, what runs ahead waits for the other one."""
        del new_stays, now_ms
        self._held.open = two_sockets
        out: Emissions = []
        while not two_sockets and (event := self._held.next(self.last or 0, force=True)):
            out += self._accept(event)
        return out

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; the open gap begins with the first id that was not published."""
        self.muted = True
        first = next((id_ for write in unsent if (id_ := self._first_id(write))), None)
        if first is None and self.last is not None:
            first = self.last + 1
        self._lost = self._gap(first, None, "backpressure", self._since_ms, None)
        return [gap(self._lost)]

    def speak(self) -> Emissions:
        """Closes the gap that `overflow` opened."""
        lost, self._lost, self.muted = self._lost, None, False
        if lost is None:
            return []
        first, last = lost.first, self.last
        if first is None or last is None or last < first:
            first = last = None
        to_ms = max(self.event_ms, lost.from_)
        return [gap(self._gap(first, last, "backpressure", lost.from_, to_ms))]

    def _first_id(self, write: Write) -> int | None:
        return write.id if isinstance(write.id, int) else None

    def _accept(self, event: E) -> Emissions:
        first, final = self._span(event)
        step = follow(self.last, first, final)
        if step.verdict is Verdict.DROP:
            self.repeats += 1
            return []
        waits = step.verdict is Verdict.GAP and self._held.add(first, final, event)
        out = [] if waits else self._advance(event, step)
        while self._held and (waiting := self._held.next(self.last or 0)):
            first, final = self._span(waiting)
            step = follow(self.last, first, final)
            if step.verdict is not Verdict.DROP:
                out += self._advance(waiting, step)
        return out

    def _missing(self, missing: tuple[int, int], event_ms: int) -> Gap:
        cause, from_ms = self._cause or "sequence", min(self._last_ms, event_ms)
        return self._gap(*missing, cause, from_ms or event_ms, event_ms)
