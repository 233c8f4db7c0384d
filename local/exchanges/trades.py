"""Trades as REST answers tell them, bounded; filled by a market or by a tape."""

from collections import deque
from typing import NamedTuple

TRADES_KEPT = 10_000


class Trade(NamedTuple):
    """One trade; texts are the exchange's own, `buyer_maker` means the aggressor sold."""

    trade_id: int
    price: str
    quantity: str
    time_ms: int
    buyer_maker: bool


class AggTrade(NamedTuple):
    """Trades of one taker order at one price: ids `first` to `last`."""

    agg_id: int
    price: str
    quantity: str
    first: int
    last: int
    time_ms: int
    buyer_maker: bool


class TradeLog:
    """The last 10,000 trades and aggregated trades of a ticker."""

    def __init__(self) -> None:
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.agg_trades: deque[AggTrade] = deque(maxlen=TRADES_KEPT)

    def recent(self, limit: int) -> list[Trade]:
        """The newest `limit` trades, oldest first."""
        return list(self.trades)[-limit:]

    def since(self, trade_id: int, limit: int) -> list[Trade]:
        """Up to `limit` trades from `trade_id` on."""
        return [trade for trade in self.trades if trade.trade_id >= trade_id][:limit]

    def recent_agg(self, limit: int) -> list[AggTrade]:
        """The newest `limit` aggregated trades, oldest first."""
        return list(self.agg_trades)[-limit:]

    def since_agg(self, agg_id: int, start_ms: int, end_ms: int, limit: int) -> list[AggTrade]:
        """Up to `limit` aggregated trades from an id on, within times (inclusive)."""
        return [
            trade
            for trade in self.agg_trades
            if trade.agg_id >= agg_id and start_ms <= trade.time_ms <= end_ms
        ][:limit]
