"""Candles, each said again until it is closed: `ws_candles`.

state ─► newer than the last? ─► the one before closed? else a gap ─► Write, Recover
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from container_worker.capture.emissions import Emissions, Recover, Write, gap
from container_worker.capture.id_ranges import holds
from container_worker.capture.unit_sync import GuardedSync
from container_worker.exchanges.outcomes import CandleState
from marketdata.messages import Candle, Gap
from marketdata.topics import MINUTE_MS

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

MOST_RECOVERED = 1_000
"""Of a longer hole only the newest candles are asked for; the gap names all of them."""
HISTORY = 1_000
"""So many candles before the first one ever are asked for."""


class _Before(NamedTuple):
    """The newest candle that the topic has, from before this capture."""

    start_ms: int
    closed: bool


class CandleSync(GuardedSync[CandleState]):
    """Publishes every state of a candle; one whose end was never seen is a gap.

    Where the exchange never says `closed`, the next candle's begin does: the one before is
    said once more, closed. With `recovers` each hole is also asked for (`Recover`), and at the
    first start of all the history before the first candle; what comes back goes to `fill`.
    """

    def __init__(
        self,
        exchange: str,
        ticker: str,
        symbol: str,
        last: "LastKnown | None" = None,
        *,
        recovers: bool = False,
    ) -> None:
        super().__init__(exchange, ticker, last)
        self._symbol = symbol
        self._recovers = recovers
        self._current: CandleState | None = None
        self._before: _Before | None = None
        self._lost: Gap | None = None
        if last is not None and isinstance(last.id, int):
            self._before = _Before(last.id, last.id == last.candle_start_ms)
            self._cause = "restart"

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """Goes silent; the gap begins with the candle that could not be written."""
        self.muted = True
        first = next((write.id for write in unsent if isinstance(write.id, int)), None)
        self._lost = self._gap(first, None, "backpressure", self._since_ms, None)
        return [gap(self._lost)]

    def speak(self) -> Emissions:
        """Closes the gap and says the current candle again."""
        lost, self._lost, self.muted = self._lost, None, False
        if lost is None or self._current is None:
            return []
        last = self._current.start_ms - self._current.length_ms
        known = lost.first is not None and lost.first <= last
        first, last_lost = (lost.first, last) if known else (None, None)
        to_ms = max(self.event_ms, lost.from_)
        hole = self._gap(first, last_lost, "backpressure", lost.from_, to_ms)
        again = Write(self._candle(self._current), self._current.start_ms)
        return [*self._told(hole, self._current.length_ms), again]

    def fill(self, events: Sequence[CandleState]) -> list[Write]:
        """See `UnitSync`."""
        return [
            Write(self._candle(event), event.start_ms)
            for event in events
            if not holds(self._there, event.start_ms // MINUTE_MS)
        ]

    def _time(self, event: CandleState) -> int:
        """Where the event time is that of the receipt a bad clock shows in the start."""
        return max(event.event_ms, event.start_ms)

    def _accept(self, event: CandleState) -> Emissions:
        """Drops what the other socket brought already, and what goes back."""
        candle, current = event, self._current
        if self._is_old(candle):
            self.repeats += 1
            return []
        out = self._begin(candle) if current is None else self._follow(current, candle)
        self._current = candle
        # Who never says `closed` sends no event time either: `event_ms` is the receipt's.
        self.clock = "exchange" if candle.closed is not None else "received"
        self.event_ms = max(self.event_ms, candle.event_ms)
        self._cause = None
        out.append(Write(self._candle(candle), candle.start_ms))
        return [] if self.muted else out

    def _is_old(self, candle: CandleState) -> bool:
        current = self._current
        if current is None:
            return self._before is not None and candle.start_ms < self._before.start_ms
        return not _is_newer(candle, current)

    def _begin(self, candle: CandleState) -> Emissions:
        """The first one of this process."""
        length_ms, before = candle.length_ms, self._before
        if before is not None:
            first_ms = before.start_ms + (length_ms if before.closed else 0)
            return self._missed(first_ms, candle)
        if not self._recovers:
            return []
        return [Recover(candle.start_ms - HISTORY * length_ms, candle.start_ms - length_ms)]

    def _follow(self, before: CandleState, now: CandleState) -> Emissions:
        """Closes the one before, or tells that its end was not seen.

        A minute without a trade has no candle and is no loss, unless the line was down.
        """
        if now.start_ms == before.start_ms:
            return []
        if before.closed or (before.closed is None and self._cause is None):
            out: Emissions = []
            if before.closed is None:
                closed = Write(self._candle(before, closed=True), before.start_ms)
                out.append(closed)
            if self._cause is not None:
                out += self._missed(before.start_ms + before.length_ms, now)
            return out
        return self._missed(before.start_ms, now)

    def _missed(self, first_ms: int, now: CandleState) -> Emissions:
        last_ms = now.start_ms - now.length_ms
        if first_ms > last_ms:
            return []
        cause = self._cause or "sequence"
        hole = self._gap(first_ms, last_ms, cause, first_ms, now.start_ms)
        return self._told(hole, now.length_ms)

    def _told(self, hole: Gap, length_ms: int) -> Emissions:
        out: Emissions = [gap(hole)]
        if self._recovers and hole.first is not None and hole.last is not None:
            first_ms = max(hole.first, hole.last - (MOST_RECOVERED - 1) * length_ms)
            out.append(Recover(first_ms, hole.last))
        return out

    def _candle(self, state: CandleState, *, closed: bool | None = None) -> Candle:
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
            closed=state.closed is True if closed is None else closed,
        )


def _is_newer(candle: CandleState, before: CandleState) -> bool:
    if candle.start_ms != before.start_ms:
        return candle.start_ms > before.start_ms
    if candle.closed is None:
        return not _goes_back(candle, before)
    if before.closed:
        return False
    return candle.closed or candle.event_ms > before.event_ms


def _goes_back(candle: CandleState, before: CandleState) -> bool:
    """Whether the other socket said this already: a candle's volume never falls."""
    if candle.event_ms == before.event_ms:
        return candle == before
    return Decimal(candle.volume) < Decimal(before.volume)
