"""The 24 hours before now of one ticker: `@ticker`, `@miniTicker` and `GET /api/v3/ticker/…`.

Member names and digits are those of Binance's documents (protocols 1.4 names the streams). A
market or a tape that is younger than 24 hours tells what there has been.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from local.exchanges.candles import Candle, CandleSeries, folded
from local.exchanges.fixed_point import UNIT, fixed8, units8
from local.exchanges.ladder import ASK, BID, Ladder
from local.exchanges.trades import TradeLog

DAY_MS = 24 * 3_600_000
_AVERAGED_MINUTES = 5
_NOTHING = ("0.00000000", "0.00000000")
# Of each value: its name by stream and by REST; those of the first are in the short forms too.
_SHORT = {
    "o": "openPrice", "h": "highPrice", "l": "lowPrice", "c": "lastPrice", "v": "volume",
    "q": "quoteVolume",
}  # fmt: skip
_NAMES = _SHORT | {
    "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice",
    "x": "prevClosePrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice",
    "A": "askQty", "O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId",
    "n": "count",
}  # fmt: skip
_WHEN = ("O", "C", "F", "L", "n")


@dataclass(frozen=True, slots=True)
class Day:
    """What there was in the 24 hours, by the one-letter names of the stream."""

    values: dict[str, str | int]

    @classmethod
    def of_market(
        cls, minutes: CandleSeries, log: TradeLog, ladder: Ladder, now_ms: int
    ) -> Self:
        """From the candles of the minutes that have begun since then."""
        begun = [*minutes.closed, minutes.current]
        past = folded(0, (each for each in begun if each.start_ms > now_ms - DAY_MS))
        return cls(_values(past, log, ladder, now_ms))

    @classmethod
    def of_trades(cls, log: TradeLog, ladder: Ladder | None, now_ms: int) -> Self:
        """From the trades that are kept, of a tape."""
        past = None
        for trade in log.trades:
            if trade.time_ms > now_ms - DAY_MS:
                price = units8(trade.price)
                past = past or Candle(0, price, price, price, price)
                past.add(trade)
        return cls(_values(past, log, ladder, now_ms))

    def event(self, ticker: str, event_ms: int, *, short: bool) -> dict[str, Any]:
        """The payload of `@ticker`, or the short one of `@miniTicker`."""
        kind = "24hrMiniTicker" if short else "24hrTicker"
        names = _SHORT if short else _NAMES
        told = {name: self.values[name] for name in names}
        return {"e": kind, "E": event_ms, "s": ticker, **told}

    def row(self, ticker: str, *, short: bool) -> dict[str, Any]:
        """An element of `GET /api/v3/ticker/24hr`, `short` for `type=MINI`."""
        names = (*_SHORT, *_WHEN) if short else tuple(_NAMES)
        return {"symbol": ticker} | {_NAMES[name]: self.values[name] for name in names}

    def price_row(self, ticker: str) -> dict[str, Any]:
        """An element of `GET /api/v3/ticker/price`."""
        return {"symbol": ticker, "price": self.values["c"]}

    def best_row(self, ticker: str) -> dict[str, Any]:
        """An element of `GET /api/v3/ticker/bookTicker`."""
        best = {_NAMES[name]: self.values[name] for name in "bBaA"}
        return {"symbol": ticker, **best}


def average_row(log: TradeLog, now_ms: int) -> dict[str, Any]:
    """`GET /api/v3/avgPrice`: over the trades of five minutes, else the last one's price."""
    since_ms = now_ms - _AVERAGED_MINUTES * 60_000
    trades = [trade for trade in log.trades if trade.time_ms > since_ms] or log.recent(1)
    quantity = sum(units8(trade.quantity) for trade in trades)
    worth = sum(units8(trade.price) * units8(trade.quantity) for trade in trades)
    return {
        "mins": _AVERAGED_MINUTES,
        "price": fixed8(worth // quantity if quantity else 0),
        "closeTime": trades[-1].time_ms if trades else 0,
    }


def _values(
    past: Candle | None, log: TradeLog, ladder: Ladder | None, now_ms: int
) -> dict[str, str | int]:
    day = past or Candle(0, 0, 0, 0, 0)
    (bid, bid_quantity), (ask, ask_quantity) = _best(ladder, BID), _best(ladder, ASK)
    change = Decimal(day.close - day.open)
    return {
        "p": f"{change / UNIT:.8f}",
        "P": f"{change * 100 / day.open:.3f}" if day.open else "0.000",
        "w": fixed8(day.quote * UNIT // day.volume if day.volume else 0),
        "x": fixed8(day.open),
        "c": fixed8(day.close),
        "Q": log.trades[-1].quantity if log.trades else _NOTHING[1],
        "b": bid, "B": bid_quantity, "a": ask, "A": ask_quantity,
        "o": fixed8(day.open),
        "h": fixed8(day.high),
        "l": fixed8(day.low),
        "v": fixed8(day.volume),
        "q": fixed8(day.quote),
        "O": now_ms - DAY_MS, "C": now_ms,
        "F": day.first_id, "L": day.last_id, "n": day.count,
    }  # fmt: skip


def _best(ladder: Ladder | None, side: int) -> tuple[str, str]:
    level = ladder.best_level(side) if ladder else None
    if not level:
        return _NOTHING
    price, _, quantity = level[1:-1].partition(",")
    return price.strip('"'), quantity.strip('"')
