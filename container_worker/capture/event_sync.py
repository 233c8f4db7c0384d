"""The unit of a chain's contract events, which are asked for page by page.

page ─► take, each event ─► reached: the cursor ─► the next question begins there

Nothing is lost by a broken connection or a full producer: the cursor stays where everything
was written, and the node is asked again from there. Only what the node no longer has is gone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from container_worker.capture.clock_guard import AN_HOUR_MS, ClockGuard
from container_worker.capture.emissions import Emissions, Refuse, Write, gap
from container_worker.capture.last_known import LastKnown
from container_worker.capture.unit_sync import UnitSync
from container_worker.exchanges.polling import BadEvent, Window
from marketdata.messages import Cause, ContractEvent, Gap
from marketdata.times import parse_iso_ms

_END = 2**32 - 1
_END_EVENT = f"-{_END:010d}"
_MOST_LATE_MS = 60_000
"""A node that tells no close times is taken to know every ledger that is a minute old."""


class Missing(NamedTuple):
    """Ledgers that the node has no more, `first` to `last`; a poller puts it before a page."""

    first: int
    last: int
    cause: Cause = "retention"


class Garbage(NamedTuple):
    """An answer that is no page, for `rejects`; it is asked for again, so nothing is lost."""

    raw: msgspec.Raw
    reason: str


def ledger_of(cursor: str) -> int:
    """The ledger that an event's id or a cursor lies in (protocols 4.4)."""
    return int(cursor.partition("-")[0]) >> 32


def is_end(cursor: str) -> bool:
    """Whether a cursor is past everything that its ledger can hold."""
    place, _, event = cursor.partition("-")
    return int(event) == _END == int(place) & _END


def end_of(ledger: int) -> str:
    """The cursor past everything that a ledger can hold."""
    return f"{ledger << 32 | _END:019d}{_END_EVENT}"


class EventSync(UnitSync):
    """Publishes every event once, by rising id. Not thread-safe.

    `event_ms` is the close time of the last ledger of which everything is written; where the
    node tells none and no event does, it goes by the time of receipt, so that the cursor is
    written with it.
    """

    def __init__(self, exchange: str, ticker: str, last: LastKnown | None = None) -> None:
        super().__init__(exchange, ticker)
        self._at = ""
        self._before = ""
        self._doubted: ContractEvent | None = None
        self._passes_over = False
        self._closes: ClockGuard[int] = ClockGuard()
        self._read_ms = 0
        self._lost: Gap | None = None
        self._lost_last = 0
        if last is not None:
            self.event_ms = last.event_ms
            self._at = max(last.id if isinstance(last.id, str) else "", last.cursor or "")

    @property
    def cursor(self) -> str | None:
        """Where the next question begins: a watermark's `cursor` (rule 17)."""
        return self._at or None

    @property
    def settled(self) -> bool:
        """Nothing is muted, no time is in doubt, and no gap is open."""
        return not self.muted and self._doubted is None and self._lost is None

    def take(
        self, event: ContractEvent | Missing | Garbage | BadEvent, received_ms: int
    ) -> Emissions:
        """What one thing of a page leads to; repeats are dropped by id."""
        if isinstance(event, Missing):
            return self.missing(event.first, event.last, event.cause, received_ms)
        if isinstance(event, Garbage):
            return [_reject(event)]
        if self.muted or self._passes_over:
            return []
        if not isinstance(event, ContractEvent):
            return [_reject(event), *self._open(None, "garbage", received_ms)]
        if event.id <= self._at:
            self.repeats += 1
            return []
        return self._admit(event, received_ms)

    def missing(self, first: int, last: int, cause: Cause, received_ms: int) -> Emissions:
        """These ledgers cannot be had: an open gap, closed by what is read next."""
        self._at = max(self._at, end_of(last))
        self._lost_last = max(self._lost_last, last)
        out: Emissions = []
        if self._lost is not None and self._lost.first is None:
            out += self._found(self.event_ms or received_ms)
        return out + self._open(first, cause, received_ms)

    def reached(self, cursor: str, window: Window, received_ms: int = 0) -> Emissions:
        """Everything up to `cursor` has been taken; `window` is the node's as of then."""
        has_moved = cursor > self._at
        passed_over, self._passes_over = self._passes_over, False
        if self.muted or passed_over or not cursor:
            return []
        self._at = max(self._at, cursor)
        self._doubted = None
        if not is_end(cursor):
            return []
        read_ms = self._read_ms
        if ledger_of(cursor) >= window.latest:
            read_ms = max(read_ms, self._believed(window.latest_ms))
            if window.latest_ms:
                self.clock = "exchange"
            elif read_ms <= self.event_ms and has_moved:
                self.clock, read_ms = "received", received_ms - _MOST_LATE_MS
        if read_ms <= self.event_ms:
            return []
        self.event_ms = read_ms
        return self._found(read_ms)

    def disrupted(self, cause: Cause) -> Emissions:
        """Nothing is lost: the next question begins at the cursor."""
        del cause
        return []

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes back to before the event that was not published, and stays there."""
        del unsent
        self.muted = True
        self._at = self._before
        self._read_ms = min(self._read_ms, self.event_ms)
        return []

    def speak(self) -> Emissions:
        """What was not published is asked for again; no gap."""
        self.muted = False
        return []

    def _admit(self, event: ContractEvent, received_ms: int) -> Emissions:
        event_ms = parse_iso_ms(event.timestamp)
        known_ms = max(self.event_ms, received_ms)
        if event_ms - known_ms > AN_HOUR_MS and not self._agrees(event, event_ms):
            self._passes_over = True
            return self._doubt(event, known_ms)
        return self._write(event, event_ms, known_ms)

    def _open(self, first: int | None, cause: Cause, received_ms: int) -> Emissions:
        if self._lost is not None:
            return []
        from_ms = self.event_ms or received_ms
        lost = Gap(from_ms, self.ticker, self.exchange, first, None, cause, from_ms, None)
        self._lost = lost
        # At the very first start there is no time yet that the gap could be open from.
        return [gap(lost)] if self.event_ms else []

    def _agrees(self, event: ContractEvent, event_ms: int) -> bool:
        """Whether an earlier answer gave the same event a time like this."""
        doubted = self._doubted
        if doubted is None or doubted.id != event.id:
            return False
        return abs(event_ms - parse_iso_ms(doubted.timestamp)) <= AN_HOUR_MS

    def _doubt(self, event: ContractEvent, known_ms: int) -> Emissions:
        """A chain's times lie in the past (rule 10); what follows is asked for again too."""
        out = self._refuse_doubted(known_ms)
        self._doubted = event
        return out

    def _refuse_doubted(self, known_ms: int) -> Emissions:
        """The node says something else now, so what it said first is a reject."""
        doubted, self._doubted = self._doubted, None
        if doubted is None:
            return []
        ahead_s = (parse_iso_ms(doubted.timestamp) - known_ms) // 1000
        reason = f"its time was {ahead_s} s ahead of the chain; the node was asked again"
        return [Refuse(doubted, reason)]

    def _write(self, event: ContractEvent, event_ms: int, known_ms: int) -> Emissions:
        out: Emissions = []
        if self._doubted is not None and self._agrees(event, event_ms):
            self._doubted = None
        else:
            out += self._refuse_doubted(known_ms)
        self._before, self._at = self._at, event.id
        self._read_ms, self.clock = event_ms, "exchange"
        # Others of this ledger may still come.
        self.event_ms = max(self.event_ms, event_ms - 1)
        out += self._found(event_ms)
        out.append(Write(event, event.id))
        return out

    def _believed(self, close_ms: int) -> int:
        """The time, or 0 for one that is an hour ahead and that no second one agrees with."""
        ready, _ = self._closes.admit(close_ms, close_ms, self.event_ms)
        return max(ready, default=0)

    def _found(self, event_ms: int) -> Emissions:
        """Closes the gap that is open, if one is."""
        lost, self._lost = self._lost, None
        if lost is None:
            return []
        last = None if lost.first is None else self._lost_last
        from_ms = min(lost.from_, event_ms)
        return [gap(self._gap(lost.first, last, lost.cause, from_ms, event_ms))]


def _reject(found: Garbage | BadEvent) -> Refuse:
    return Refuse(found.raw, found.reason)
