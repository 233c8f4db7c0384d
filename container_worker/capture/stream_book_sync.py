"""A book by deltas that nobody numbers: `ws_diff_depth` with ids of our own (rule 7).

    statement ─► the first: u = 1 ─► deltas, each the next number
    something may be lost ─► open gap ─► what comes is passed over ─► fresh statement:
        gap closed under one number, which stands for whatever was lost, and the book with it
    a statement that says what the own book says ─► nothing

What shows a loss: a connection that ends, a frame that does not decode, a book that stays
crossed, a statement (asked for, or a second socket's) that differs from the own book.
"""

from typing import TYPE_CHECKING

import msgspec

from container_worker.capture.emissions import Emissions, Renew, Write
from container_worker.capture.joining import Joining
from container_worker.capture.one_socket import OneSocketSync
from container_worker.capture.stream_book import Place, StreamBook
from container_worker.capture.timing import PRODUCTION, Timing
from container_worker.exchanges.outcomes import BookDelta, BookState
from marketdata.messages import Cause, DepthSnapshot, DepthUpdate, Gap

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

CROSSED_MS = 1_000
"""Several messages may make one change: only a book that is crossed for so long is wrong."""


class StreamBookSync(OneSocketSync[BookState | BookDelta]):
    """Keeps the ticker's own book.

    `passed` counts deltas that came while the book was not known, `unknown` removals of
    levels that were not there.
    """

    def __init__(
        self,
        exchange: str,
        ticker: str,
        last: "LastKnown | None" = None,
        timing: Timing = PRODUCTION,
    ) -> None:
        super().__init__(exchange, ticker, last, timing)
        self.passed = 0
        self._book: StreamBook | None = None
        self._joining: Joining | None = None
        self._verified_ms = 0
        self._crossed_ms: int | None = None
        self._audited_s: float | None = None
        self._tested_removals = False
        self._is_timed = False

    @property
    def unknown(self) -> int:
        """Removals of levels that were not there, since the book was stated."""
        return 0 if self._book is None else self._book.unknown

    @property
    def _is_known(self) -> bool:
        return self._book is not None

    @property
    def _is_joining(self) -> bool:
        return self._joining is not None

    def lost_new(self) -> None:
        """See `UnitSync`."""
        self._joining = None

    def audit(self, now_s: float, audit_s: float) -> Emissions:
        """Also has the book tested every `audit_s`, by what a new socket says.

        After a removal of what was not there, once ten times as early.
        """
        out = super().audit(now_s, audit_s)
        if self._is_shared or self._audited_s is None or not self._is_known or self._is_lost:
            self._audited_s = now_s
        is_early = self.unknown > 0 and not self._tested_removals
        if now_s - self._audited_s >= (audit_s / 10 if is_early else audit_s):
            self._audited_s = now_s
            self._tested_removals = self._tested_removals or is_early
            out.append(Renew())
        return out

    def speak(self) -> Emissions:
        """Closes the gap with the own book, unless that is not known."""
        self._begin(self._now_ms)
        self.muted = False
        if self._hole is None or self._is_lost or self._book is None:
            return []
        return self._restated(self._hole, self._whole(self.event_ms))

    def _time(self, event: BookState | BookDelta) -> int:
        return event.message.E

    def _accept(self, event: BookState | BookDelta) -> Emissions:
        self.clock = event.clock
        if isinstance(event, BookState):
            return self._take_statement(event.message)
        self._is_timed = event.clock == "exchange"
        return self._take_delta(event.message)

    def _take_statement(self, stated: DepthSnapshot) -> Emissions:
        book, fresh, hole = self._book, StreamBook(stated), self._hole
        if book is not None and not self._is_lost:
            if not book.differences(fresh):
                self._verify(stated.E)
                return []
            from_ms = self._sound_ms if self._suspect else self._verified_ms
            cause: Cause = "stall" if self._suspect else "sequence"
            if not self.muted:
                hole = self._gap(self._last + 1, None, cause, from_ms, None)
        self._book = fresh
        if self._joining is not None:
            self._joining.compare(fresh, self._now_ms)
        self._verify(stated.E)
        if self.muted:
            self._is_lost = False
            return []
        return self._restated(hole, stated)

    def _take_delta(self, delta: DepthUpdate) -> Emissions:
        book = self._book
        if book is None or self._is_lost:
            self.passed += 1
            return []
        out: Emissions = []
        if not self.muted and self._begins_day(delta.E):
            out.append(Write(self._whole(delta.E), self._last))
        self._apply(book, delta)
        if not self.muted:
            out.append(self._numbered(delta))
        return out + self._look_at_tops(book)

    def _apply(self, book: StreamBook, delta: DepthUpdate) -> None:
        places: list[Place] = book.apply(delta)
        if self._joining is not None:
            self._joining.own_changed(places, self._now_ms)
        self.event_ms = max(self.event_ms, delta.E)

    def _numbered(self, delta: DepthUpdate) -> Write:
        self._last = number = self._last + 1
        numbered = DepthUpdate(
            delta.E, self.ticker, number, number, delta.b, delta.a, self.exchange
        )
        return Write(numbered, number)

    def _look_at_tops(self, book: StreamBook) -> Emissions:
        """A book that is crossed and stays so has lost something since it was stated."""
        if not book.is_crossed():
            self._crossed_ms = None
        elif self._crossed_ms is None:
            self._crossed_ms = self._now_ms
        elif self._now_ms - self._crossed_ms >= CROSSED_MS:
            return self._lose("sequence", self._verified_ms)
        return []

    def _verify(self, event_ms: int) -> None:
        """The own book is what the exchange says; a received time is none of its own."""
        if self.clock == "exchange" or not self._is_timed:
            self.event_ms = max(self.event_ms, event_ms)
        self._verified_ms = self._since_ms
        self._suspect, self._crossed_ms = False, None

    def _restated(self, hole: Gap | None, stated: DepthSnapshot) -> Emissions:
        """The end of the hole, and the book under the same number."""
        out: Emissions = [] if hole is None else [self._closed(hole, stated.E)]
        self._begins_day(stated.E)
        self._last += 1
        book = msgspec.structs.replace(stated, u=self._last, s=self.ticker, x=self.exchange)
        return [*out, Write(book, self._last)]

    def _whole(self, event_ms: int) -> DepthSnapshot:
        bids, asks = ([], []) if self._book is None else self._book.levels()
        return DepthSnapshot(event_ms, self.ticker, self._last, bids, asks, self.exchange)

    def _join(self, event: BookState | BookDelta) -> None:
        if isinstance(event, BookDelta):
            if self._joining is not None:
                self._joining.brought(event.message, self._now_ms)
        elif self._book is not None:
            self._joining = Joining(event.message, self._book, self._now_ms)

    def _agrees(self) -> bool:
        return self._joining is not None and self._joining.agrees

    def _went_over(self) -> Emissions:
        if self._joining is not None and self._joining.is_loss:
            return self._go_over()
        self._joining = None
        self._verified_ms, self._crossed_ms = self._since_ms, None
        return []

    def _go_over(self) -> Emissions:
        """What differs only because one socket is later is a delta; the rest was lost."""
        joining, self._joining = self._joining, None
        if joining is None or self._book is None:
            return []
        verdict, event_ms = joining.verdict(self._now_ms), max(joining.event_ms, self.event_ms)
        if not verdict.is_loss and not self._is_lost:
            self._verified_ms = event_ms
            return self._take_delta(joining.delta(event_ms)) if verdict.differs else []
        hole = self._hole
        if hole is None:
            hole = self._gap(self._last + 1, None, "sequence", self._verified_ms, None)
        self._book, self._is_lost, self._tested_removals = joining.book, False, False
        self._verify(event_ms)
        return [] if self.muted else self._restated(hole, self._whole(event_ms))
