"""What the server asks of whatever it serves: a simulated market or a tape."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from local.exchanges import control
from local.exchanges.binance.broadcast import TickerBroadcast
from local.exchanges.binance.day import Day
from local.exchanges.binance.instruments import symbol_object
from local.exchanges.binance.rest_rows import kline_row
from local.exchanges.frames import Frame
from local.exchanges.ladder import Ladder
from local.exchanges.market import NO_IDS, Ids, MarketInstrument
from local.exchanges.pace import Wanted
from local.exchanges.trades import TradeLog


class Venue(control.Venue, Protocol):
    """Books, trades and candles as they are now; asking changes nothing."""

    def symbol(self, ticker: str) -> dict[str, Any]:
        """The ticker's element of `exchangeInfo`."""
        ...

    def trades(self, ticker: str) -> TradeLog:
        """The trades that have been sent."""
        ...

    def klines(self, ticker: str, interval: str) -> list[list[Any]]:
        """Rows of `GET /api/v3/klines`, oldest first, the open candle last."""
        ...

    def day(self, ticker: str) -> Day:
        """The 24 hours before now."""
        ...


def last_ids(venue: Venue, ticker: str) -> dict[str, int | str | None]:
    """How far a ticker is: the last ids of its book and its trades."""
    ladder, trades = venue.ladder(ticker), venue.trades(ticker).trades
    return {
        "update_id": ladder.last_id if ladder else None,
        "trade_id": trades[-1].trade_id if trades else None,
    }


class SimulatedMarket:
    """Every simulated ticker; `step` makes them live until a time."""

    mode = "simulate"

    def __init__(
        self,
        instruments: Iterable[MarketInstrument],
        seed: int,
        start_ms: int,
        after: Mapping[str, Ids] | None = None,
    ) -> None:
        known = after or {}
        self._broadcasts = {
            item.ticker: TickerBroadcast(item, seed, start_ms, known.get(item.ticker, NO_IDS))
            for item in instruments
        }
        self.tickers = tuple(self._broadcasts)
        self._now_ms = start_ms

    def step(self, now_ms: int, wanted: Wanted) -> Iterable[Frame]:
        """The frames due until `now_ms`, ticker by ticker; a time that goes back is no step."""
        if now_ms <= self._now_ms:
            return
        self._now_ms = now_ms
        for broadcast in self._broadcasts.values():
            yield from broadcast.step(now_ms, wanted)

    def settle(self, wanted: Wanted) -> Iterable[Frame]:
        """The diffs, partial books and tickers that are not due yet."""
        for broadcast in self._broadcasts.values():
            yield from broadcast.settle(wanted)

    def ids(self) -> dict[str, Ids]:
        """How far each ticker is."""
        return {ticker: each.walk.ids() for ticker, each in self._broadcasts.items()}

    def last_ids(self, ticker: str) -> dict[str, int | str | None]:
        """See `Venue`."""
        walk = self._broadcasts[ticker].walk
        return {"update_id": walk.ladder.last_id, "trade_id": walk.trade_id}

    def symbol(self, ticker: str) -> dict[str, Any]:
        """See `Venue`."""
        item = self._broadcasts[ticker].instrument
        return symbol_object(ticker, tick=item.tick, step=item.step)

    def ladder(self, ticker: str) -> Ladder | None:
        """See `Venue`."""
        return self._broadcasts[ticker].walk.ladder

    def trades(self, ticker: str) -> TradeLog:
        """See `Venue`."""
        return self._broadcasts[ticker].log

    def klines(self, ticker: str, interval: str) -> list[list[Any]]:
        """See `Venue`."""
        broadcast = self._broadcasts[ticker]
        series = broadcast.seconds if interval == "1s" else broadcast.minutes
        return [kline_row(interval, candle) for candle in series.over(interval)]

    def day(self, ticker: str) -> Day:
        """See `Venue`."""
        return self._broadcasts[ticker].day()

    def now_ms(self) -> int:
        """See `Venue`."""
        return self._now_ms
