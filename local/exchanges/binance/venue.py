"""What the server asks of whatever it serves: a simulated market or a tape."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from local.exchanges.binance.broadcast import TickerBroadcast, Wanted
from local.exchanges.binance.candles import kline_row
from local.exchanges.binance.frames import Frame
from local.exchanges.binance.instruments import Instrument, symbol_object
from local.exchanges.binance.ladder import Ladder
from local.exchanges.binance.trades import TradeLog


class Venue(Protocol):
    """Books, trades and candles as they are now; asking changes nothing."""

    @property
    def mode(self) -> str:
        """`simulate` or `replay`."""
        ...

    @property
    def tickers(self) -> Sequence[str]:
        """Every ticker, in a fixed order."""
        ...

    def symbol(self, ticker: str) -> dict[str, Any]:
        """The ticker's element of `exchangeInfo`."""
        ...

    def ladder(self, ticker: str) -> Ladder | None:
        """The book, None while it is not known (a tape before its snapshot)."""
        ...

    def trades(self, ticker: str) -> TradeLog:
        """The trades that have been sent."""
        ...

    def klines(self, ticker: str, interval: str) -> list[list[Any]]:
        """Rows of `GET /api/v3/klines`, oldest first, the open candle last."""
        ...

    def now_ms(self) -> int:
        """The exchange's own time: that of the last thing that happened."""
        ...


class SimulatedMarket:
    """Every simulated ticker; `step` makes them live until a time."""

    mode = "simulate"

    def __init__(self, instruments: Iterable[Instrument], seed: int, start_ms: int) -> None:
        self._broadcasts = {
            item.ticker: TickerBroadcast(item, seed, start_ms) for item in instruments
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

    def now_ms(self) -> int:
        """See `Venue`."""
        return self._now_ms
