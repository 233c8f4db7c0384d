"""What one simulated ticker sends: its market's happenings as frames of Binance's streams.

    BookWalk ─► trades, best prices ─► each 100 ms: diffs, partial books ─► each 2 s: candles
             each 1 s: what the last 24 hours were

A payload is made only for a stream that somebody wants; what is in it does not depend on who
wants what.
"""

from collections.abc import Iterator

import msgspec

from local.exchanges.binance import payloads
from local.exchanges.binance.day import Day
from local.exchanges.candles import LENGTHS_MS, MINUTE_MS, Candle, CandleSeries, window
from local.exchanges.fixed_point import fixed8
from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID
from local.exchanges.market import NO_IDS, BookWalk, Happening, Ids, MarketInstrument
from local.exchanges.pace import Wanted
from local.exchanges.past import past_trades
from local.exchanges.trades import AggTrade, Trade, TradeLog

PAST_MINUTES = 1_100
"""So much history there is at the start: more than who fills a chart asks for."""


class _DiffWindow:
    """Levels touched since the last diff event of one speed."""

    def __init__(self, stream: str, every_ms: int, last_id: int) -> None:
        self.stream = stream
        self.every_ms = every_ms
        self.sent_id = last_id
        self.touched: dict[tuple[int, int], None] = {}


class TickerBroadcast:
    """One ticker: its market, what REST may ask about it, and its frames.

    Whose ids go on `after` earlier ones has no trades before its first; the candles it has.
    """

    def __init__(
        self, instrument: MarketInstrument, seed: int, start_ms: int, after: Ids = NO_IDS
    ) -> None:
        self.instrument = instrument
        self.walk = BookWalk(instrument, seed, start_ms, after=after)
        self.log = TradeLog()
        now_begin_ms = start_ms // MINUTE_MS * MINUTE_MS
        begin_ms = now_begin_ms - PAST_MINUTES * MINUTE_MS
        past = past_trades(instrument, seed, now_begin_ms, self.walk.trade_id, PAST_MINUTES)
        self.minutes = CandleSeries(MINUTE_MS, begin_ms, instrument.price)
        self.seconds = CandleSeries(1_000, start_ms, instrument.price)
        for agg_id, trade in enumerate(past, self.walk.agg_id + 1 - len(past)):
            if not after:
                self.log.trades.append(trade)
                self.log.agg_trades.append(_alone(agg_id, trade))
            self.minutes.roll(trade.time_ms)
            self.minutes.add(trade)
        self.minutes.roll(start_ms)
        self._ended_seconds: list[Candle] = []
        self._ended_minutes: list[Candle] = []
        self._now_ms = start_ms
        name = instrument.ticker.lower()
        self._names = (f"{name}@trade", f"{name}@aggTrade", f"{name}@bookTicker")
        self._days = {f"{name}@ticker": False, f"{name}@miniTicker": True}
        self._klines = {interval: f"{name}@kline_{interval}" for interval in LENGTHS_MS}
        last_id = self.walk.ladder.last_id
        self._windows = (
            _DiffWindow(f"{name}@depth@100ms", 100, last_id),
            _DiffWindow(f"{name}@depth", 1_000, last_id),
        )
        self._partials = [
            (f"{name}@depth{limit}{suffix}", limit, every_ms)
            for limit in (5, 10, 20)
            for suffix, every_ms in (("@100ms", 100), ("", 1_000))
        ]

    def step(self, now_ms: int, wanted: Wanted) -> Iterator[Frame]:
        """Live until `now_ms` and yield the frames that become due, in order."""
        before, self._now_ms = self._now_ms, now_ms
        for happening in self.walk.advance(now_ms):
            frame = self._happened(happening, now_ms, wanted)
            if frame:
                yield frame
        touched, self.walk.changed = self.walk.changed, []
        for diff in self._windows:
            diff.touched.update(dict.fromkeys(touched))
            if now_ms // diff.every_ms > before // diff.every_ms:
                yield from self._diff(diff, now_ms, wanted)
        for stream, limit, every_ms in self._partials:
            if now_ms // every_ms > before // every_ms and wanted(stream):
                yield self._partial(stream, limit)
        yield from self._candles(before, now_ms, wanted)
        if now_ms // 1_000 > before // 1_000:
            yield from self._day_events(wanted)

    def settle(self, wanted: Wanted) -> Iterator[Frame]:
        """The diffs, partial books and tickers of what has happened since the last ones."""
        for diff in self._windows:
            yield from self._diff(diff, self._now_ms, wanted)
        for stream, limit, _ in self._partials:
            if wanted(stream):
                yield self._partial(stream, limit)
        yield from self._day_events(wanted)

    def day(self) -> Day:
        """The 24 hours before now."""
        return Day.of_market(self.minutes, self.log, self.walk.ladder, self._now_ms)

    def _day_events(self, wanted: Wanted) -> Iterator[Frame]:
        ticker, last_id = self.instrument.ticker, self.walk.trade_id
        for stream, short in self._days.items():
            if wanted(stream):
                event = self.day().event(ticker, self._now_ms, short=short)
                yield Frame(ticker, stream, msgspec.json.encode(event), last_id, last_id)

    def _happened(self, happening: Happening, now_ms: int, wanted: Wanted) -> Frame | None:
        ticker, (trade, agg_trade, book_ticker) = self.instrument.ticker, self._names
        match happening:
            case Trade(number):
                self._count(happening)
                if wanted(trade):
                    payload = payloads.trade(ticker, now_ms, happening)
                    return Frame(ticker, trade, payload, number, number)
            case AggTrade(number):
                self.log.agg_trades.append(happening)
                if wanted(agg_trade):
                    payload = payloads.agg_trade(ticker, now_ms, happening)
                    return Frame(ticker, agg_trade, payload, number, number)
            case (update_id, bid, ask):
                if wanted(book_ticker):
                    payload = payloads.book_ticker(ticker, update_id, bid, ask)
                    return Frame(ticker, book_ticker, payload, update_id, update_id)
        return None

    def _count(self, trade: Trade) -> None:
        self.log.trades.append(trade)
        self._ended_seconds += self.seconds.roll(trade.time_ms)
        self._ended_minutes += self.minutes.roll(trade.time_ms)
        self.seconds.add(trade)
        self.minutes.add(trade)

    def _diff(self, diff: _DiffWindow, now_ms: int, wanted: Wanted) -> Iterator[Frame]:
        ladder = self.walk.ladder
        first, last = diff.sent_id + 1, ladder.last_id
        touched, diff.touched, diff.sent_id = diff.touched, {}, last
        if last < first or not wanted(diff.stream):
            return
        sides: tuple[list[str], list[str]] = ([], [])
        for side, price in touched:
            sides[side].append(ladder.level(side, price) or f'["{fixed8(price)}","0.00000000"]')
        payload = payloads.depth_update(
            self.instrument.ticker,
            now_ms,
            (first, last),
            bids=",".join(sides[BID]),
            asks=",".join(sides[ASK]),
        )
        yield Frame(self.instrument.ticker, diff.stream, payload, first, last)

    def _partial(self, stream: str, limit: int) -> Frame:
        book = self.walk.ladder.text(limit)
        return Frame(
            self.instrument.ticker,
            stream,
            payloads.snapshot(book),
            book.update_id,
            book.update_id,
        )

    def _candles(self, before: int, now_ms: int, wanted: Wanted) -> Iterator[Frame]:
        ended_seconds = self._ended_seconds + self.seconds.roll(now_ms)
        ended_minutes = self._ended_minutes + self.minutes.roll(now_ms)
        self._ended_seconds, self._ended_minutes = [], []
        if wanted(self._klines["1s"]):
            for candle in ended_seconds:
                yield self._kline("1s", candle, now_ms, closed=True)
        due = now_ms // 2_000 > before // 2_000
        if not (ended_minutes or due):
            return
        for interval, stream in self._klines.items():
            if interval != "1s" and wanted(stream):
                yield from self._interval(interval, bool(ended_minutes), now_ms)

    def _interval(self, interval: str, minute_ended: bool, now_ms: int) -> Iterator[Frame]:
        start_ms = self.minutes.current.start_ms
        if minute_ended and window(interval, start_ms)[0] == start_ms:
            ended = self.minutes.candle(interval, start_ms - 1)
            if ended:
                yield self._kline(interval, ended, now_ms, closed=True)
        current = self.minutes.candle(interval, start_ms)
        if current:
            yield self._kline(interval, current, now_ms, closed=False)

    def _kline(self, interval: str, candle: Candle, now_ms: int, *, closed: bool) -> Frame:
        ticker = self.instrument.ticker
        payload = payloads.kline(ticker, now_ms, interval, candle, closed=closed)
        stream = self._klines[interval]
        return Frame(ticker, stream, payload, candle.first_id, candle.last_id)


def _alone(agg_id: int, trade: Trade) -> AggTrade:
    """An order that was filled by one trade."""
    number, price, quantity, time_ms, buyer_maker = trade
    return AggTrade(agg_id, price, quantity, number, number, time_ms, buyer_maker)
