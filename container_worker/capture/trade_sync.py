"""Trades by trade id: `ws_trades` (rule 7)."""

import msgspec

from container_worker.capture.emissions import Emissions, Write, gap
from container_worker.capture.unit_sync import NumberedSync
from container_worker.exchanges.outcomes import Trade
from marketdata.book import Step
from marketdata.messages import NULL, PriceUpdate
from marketdata.times import iso_ms


class TradeSync(NumberedSync[Trade]):
    """Publishes every trade once, in order of id; a hole is a gap that is closed at once."""

    def __init__(self, exchange: str, ticker: str, symbol: str) -> None:
        super().__init__(exchange, ticker)
        self._symbol = symbol

    def _span(self, event: Trade) -> tuple[int, int]:
        return event.id, event.id

    def _time(self, event: Trade) -> int:
        return event.time_ms

    def _advance(self, event: Trade, step: Step) -> Emissions:
        out: Emissions = []
        if step.missing is not None:
            out.append(gap(self._missing(step.missing, event.time_ms)))
        out.append(Write(self._price_update(event), event.id))
        self.last = step.last
        self.event_ms = max(self.event_ms, event.time_ms)
        self._cause = None
        return [] if self.muted else out

    def _price_update(self, trade: Trade) -> PriceUpdate:
        return PriceUpdate(
            symbol=self._symbol,
            price=msgspec.Raw(trade.price.encode()),
            volume=NULL,
            timestamp=iso_ms(trade.time_ms),
            source=self.exchange,
            trade_id=trade.id,
            quantity=msgspec.Raw(trade.quantity.encode()),
            side=trade.side,
        )
