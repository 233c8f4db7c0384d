"""The rows of Binance's REST answers (protocols 1.5), as values that are encoded to JSON."""

from local.exchanges.candles import Candle, window
from local.exchanges.fixed_point import UNIT, fixed8, units8
from local.exchanges.trades import AggTrade, Trade


def trade_object(trade: Trade) -> dict[str, object]:
    """An element of `GET /api/v3/trades`."""
    quote = units8(trade.price) * units8(trade.quantity) // UNIT
    return {
        "id": trade.trade_id,
        "price": trade.price,
        "qty": trade.quantity,
        "quoteQty": fixed8(quote),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_maker,
        "isBestMatch": True,
    }


def agg_trade_object(trade: AggTrade) -> dict[str, object]:
    """An element of `GET /api/v3/aggTrades`."""
    return {
        "a": trade.agg_id,
        "p": trade.price,
        "q": trade.quantity,
        "f": trade.first,
        "l": trade.last,
        "T": trade.time_ms,
        "m": trade.buyer_maker,
        "M": True,
    }


def kline_row(interval: str, candle: Candle) -> list[object]:
    """An element of `GET /api/v3/klines`: twelve values."""
    return [
        candle.start_ms,
        fixed8(candle.open),
        fixed8(candle.high),
        fixed8(candle.low),
        fixed8(candle.close),
        fixed8(candle.volume),
        window(interval, candle.start_ms)[1] - 1,
        fixed8(candle.quote),
        candle.count,
        fixed8(candle.taker_volume),
        fixed8(candle.taker_quote),
        "0",
    ]
