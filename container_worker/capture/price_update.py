"""A trade as the record that `prices` has of it."""

import msgspec

from container_worker.exchanges.outcomes import Trade
from marketdata.messages import NULL, PriceUpdate
from marketdata.times import iso_ms


def price_update(trade: Trade, symbol: str, exchange: str) -> PriceUpdate:
    """The `price_update` of one trade, with the exchange's own digits."""
    return PriceUpdate(
        symbol=symbol,
        price=msgspec.Raw(trade.price.encode()),
        volume=NULL,
        timestamp=iso_ms(trade.time_ms),
        source=exchange,
        trade_id=trade.id,
        quantity=msgspec.Raw(trade.quantity.encode()),
        side=trade.side,
    )
