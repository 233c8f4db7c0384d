"""Units whose messages state everything anew: `ws_depth` and `ws_candles`.

Their ids show no hole, so that a gap says times only (docs/mapping.md).
"""

from collections.abc import Sequence

import msgspec

from container_worker.capture.emissions import Emissions, Write, gap
from container_worker.capture.unit_sync import GuardedSync, UnitSync
from container_worker.exchanges.outcomes import CandleState, Clock
from marketdata.messages import Candle, Cause, DepthSnapshot, Gap


class SnapshotSync(UnitSync):
    """Publishes every newer book; an outage is an open gap until the next one."""

    def __init__(self, exchange: str, ticker: str, clock: Clock) -> None:
        super().__init__(exchange, ticker)
        self.clock = clock
        self._last: int | None = None
        self._open: Gap | None = None

    def take(self, book: DepthSnapshot, _received_ms: int) -> Emissions:
        """Drops what is not newer: the id must not go back (protocols 1.6)."""
        if self._last is not None and book.u <= self._last:
            self.repeats += 1
            return []
        self._last = book.u
        out: Emissions = []
        if self._open is not None and not self.muted:
            closed = self._gap(None, None, self._open.cause, self._open.from_, book.E)
            self._open = None
            out.append(gap(closed))
        self.event_ms = max(self.event_ms, book.E)
        out.append(Write(book, book.u))
        return [] if self.muted else out

    def disrupted(self, cause: Cause) -> Emissions:
        """Nothing numbers these messages, so the loss is seen at once."""
        if self._last is None or self._open is not None:
            return []
        self._open = self._gap(None, None, cause, self.event_ms, None)
        return [gap(self._open)]

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; the gap is open until the first book after `speak`."""
        del unsent
        self.muted = True
        self._open = self._gap(None, None, "backpressure", self.event_ms, None)
        return [gap(self._open)]

    def speak(self) -> Emissions:
        """The next book closes the gap."""
        self.muted = False
        return []


class CandleSync(GuardedSync[CandleState]):
    """Publishes every state of a candle; one that was never seen closed is a gap."""

    def __init__(self, exchange: str, ticker: str, symbol: str) -> None:
        super().__init__(exchange, ticker)
        self._symbol = symbol
        self._current: CandleState | None = None
        self._lost: Gap | None = None

    def _time(self, event: CandleState) -> int:
        return event.event_ms

    def _accept(self, event: CandleState) -> Emissions:
        """Drops what the other socket brought already, and what goes back."""
        candle, before = event, self._current
        if before is not None and not _is_newer(candle, before):
            self.repeats += 1
            return []
        self._current = candle
        out = [] if before is None else self._missed(before, candle)
        self.event_ms = max(self.event_ms, candle.event_ms)
        self._cause = None
        out.append(Write(self._candle(candle), candle.start_ms))
        return [] if self.muted else out

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; the gap begins with the candle that could not be written."""
        self.muted = True
        first = next((write.id for write in unsent if isinstance(write.id, int)), None)
        self._lost = self._gap(first, None, "backpressure", self.event_ms, None)
        return [gap(self._lost)]

    def speak(self) -> Emissions:
        """Closes the gap and says the current candle again."""
        lost, self._lost, self.muted = self._lost, None, False
        if lost is None or self._current is None:
            return []
        last = self._current.start_ms - self._current.length_ms
        out: Emissions = []
        known = lost.first is not None and lost.first <= last
        first, last_lost = (lost.first, last) if known else (None, None)
        out.append(gap(self._gap(first, last_lost, "backpressure", lost.from_, self.event_ms)))
        out.append(Write(self._candle(self._current), self._current.start_ms))
        return out

    def _missed(self, before: CandleState, now: CandleState) -> Emissions:
        """Candles whose end was not seen; a minute without a trade has none and is no loss."""
        first = before.start_ms + (before.length_ms if before.closed else 0)
        last = now.start_ms - now.length_ms
        if first > last or (before.closed and self._cause is None):
            return []
        cause = self._cause or "sequence"
        return [gap(self._gap(first, last, cause, first, now.start_ms))]

    def _candle(self, state: CandleState) -> Candle:
        return Candle(
            pair=self._symbol,
            timestamp=state.start_ms,
            open=msgspec.Raw(state.open.encode()),
            high=msgspec.Raw(state.high.encode()),
            low=msgspec.Raw(state.low.encode()),
            close=msgspec.Raw(state.close.encode()),
            volume=msgspec.Raw(state.volume.encode()),
            source=self.exchange,
            interval=state.interval,
            closed=state.closed,
        )


def _is_newer(candle: CandleState, before: CandleState) -> bool:
    if candle.start_ms != before.start_ms:
        return candle.start_ms > before.start_ms
    if before.closed:
        return False
    return candle.closed or candle.event_ms > before.event_ms
