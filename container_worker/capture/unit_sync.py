"""The pure core of a capture unit: typed events in, records and commands out.

No socket, no clock, no thread: times are arguments. One subclass for each kind of stream.

    event ─► clock guard (rule 10) ─► follow (rule 7) ─► Write, Fetch, Recover, Restate, Refuse
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from container_worker.capture.clock_guard import AN_HOUR_MS, ClockGuard
from container_worker.capture.emissions import Emissions, Event, Refuse, Restate, Write, gap
from container_worker.exchanges.outcomes import Clock
from marketdata.messages import Cause, Gap

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

E = TypeVar("E", bound=Event)


class UnitSync:
    """What all capture units have in common.

    `event_ms` is the time of its last event. Up to `proved_ms` a later sign of life has shown
    that nothing is missing; `marked_ms` is its last watermark's. `muted` says that records are
    lost for want of room, until `speak` (rule 5). `clock` is whose time the last event had.
    `ours`: the ids are capture's own (rule 7).

    A unit that is `single` cannot merge what two sockets bring: it takes from one of them, and
    `on_new` says that it is the second.
    """

    clock: Clock = "exchange"
    ours = False
    single = False
    on_new = False

    def __init__(self, exchange: str, ticker: str, last: "LastKnown | None" = None) -> None:
        self.exchange = exchange
        self.ticker = ticker
        self.event_ms = 0
        self.proved_ms = self.marked_ms = 0
        self.muted = False
        self.repeats = 0
        self._known_ms = 0 if last is None else last.event_ms
        self._there = () if last is None else last.there
        self._cause: Cause | None = None

    @property
    def settled(self) -> bool:
        """Whether all that was received has been written, so that a watermark is true."""
        return not self.muted

    @property
    def cursor(self) -> str | None:
        """Where a chain's next question begins, for the watermark (rule 17)."""
        return None

    @property
    def _since_ms(self) -> int:
        """The time up to which everything is known to be written, by us or before us."""
        return max(self.event_ms, self.proved_ms, self.marked_ms) or self._known_ms

    @property
    def _last_ms(self) -> int:
        """The time of its last sign of life, or of what was written before us.

        What its own silence or its ids show as lost may lie anywhere after it.
        """
        return max(self.event_ms, self.proved_ms) or self._known_ms

    def newest(self, id_: int, received_ms: int) -> Emissions:
        """The exchange names its newest event, without telling it (`LastTrade`)."""
        del id_, received_ms
        return []

    def fill(self, events: Sequence[Any]) -> list[Write]:
        """The records of what was recovered and is not there; changes nothing else."""
        raise NotImplementedError

    def take_new(self, event: Any, received_ms: int) -> Emissions:
        """What the second socket brings to a `single` unit that is not `on_new`."""
        del event, received_ms
        raise NotImplementedError

    def lost_new(self) -> None:
        """The second socket may have lost something before this unit went over to it."""

    def disrupted(self, cause: Cause) -> Emissions:
        """Something may be missing from now on, for this reason."""
        self._cause = cause
        return []

    def stalled(self) -> Emissions:
        """It has been silent for longer than its pace allows: is it still subscribed?"""
        return [Restate()]

    def audit(self, now_s: float, audit_s: float) -> Emissions:
        """What the clock demands; `audit_s` is the time between two tests of a book."""
        del now_s, audit_s
        return []

    def share(self, *, two_sockets: bool, new_stays: bool = True, now_ms: int = 0) -> Emissions:
        """Two sockets feed this unit from now on, or one again (rule 9).

        `new_stays` says which of the two is left; `now_ms` is of the clock of receipt.
        """
        del two_sockets, new_stays, now_ms
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
        known_ms = self._since_ms if to_ms is None else to_ms
        return Gap(known_ms, self.ticker, self.exchange, first, last, cause, from_ms, to_ms)


class GuardedSync(UnitSync, Generic[E]):
    """A unit whose events carry the exchange's time, which may be wrong (rule 10)."""

    def __init__(self, exchange: str, ticker: str, last: "LastKnown | None" = None) -> None:
        super().__init__(exchange, ticker, last)
        self._guard: ClockGuard[E] = ClockGuard()

    @property
    def settled(self) -> bool:
        """Nothing is muted or held by the clock guard."""
        return not self.muted and self._guard.held is None

    def _time(self, event: E) -> int:
        raise NotImplementedError

    def _accept(self, event: E) -> Emissions:
        raise NotImplementedError

    def _clock_ms(self, received_ms: int) -> int:
        """The ticker's time, which an event may not be an hour ahead of."""
        return max(self.event_ms, self.proved_ms, self.marked_ms) or received_ms

    def take(self, event: E, received_ms: int) -> Emissions:
        """What an event leads to."""
        event_ms = self._time(event)
        known_ms = self._clock_ms(received_ms)
        if self._guard.held is None and event_ms - known_ms <= AN_HOUR_MS:
            return self._accept(event)
        ready, refused = self._guard.admit(event, event_ms, known_ms)
        out: Emissions = []
        if refused is not None:
            ahead_s = (self._time(refused) - known_ms) // 1000
            out.append(Refuse(refused, f"its time is {ahead_s} s ahead of the ticker's last"))
            out += self.disrupted("clock")
        for admitted in ready:
            out += self._accept(admitted)
        return out


class UnnumberedSync(UnitSync):
    """A unit whose ids show no loss: whatever may have lost something is an open gap at once.

    The next event closes it. A restart is such a gap too, from what the topic had last.
    """

    def __init__(self, exchange: str, ticker: str, last: "LastKnown | None" = None) -> None:
        super().__init__(exchange, ticker, last)
        self._open: Gap | None = None
        if self._known_ms:
            self._open = self._gap(None, None, "restart", self._known_ms, None)

    def disrupted(self, cause: Cause) -> Emissions:
        """Opens the gap, unless it is open or nothing was ever told."""
        return self._begin_gap(cause, self._since_ms)

    def stalled(self) -> Emissions:
        """Nothing else would show what did not come, so that it is a gap."""
        return [*self._begin_gap("stall", self._last_ms), Restate()]

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; the gap is open until the first event after `speak`."""
        del unsent
        self.muted = True
        from_ms = self._since_ms if self._open is None else self._open.from_
        self._open = self._gap(None, None, "backpressure", from_ms, None)
        return [gap(self._open)]

    def speak(self) -> Emissions:
        """The next event closes the gap."""
        self.muted = False
        return []

    def _begin_gap(self, cause: Cause, from_ms: int) -> Emissions:
        if self._open is not None or not self.event_ms:
            return []
        self._open = self._gap(None, None, cause, from_ms, None)
        return [gap(self._open)]

    def _close(self, event_ms: int) -> Emissions:
        """The end of an open gap, before the event that shows it; nothing while muted."""
        lost = self._open
        if lost is None or self.muted:
            return []
        self._open = None
        to_ms = max(event_ms, lost.from_)
        return [gap(self._gap(lost.first, lost.last, lost.cause, lost.from_, to_ms))]
