"""Units that nobody numbers: capture does, and takes from one socket at a time (rules 7, 9).

something may be lost ─► open gap, Restate ─► fresh statements ─► gap closed, one number
a second socket ─► compared with the own book until both agree ─► it counts from then on
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from container_worker.capture.clock_guard import AN_HOUR_MS
from container_worker.capture.emissions import Emissions, Restate, Write, gap
from container_worker.capture.timing import PRODUCTION, Timing
from container_worker.capture.unit_sync import GuardedSync
from container_worker.exchanges.outcomes import BookDelta, BookState
from marketdata.messages import Cause, Gap
from marketdata.times import day_bounds_ms, day_of

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

E = TypeVar("E", bound=BookState | BookDelta)


class OneSocketSync(GuardedSync[E]):
    """The numbers, the hole and the way from one socket to the next; not thread-safe.

    The number of the gap is `_hole.first`. `_is_lost`: the own book is not to be trusted.
    """

    ours = True
    single = True

    def __init__(
        self,
        exchange: str,
        ticker: str,
        last: "LastKnown | None" = None,
        timing: Timing = PRODUCTION,
    ) -> None:
        super().__init__(exchange, ticker, last)
        self._answer_s, self._suspicion_s = timing.answer, timing.suspicion
        self._last = self._sent = 0
        self._sent_ms = self._now_ms = 0
        self._hole: Gap | None = None
        self._is_lost = False
        self._is_shared = False
        self._suspect = False
        self._suspected_ms = 0
        self._suspect_s: float | None = None
        self._asked_s: float | None = None
        self._day_end_ms = 0

    @property
    def settled(self) -> bool:
        """As for all guarded units, and the book is there and right as far as anybody knows."""
        is_doubted = self._is_lost or self._suspect or self._is_joining
        return super().settled and self._is_known and not is_doubted

    @property
    def _sound_ms(self) -> int:
        """The time up to which nothing can be missing: what lives again proves no silence."""
        return self._suspected_ms if self._suspect else self._since_ms

    @property
    def _is_known(self) -> bool:
        """Whether the exchange has stated anything yet."""
        raise NotImplementedError

    @property
    def _is_joining(self) -> bool:
        """Whether a second socket's book stands beside the own one."""
        raise NotImplementedError

    def _join(self, event: E) -> None:
        """The next event of the second socket."""
        raise NotImplementedError

    def _agrees(self) -> bool:
        """Whether both books are equal now."""
        raise NotImplementedError

    def _went_over(self) -> Emissions:
        """Both books are equal: the second one is not needed any more."""
        raise NotImplementedError

    def _go_over(self) -> Emissions:
        """The second socket's book takes the place of the own one, equal or not."""
        raise NotImplementedError

    def take(self, event: E, received_ms: int) -> Emissions:
        """What an event of the socket that counts leads to."""
        self._begin(received_ms)
        out = super().take(event, received_ms)
        if self._is_lost and self._is_joining:
            self.on_new = True
            return out + self._go_over()
        return out + self._go_over_if_agreed()

    def take_new(self, event: E, received_ms: int) -> Emissions:
        """Goes over to the second socket once its book agrees with the own one."""
        if not self._is_known or self._is_lost:
            self.on_new = isinstance(event, BookState)
            return self.take(event, received_ms) if self.on_new else []
        self._begin(received_ms)
        self._join(self._as_believed(event, received_ms))
        return self._go_over_if_agreed()

    def disrupted(self, cause: Cause) -> Emissions:
        """An open gap at once, and a statement is asked for, unless a second socket has one."""
        self._begin(self._now_ms)
        if not self._is_joining:
            return self._lose(cause, self._sound_ms)
        self.on_new = True
        is_socket = cause in {"disconnect", "stall"}
        told = [] if is_socket else self._lose(cause, self._sound_ms)
        return [one for one in told if isinstance(one, Write)] + self._go_over()

    def stalled(self) -> Emissions:
        """Has the exchange state the book: whether something was lost is seen then."""
        if not self._suspect:
            self._suspected_ms = self._last_ms
        self._suspect = self._is_known and not self._is_lost
        return [Restate()]

    def audit(self, now_s: float, audit_s: float) -> Emissions:
        """Asks again for what was not stated."""
        del audit_s
        if self._is_known and not self._is_lost:
            self._asked_s = None
            self._doubt(now_s)
            return []
        if self._asked_s is None:
            self._asked_s = now_s
        if now_s - self._asked_s < self._answer_s:
            return []
        self._asked_s = now_s
        return [Restate()]

    def share(self, *, two_sockets: bool, new_stays: bool = True, now_ms: int = 0) -> Emissions:
        """See `UnitSync`."""
        self._begin(now_ms)
        was_shared, self._is_shared = self._is_shared, two_sockets
        on_new, self.on_new = self.on_new, False
        if two_sockets or not was_shared or on_new == new_stays:
            self.lost_new()
            return []
        if on_new:
            return self._lose("disconnect", self._sound_ms)
        if self._is_joining:
            return self._go_over()
        return self._lose("disconnect", self._sound_ms)

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; the first number that was not published stands for what is lost."""
        first = next((write.id for write in unsent if isinstance(write.id, int)), None)
        if first is not None:
            self._last = max(self._sent, first - 1)
        self.muted = True
        return self._open("backpressure", self._sent_ms or self._since_ms)

    def _as_believed(self, event: E, received_ms: int) -> E:
        """Of a second socket's event that is an hour ahead all but its time (rule 10)."""
        known_ms = self._clock_ms(received_ms)
        if self._time(event) - known_ms <= AN_HOUR_MS:
            return event
        timed = msgspec.structs.replace(event.message, E=known_ms)
        return msgspec.structs.replace(event, message=timed)

    def _begin(self, now_ms: int) -> None:
        """What was numbered before has been published."""
        self._now_ms = max(now_ms, self._now_ms)
        self._sent, self._sent_ms = self._last, self.event_ms

    def _lose(self, cause: Cause, from_ms: int) -> Emissions:
        if self._is_lost or not self._is_known:
            return []
        self._is_lost, self._suspect = True, False
        opened = [] if self.muted else self._open(cause, from_ms)
        return [*opened, Restate()]

    def _open(self, cause: Cause, from_ms: int) -> Emissions:
        """A hole that is open already keeps its number and its beginning."""
        before, first = self._hole, self._last + 1
        if before is not None and before.first is not None:
            first, from_ms = before.first, min(before.from_, from_ms)
        self._hole = self._gap(first, None, cause, from_ms, None)
        return [gap(self._hole)]

    def _closed(self, hole: Gap, event_ms: int) -> Write:
        """The end of a hole; its one number stands for whatever was lost."""
        self._hole, self._is_lost = None, False
        to_ms = max(event_ms, hole.from_)
        return gap(self._gap(hole.first, hole.first, hole.cause, hole.from_, to_ms))

    def _begins_day(self, event_ms: int) -> bool:
        """Whether this is the first event of the exchange's day; asks once."""
        if event_ms < self._day_end_ms:
            return False
        _, self._day_end_ms = day_bounds_ms(day_of(event_ms, self.exchange), self.exchange)
        return True

    def _go_over_if_agreed(self) -> Emissions:
        if not self._is_joining or self._is_lost or not self._agrees():
            return []
        self.on_new, self._suspect = True, False
        return self._went_over()

    def _doubt(self, now_s: float) -> None:
        """A suspicion that nothing has answered ends some time."""
        if not self._suspect:
            self._suspect_s = None
        elif self._suspect_s is None:
            self._suspect_s = now_s
        elif now_s - self._suspect_s > self._suspicion_s:
            self._suspect = False
