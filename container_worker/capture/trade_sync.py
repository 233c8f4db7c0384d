"""Trades by consecutive trade id: `ws_trades` (rule 7)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from container_worker.capture.emissions import Emissions, Recover, Write, gap
from container_worker.capture.id_ranges import holds
from container_worker.capture.numbered_sync import NumberedSync
from container_worker.capture.price_update import price_update
from container_worker.exchanges.outcomes import Trade
from marketdata.book import Step
from marketdata.messages import Gap, PriceUpdate

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

MOST_RECOVERED = 100_000
"""Of a larger hole only the newest trades are asked for; the gap names all of them."""
BELIEVED_AFTER_MS = 500
"""A trade may be so much later than the message that names it as the last one."""
ANOTHER_TAPE_MS = 60_000
"""A first trade so much older than the last one known is of another tape: ids begin anew."""


class TradeSync(NumberedSync[Trade]):
    """Publishes every trade once, in order of id; a hole is a gap that is closed at once.

    It begins after the last trade that the topic has, so that a restart shows its own hole.
    With `recovers` each hole is also asked for (`Recover`); what comes back goes to `fill`.
    `skipped`: the last id is that of a trade which was named and did not come.
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
        self.skipped = False
        self._symbol = symbol
        self._recovers = recovers
        self._named: tuple[int, int] | None = None
        self._before_ms = 0
        if last is not None and isinstance(last.id, int):
            self.last = last.id
            self._cause = "restart"
            self._before_ms = last.event_ms

    def take(self, event: Trade, received_ms: int) -> Emissions:
        """As all numbered units, but for another tape on the same topic (a replay)."""
        if self._before_ms:
            if event.time_ms < self._before_ms - ANOTHER_TAPE_MS:
                self.last, self.event_ms, self._cause, self._there = None, 0, None, ()
            self._before_ms = 0
        return super().take(event, received_ms)

    def newest(self, id_: int, received_ms: int) -> Emissions:
        """The exchange names its newest trade (`LastTrade`).

        Without a trade before it this is where counting begins. Later, one that was not told
        is a hole as soon as another such message comes and the trade still has not.
        """
        if not self.settled:
            return []
        if self.last is None:
            self.last = id_
            return []
        if id_ <= self.last:
            self._named = None
            return []
        if self._named is None or self._named[0] <= self.last:
            self._named = (id_, received_ms)
            return []
        named, named_ms = self._named
        if id_ < named or received_ms - named_ms < BELIEVED_AFTER_MS:
            return []
        hole = self._missing((self.last + 1, named), max(self._last_ms, received_ms))
        self.last, self.skipped, self._cause = named, True, None
        self._named = (id_, received_ms) if id_ > named else None
        return self._told(hole)

    def fill(self, events: Sequence[Trade]) -> list[Write]:
        """See `UnitSync`."""
        return [
            Write(self._record(event), event.id)
            for event in events
            if not holds(self._there, int(event.id))
        ]

    def speak(self) -> Emissions:
        """As all numbered units, and the hole is asked for."""
        out = super().speak()
        for emission in list(out):
            if isinstance(emission, Write) and isinstance(emission.message, Gap):
                out += self._recover(emission.message)
        return out

    def _span(self, event: Trade) -> tuple[int, int]:
        id_ = int(event.id)
        return id_, id_

    def _time(self, event: Trade) -> int:
        return event.time_ms

    def _advance(self, event: Trade, step: Step) -> Emissions:
        out: Emissions = []
        if step.missing is not None:
            out += self._told(self._missing(step.missing, event.time_ms))
        out.append(Write(self._record(event), event.id))
        self.last, self.skipped = step.last, False
        self.event_ms = max(self.event_ms, event.time_ms)
        self.clock = event.clock
        self._cause = None
        return [] if self.muted else out

    def _told(self, hole: Gap) -> Emissions:
        return [gap(hole), *self._recover(hole)]

    def _recover(self, hole: Gap) -> Emissions:
        if not self._recovers or hole.first is None or hole.last is None:
            return []
        return [Recover(max(hole.first, hole.last - MOST_RECOVERED + 1), hole.last)]

    def _record(self, trade: Trade) -> PriceUpdate:
        return price_update(trade, self._symbol, self.exchange)
