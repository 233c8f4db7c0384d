"""What one simulated product sends: its market's happenings as messages of the feed.

    BookWalk ─► matches, a ticker each time ─► each 50 ms: l2update ─► each second: heartbeat

A payload is made only for a stream that somebody wants; what is in it does not depend on who
wants what.
"""

from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from uuid import UUID

from local.exchanges.candles import MINUTE_MS, CandleSeries
from local.exchanges.coinbase import payloads
from local.exchanges.coinbase.day import Day
from local.exchanges.coinbase.payloads import Match
from local.exchanges.fixed_point import units8
from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID
from local.exchanges.market import NO_IDS, BookWalk, Happening, Ids, MarketInstrument
from local.exchanges.past import past_trades
from local.exchanges.trades import TRADES_KEPT, AggTrade, Trade

Wanted = Callable[[str], bool]

_PAST_MINUTES = 400
_LEVELS = 400
_UPDATES_PER_SECOND = 40
_ALL_LEVELS = 1 << 30
_HEARTBEAT_MS = 1_000
_TICKER_BATCH_MS = 5_000
_SEQUENCES_A_MS = 64
_MOST_SKIPPED = 40
_SIDES = {BID: "buy", ASK: "sell"}


class ProductFeed:
    """One product: its market, what REST may ask about it, and its messages.

    Whose ids go on `after` earlier ones tells no trade before its first.
    """

    def __init__(
        self, item: MarketInstrument, seed: int, start_ms: int, after: Ids = NO_IDS
    ) -> None:
        self.item = item
        self.walk = BookWalk(
            item,
            seed,
            start_ms,
            levels=_LEVELS,
            updates_per_second=_UPDATES_PER_SECOND,
            after=after,
        )
        self.matches: deque[Match] = deque(maxlen=TRADES_KEPT)
        self.day = Day(item)
        # Counts from the clock on: a product that is started again never goes back.
        self.sequence = start_ms * _SEQUENCES_A_MS
        self._random = Random(f"{seed}:{item.ticker}:feed")  # noqa: S311 - repeatable on purpose
        self._time_us = 0
        self._now_ms = start_ms
        self._sent_id = self.walk.ladder.last_id
        self._cascade: list[Match] = []
        self._batched_id = 0
        names = ("level2", "matches", "ticker", "ticker_batch", "heartbeat")
        self._level2, self._matches, self._ticker, self._ticker_batch, self._heartbeat = (
            f"{item.ticker}@{name}" for name in names
        )
        begin_ms = start_ms - _PAST_MINUTES * MINUTE_MS
        self.minutes = CandleSeries(MINUTE_MS, begin_ms, item.price)
        for trade in past_trades(item, seed, start_ms, self.walk.trade_id, _PAST_MINUTES):
            self._done(trade)
        if after:
            self.matches.clear()
            self.sequence = after.get("sequence", self.sequence)

    def ids(self) -> Ids:
        """How far the product is: what another one takes as `after`."""
        return {**self.walk.ids(), "sequence": self.sequence}

    def step(self, now_ms: int, wanted: Wanted) -> Iterator[Frame]:
        """Live until `now_ms` and yield the frames that become due, in order."""
        before, self._now_ms = self._now_ms, now_ms
        for happening in self.walk.advance(now_ms):
            yield from self._happened(happening, wanted)
        yield from self._update(wanted)
        if now_ms // _HEARTBEAT_MS > before // _HEARTBEAT_MS and wanted(self._heartbeat):
            yield self._beat()
        due = now_ms // _TICKER_BATCH_MS > before // _TICKER_BATCH_MS
        is_new = self.matches and self.matches[-1].trade_id != self._batched_id
        if due and is_new and wanted(self._ticker_batch):
            self._batched_id = self.matches[-1].trade_id
            yield self._tick(self._ticker_batch, self.matches[-1])
        self.minutes.roll(now_ms)

    def opening(self, kind: str) -> Frame | None:
        """What a subscription begins with; it fits the next frame of the stream."""
        if kind == "level2":
            book = self.walk.ladder.text(_ALL_LEVELS)
            payload = payloads.snapshot(self.item.ticker, book, self._newest())
            return Frame(
                self.item.ticker, self._level2, payload, book.update_id, book.update_id
            )
        if not self.matches:
            return None
        last = self.matches[-1]
        if kind == "matches":
            payload = payloads.match(self.item.ticker, last, kind="last_match")
            return Frame(self.item.ticker, self._matches, payload, last.trade_id, last.trade_id)
        if kind in ("ticker", "ticker_batch"):
            return self._tick(f"{self.item.ticker}@{kind}", last)
        return None

    def _happened(self, happening: Happening, wanted: Wanted) -> Iterator[Frame]:
        if isinstance(happening, Trade):
            self._cascade.append(self._done(happening))
        elif isinstance(happening, AggTrade):
            done, self._cascade = self._cascade, []
            yield from self._told(done, wanted)

    def _told(self, done: list[Match], wanted: Wanted) -> Iterator[Frame]:
        """The trades of one order, and one ticker for all of them, beside the last."""
        ticker_first = self._random.random() < 0.5
        for match in done[:-1]:
            yield from self._one_match(match, wanted)
        if ticker_first and wanted(self._ticker):
            yield self._tick(self._ticker, done[-1])
        yield from self._one_match(done[-1], wanted)
        if not ticker_first and wanted(self._ticker):
            yield self._tick(self._ticker, done[-1])

    def _one_match(self, match: Match, wanted: Wanted) -> Iterator[Frame]:
        if wanted(self._matches):
            payload = payloads.match(self.item.ticker, match)
            yield Frame(
                self.item.ticker, self._matches, payload, match.trade_id, match.trade_id
            )

    def _done(self, trade: Trade) -> Match:
        """A trade enters the record: `buyer_maker` is a maker who bought."""
        self.minutes.roll(trade.time_ms)
        self.minutes.add(trade)
        self.day.add(units8(trade.price), units8(trade.quantity))
        self.sequence += self._random.randint(1, _MOST_SKIPPED)
        match = Match(
            trade_id=trade.trade_id,
            maker_order_id=self._order_id(),
            taker_order_id=self._order_id(),
            side="buy" if trade.buyer_maker else "sell",
            size=short(trade.quantity),
            price=short(trade.price),
            sequence=self.sequence,
            time=self._stamp(trade.time_ms),
        )
        self.matches.append(match)
        return match

    def _order_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _update(self, wanted: Wanted) -> Iterator[Frame]:
        touched, self.walk.changed = dict.fromkeys(self.walk.changed), []
        first, last = self._sent_id + 1, self.walk.ladder.last_id
        self._sent_id = last
        if not touched:
            return
        self.sequence += len(touched) + self._random.randrange(_MOST_SKIPPED)
        time = self._stamp(self._now_ms)
        if not wanted(self._level2):
            return
        changes = (
            (
                _SIDES[side],
                self.walk.price_text(price),
                self.walk.quantity_text(self.walk.quantity_at(side, price)),
            )
            for side, price in touched
        )
        payload = payloads.l2update(self.item.ticker, changes, time)
        yield Frame(self.item.ticker, self._level2, payload, first, last)

    def _beat(self) -> Frame:
        payload = payloads.heartbeat(
            self.item.ticker,
            self.sequence,
            self.walk.trade_id,
            self._newest(),
        )
        return Frame(self.item.ticker, self._heartbeat, payload, 0, 0)

    def _tick(self, stream: str, match: Match) -> Frame:
        ladder = self.walk.ladder
        best = [
            text.strip('"')
            for side in (BID, ASK)
            for text in ladder.best_level(side)[1:-1].split(",")
        ]
        payload = payloads.ticker_message(self.item.ticker, match, self.day.texts(), best)
        return Frame(self.item.ticker, stream, payload, match.trade_id, match.trade_id)

    def _newest(self) -> str:
        """The time of what does not move the market, and so draws nothing."""
        return payloads.iso_micros(max(self._time_us, self._now_ms * 1000))

    def _stamp(self, time_ms: int) -> str:
        """A time with six digits; a product's times never go back."""
        self._time_us = max(self._time_us, time_ms * 1000 + self._random.randrange(1000))
        return payloads.iso_micros(self._time_us)


def short(text: str) -> str:
    """A decimal text as trades have it, without trailing zeros: `67.0210` is `67.021`."""
    return text.rstrip("0").rstrip(".") if "." in text else text
