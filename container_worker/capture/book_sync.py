"""A book by deltas, `ws_diff_depth`: never a wrong book unmarked (rules 7-10).

    delta ─► opening:  buffered until a snapshot fits ─► snapshot, then deltas
          ─► in step:  published as it came
          ─► a hole:   gap, the delta, ... and once a snapshot fits: the whole book again

After a hole what comes is still published at once: nothing that was received is held back, the
ids that are missing are exactly those of the gap, and the book is stated again as of the last
delta published.
"""

from collections.abc import Sequence

from container_worker.capture.emissions import Emissions, Fetch, Write, gap
from container_worker.capture.numbered_sync import NumberedSync
from container_worker.capture.own_book import OwnBook
from container_worker.capture.rebuild import Rebuild, Verified
from container_worker.exchanges.outcomes import RestBook
from marketdata.book import Step, follow
from marketdata.messages import DepthSnapshot, DepthUpdate, Gap, Level
from marketdata.times import day_bounds_ms, day_of


class BookSync(NumberedSync[DepthUpdate]):
    """Keeps the ticker's own book, and knows whether it is right.

    `last` is the id of the newest delta taken.
    """

    def __init__(self, exchange: str, ticker: str) -> None:
        super().__init__(exchange, ticker)
        self._book = OwnBook()
        self._rebuild: Rebuild | None = Rebuild()
        self._hole: Gap | None = None
        self._day_end_ms = 0
        self._stated_first: int | None = None

    @property
    def settled(self) -> bool:
        """As for all numbered units, and no delta waits for the first snapshot."""
        return super().settled and (self._is_open or not self._rebuilding().holds)

    @property
    def in_step(self) -> bool:
        """Whether the book is there and verified."""
        return self._rebuild is None

    @property
    def _is_open(self) -> bool:
        return self._book.last is not None

    def offer(self, snapshot: RestBook) -> Emissions:
        """The answer to `Fetch`."""
        if self._rebuild is None:
            return []
        self._rebuild.offer(snapshot)
        return self._audible(self._check(self._rebuild))

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; whether the first snapshot was among the lost is remembered."""
        if any(_states(write, self._stated_first) for write in unsent):
            self._stated_first = None
        return super().overflow(unsent)

    def speak(self) -> Emissions:
        """Closes the gap and states the own book, unless that is being rebuilt anyway."""
        out = super().speak()
        if out and self._is_open and self.in_step:
            out.append(self._statement(self.event_ms))
        elif self._stated_first is None:
            self._book = OwnBook()
        return out

    def _span(self, event: DepthUpdate) -> tuple[int, int]:
        return event.U, event.u

    def _time(self, event: DepthUpdate) -> int:
        return event.E

    def _first_id(self, write: Write) -> int | None:
        message = write.message
        if isinstance(message, DepthUpdate):
            return message.U
        return message.first if isinstance(message, Gap) else None

    def _advance(self, event: DepthUpdate, step: Step) -> Emissions:
        self.last = step.last
        if self._rebuild is None and step.missing is None and self._day_end_ms > event.E:
            self._book.apply(event)
            self.event_ms = max(self.event_ms, event.E)
            self._cause = None
            return [] if self.muted else [Write(event, event.u)]
        if not self._is_open:
            return self._audible(self._collect(event, hole=step.missing is not None))
        return self._audible(self._publish(event, step))

    def _publish(self, delta: DepthUpdate, step: Step) -> Emissions:
        out: Emissions = []
        if self._day_end_ms <= delta.E:
            out.append(self._begin_day(delta.E))
        if step.missing is not None:
            self._hole = self._missing(step.missing, delta.E)
            self._rebuilding()
            out.append(gap(self._hole))
        self._book.apply(delta)
        self.event_ms = max(self.event_ms, delta.E)
        self._cause = None
        out.append(Write(delta, delta.u))
        if self._rebuild is not None:
            out += self._collect(delta, hole=step.missing is not None)
        return out

    def _collect(self, delta: DepthUpdate, *, hole: bool) -> Emissions:
        rebuild = self._rebuilding()
        if hole:
            rebuild.clear()
        rebuild.add(delta)
        return self._check(rebuild)

    def _rebuilding(self) -> Rebuild:
        if self._rebuild is None:
            self._rebuild = Rebuild()
        return self._rebuild

    def _check(self, rebuild: Rebuild) -> Emissions:
        verified = rebuild.verify()
        if verified is None:
            return [Fetch(self.ticker)] if rebuild.ask() else []
        self._rebuild = self._hole = None
        return self._restate(verified) if self._is_open else self._open(verified)

    def _open(self, verified: Verified) -> Emissions:
        """The first record of this process is the snapshot, with its first delta's time."""
        rest, kept = verified
        self._load(rest)
        out: Emissions = [self._stated(kept[0].E, rest.bids, rest.asks)]
        self.event_ms = kept[0].E
        for delta in kept:
            step = follow(self._book.last, delta.U, delta.u)
            out += self._publish(delta, step)
        return out

    def _restate(self, verified: Verified) -> Emissions:
        """The new book, brought up to the last delta published, in place of the old one."""
        self._load(verified.snapshot)
        for delta in verified.kept:
            self._book.apply(delta)
        return [self._statement(verified.kept[-1].E)]

    def _load(self, rest: RestBook) -> None:
        self._book = OwnBook()
        self._book.load(
            DepthSnapshot(0, self.ticker, rest.last_id, rest.bids, rest.asks, self.exchange)
        )

    def _begin_day(self, event_ms: int) -> Write:
        """A day's first record: the book, or, when it is not known, the gap once more."""
        if self._hole is None:
            return self._statement(event_ms)
        self._enter_day(event_ms)
        hole = self._hole
        return gap(self._gap(hole.first, hole.last, hole.cause, hole.from_, event_ms))

    def _statement(self, event_ms: int) -> Write:
        return self._stated(event_ms, *self._book.levels())

    def _stated(self, event_ms: int, bids: list[Level], asks: list[Level]) -> Write:
        self._enter_day(event_ms)
        last = self._book.last or 0
        if self._stated_first is None and not self.muted:
            self._stated_first = last
        return Write(
            DepthSnapshot(event_ms, self.ticker, last, bids, asks, self.exchange), last
        )

    def _enter_day(self, event_ms: int) -> None:
        if event_ms >= self._day_end_ms:
            _, self._day_end_ms = day_bounds_ms(day_of(event_ms, self.exchange), self.exchange)

    def _audible(self, out: Emissions) -> Emissions:
        return [e for e in out if not isinstance(e, Write)] if self.muted else out


def _states(write: Write, last: int | None) -> bool:
    return isinstance(write.message, DepthSnapshot) and write.message.u == last
