"""What one simulated pair sends: its market's happenings as frames of the exchange's channels.

    BookWalk ─► trades ─► candles, ticker
            └─► one level an update ─► l2, l3

A payload is made only for a stream that somebody wants; what is in it does not depend on who
wants what. A level is one order, so that both book channels tell the same book.
"""

from collections.abc import Iterator

from local.exchanges.blockchain import payloads
from local.exchanges.blockchain.eras import Era
from local.exchanges.blockchain.java_numbers import java_units
from local.exchanges.blockchain.payloads import Book, Row
from local.exchanges.blockchain.requests import GRANULARITIES, stream
from local.exchanges.candles import MINUTE_MS, Candle, CandleSeries
from local.exchanges.fixed_point import units8
from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID
from local.exchanges.market import NO_IDS, BookWalk, Ids, MarketInstrument
from local.exchanges.pace import Wanted
from local.exchanges.trades import Trade

LEVELS = 100
UPDATES_PER_SECOND = 40
_UPDATE_MS = 1_000 // UPDATES_PER_SECOND
_LONGEST_STEP_MS = 1_000
_VOLUME_EVERY_MS = 5_000
_MARK_EVERY_MS = 1_000
_SIDES = {True: "sell", False: "buy"}


class TickerBroadcast:
    """One pair: its market, what may be asked about it, and its frames."""

    def __init__(
        self,
        item: MarketInstrument,
        seed: int,
        start_ms: int,
        era: Era,
        *,
        after: Ids = NO_IDS,
    ) -> None:
        self.instrument = item
        self.walk = BookWalk(
            item,
            seed,
            start_ms,
            levels=LEVELS,
            updates_per_second=UPDATES_PER_SECOND,
            after=after,
        )
        self.last_trade_id: str | None = None
        self._era = era
        self._now_ms = self._rolled_ms = start_ms
        self._minutes = CandleSeries(MINUTE_MS, start_ms, item.price)
        self._first_price = self._last_price = self._mark_price = item.price
        self._volume = self._said_volume = item.size * 2_000
        self._orders: dict[tuple[int, int], int] = {}
        self._order_id = after.get("order_id", start_ms)
        for change in self.walk.ladder.levels():
            self._row(change.side, change.price)
        self._streams = {
            name: stream(item.ticker, name) for name in ("l2", "l3", "trades", "ticker")
        }
        self._prices = {
            seconds: stream(item.ticker, "prices", seconds) for seconds in GRANULARITIES
        }

    def ids(self) -> Ids:
        """How far the pair is: what another one takes as `after`."""
        return {**self.walk.ids(), "order_id": self._order_id}

    def step(self, now_ms: int, wanted: Wanted) -> Iterator[Frame]:
        """Live until `now_ms`, update by update, and yield the frames that become due."""
        before = self._now_ms
        start_ms = max(before, now_ms - _LONGEST_STEP_MS)
        for moment in (*range(start_ms + _UPDATE_MS, now_ms, _UPDATE_MS), now_ms):
            yield from self._live(moment, wanted)
        if now_ms // _VOLUME_EVERY_MS > before // _VOLUME_EVERY_MS:
            yield from self.settle(wanted)
        if now_ms // _MARK_EVERY_MS > before // _MARK_EVERY_MS:
            yield from self._mark(wanted)

    def settle(self, wanted: Wanted) -> Iterator[Frame]:
        """The day's volume, which is not told with every trade."""
        if self._volume != self._said_volume and wanted(self._streams["ticker"]):
            self._said_volume = self._volume
            yield self._ticker({"volume_24h": java_units(self._volume)})

    def _mark(self, wanted: Wanted) -> Iterator[Frame]:
        bests = [self.walk.ladder.best(side) for side in (BID, ASK)]
        mark = sum(price for price in bests if price) // 2
        if self._era.mark_price and mark != self._mark_price:
            self._mark_price = mark
            if wanted(self._streams["ticker"]):
                yield self._ticker({"mark_price": java_units(mark)})

    def _live(self, moment: int, wanted: Wanted) -> Iterator[Frame]:
        self._now_ms = moment
        first_id = self.walk.ladder.last_id + 1
        for happening in self.walk.advance(moment):
            if isinstance(happening, Trade):
                yield from self._traded(happening, wanted)
        yield from self._roll(moment, wanted)
        changed, self.walk.changed = self.walk.changed, []
        yield from self._changes(changed, first_id, wanted)

    def _changes(
        self, changed: list[tuple[int, int]], first_id: int, wanted: Wanted
    ) -> Iterator[Frame]:
        """An update for each level that changed, with what stands there now."""
        for number, (side, price) in enumerate(changed):
            gone = not self.walk.quantity_at(side, price)
            untold = gone and (side, price) not in self._orders
            if untold or (side, price) in changed[number + 1 :]:
                continue
            last_id = self.walk.ladder.last_id - len(changed) + number + 1
            row = self._row(side, price)
            book = Book([row], []) if side == BID else Book([], [row])
            for channel, make in (("l2", payloads.l2), ("l3", payloads.l3)):
                name = self._streams[channel]
                if wanted(name):
                    payload = make("updated", self.instrument.ticker, book, self.stamp())
                    yield Frame(self.instrument.ticker, name, payload, first_id, last_id)
            first_id = last_id + 1

    def _row(self, side: int, price: int) -> Row:
        """What stands at a price now; its order is forgotten when there is nothing."""
        quantity = self.walk.quantity_at(side, price)
        order = self._orders.get((side, price))
        if order is None:
            self._order_id += 1
            order = self._orders[side, price] = self._order_id
        if not quantity:
            del self._orders[side, price]
        return Row(java_units(price), java_units(quantity), int(quantity > 0), str(order))

    def _traded(self, trade: Trade, wanted: Wanted) -> Iterator[Frame]:
        ticker, price = self.instrument.ticker, units8(trade.price)
        quantity = units8(trade.quantity)
        yield from self._roll(trade.time_ms, wanted)
        self._minutes.add(trade)
        self._volume += quantity
        self.last_trade_id = str(trade.trade_id)
        if wanted(self._streams["trades"]):
            stamp = self._era.stamp(trade.time_ms, trade.trade_id * 7_919)
            numbers = (java_units(quantity), java_units(price))
            payload = payloads.trade(
                ticker, stamp, _SIDES[trade.buyer_maker], numbers, self.last_trade_id
            )
            number = trade.trade_id
            yield Frame(ticker, self._streams["trades"], payload, number, number)
        if price != self._last_price:
            self._last_price = price
            if wanted(self._streams["ticker"]):
                yield self._ticker({"last_trade_price": java_units(price)})
        yield from self._candles(trade.time_ms, wanted)

    def _ticker(self, members: dict[str, str]) -> Frame:
        ticker = self.instrument.ticker
        payload = payloads.ticker_state("updated", ticker, members)
        return Frame(ticker, self._streams["ticker"], payload, 0, 0)

    def _roll(self, at_ms: int, wanted: Wanted) -> Iterator[Frame]:
        """The candles that begin without a trade, where an older one has ended."""
        since_ms, self._rolled_ms = self._rolled_ms, at_ms
        if self._minutes.roll(at_ms):
            yield from self._candles(at_ms, wanted, since_ms=since_ms)

    def _candles(self, at_ms: int, wanted: Wanted, *, since_ms: int = 0) -> Iterator[Frame]:
        """The candles around a time, of the lengths that are wanted, that began later."""
        for seconds, name in self._prices.items():
            if not wanted(name):
                continue
            candle = self._minutes.candle(GRANULARITIES[seconds], at_ms)
            if candle is not None and candle.start_ms > since_ms:
                start = candle.start_ms
                yield Frame(self.instrument.ticker, name, self._price(candle), start, start)

    def _price(self, candle: Candle) -> bytes:
        numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        start = candle.start_ms // self._era.candle_unit_ms
        return payloads.price(self.instrument.ticker, start, map(java_units, numbers))

    def stamp(self) -> str:
        """The time of a book's message; empty in the years that had none."""
        if not self._era.book_times:
            return ""
        return self._era.stamp(self._now_ms, self.walk.ladder.last_id * 104_729)

    def book(self) -> Book:
        """The book as it has been told, by rising price."""
        sides: tuple[list[Row], list[Row]] = ([], [])
        for change in self.walk.ladder.levels():
            sides[change.side].append(self._row(change.side, change.price))
        sides[BID].reverse()
        return Book(sides[BID], sides[ASK])

    def state(self) -> dict[str, str]:
        """The ticker's members as number texts, by the exchange's names."""
        said = {
            "price_24h": java_units(self._first_price),
            "volume_24h": java_units(self._volume),
            "last_trade_price": java_units(self._last_price),
        }
        if self._era.mark_price:
            said["mark_price"] = java_units(self._mark_price)
        return said
