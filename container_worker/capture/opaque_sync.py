"""What is not numbered and states nothing: trades by text ids, tickers (`opaque`, rule 7)."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from container_worker.capture.emissions import Emissions, Write
from container_worker.capture.price_update import price_update
from container_worker.capture.unit_sync import GuardedSync, UnnumberedSync
from container_worker.exchanges.outcomes import TickerState, Trade
from marketdata.messages import NULL, PriceUpdate
from marketdata.times import iso_ms

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

REMEMBERED = 1_000
"""So many ids are kept to tell repeats by; an older one counts as new."""


class OpaqueTradeSync(UnnumberedSync, GuardedSync[Trade]):
    """Publishes every trade once, as it comes."""

    def __init__(
        self, exchange: str, ticker: str, symbol: str, last: "LastKnown | None" = None
    ) -> None:
        super().__init__(exchange, ticker, last)
        self._symbol = symbol
        self._seen: OrderedDict[int | str, None] = OrderedDict()
        if last is not None and last.id is not None:
            self._seen[last.id] = None

    def fill(self, events: Sequence[Trade]) -> list[Write]:
        """Records of trades that were recovered; changes nothing else."""
        return [Write(self._record(event), event.id) for event in events]

    def _time(self, event: Trade) -> int:
        return event.time_ms

    def _accept(self, event: Trade) -> Emissions:
        if event.id in self._seen:
            self.repeats += 1
            return []
        self._seen[event.id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        out = self._close(event.time_ms)
        self.event_ms = max(self.event_ms, event.time_ms)
        self.clock = event.clock
        return [] if self.muted else [*out, Write(self._record(event), event.id)]

    def _record(self, trade: Trade) -> PriceUpdate:
        return price_update(trade, self._symbol, self.exchange)


class TickerSync(UnnumberedSync, GuardedSync[TickerState]):
    """Merges what a ticker channel says, and publishes when price or volume has changed.

    A message that says only a part changes that part. Of two sockets the new one counts from
    its first message on: what they say cannot be put in order.
    """

    single = True

    def __init__(
        self, exchange: str, ticker: str, symbol: str, last: "LastKnown | None" = None
    ) -> None:
        super().__init__(exchange, ticker, last)
        self._symbol = symbol
        self._price: str | None = None
        self._volume: str | None = None
        self._stated_ms = 0

    def take_new(self, event: TickerState, received_ms: int) -> Emissions:
        """Goes over to the second socket."""
        self.on_new = True
        return self.take(event, received_ms)

    def share(self, *, two_sockets: bool, new_stays: bool = True, now_ms: int = 0) -> Emissions:
        """What the older socket said meanwhile is lost when the second one fails."""
        del now_ms
        lost = self.on_new and not two_sockets and not new_stays
        self.on_new = False
        return self.disrupted("disconnect") if lost else []

    def _time(self, event: TickerState) -> int:
        return event.time_ms

    def _accept(self, event: TickerState) -> Emissions:
        if event.clock == "exchange" and event.time_ms < self._stated_ms:
            self.repeats += 1
            return []
        self._stated_ms = event.time_ms
        before = (self._price, self._volume)
        self._price = event.price or self._price
        self._volume = event.volume or self._volume
        self.clock = event.clock
        if self._price is None or (
            self._open is None and before == (self._price, self._volume)
        ):
            return []
        out = self._close(event.time_ms)
        self.event_ms = max(self.event_ms, event.time_ms)
        return [] if self.muted else [*out, Write(self._record(event), event.trade_id or "")]

    def _record(self, event: TickerState) -> PriceUpdate:
        return PriceUpdate(
            symbol=self._symbol,
            price=msgspec.Raw((self._price or "0").encode()),
            volume=NULL if self._volume is None else msgspec.Raw(self._volume.encode()),
            timestamp=iso_ms(event.time_ms),
            source=self.exchange,
            trade_id="" if event.trade_id is None else event.trade_id,
            quantity=NULL if event.quantity is None else msgspec.Raw(event.quantity.encode()),
            side=event.side or "",
        )
