"""Both folds of derive on two logs, as the stage runs them: polls, acknowledgements, kills.

prices ─► TradeFold ─► candles ─► RollUp ─► candles
"""

from decimal import Decimal

import msgspec

from marketdata import codec
from marketdata.candle_fold import TradeFold
from marketdata.candle_kept import SILENT_MS
from marketdata.candle_periods import Taken
from marketdata.candle_rollup import RollUp
from marketdata.candle_values import LONGER_MS, MINUTE, MINUTE_MS
from marketdata.codec import HeaderFields
from marketdata.messages import NULL, Candle, PriceUpdate, Watermark
from marketdata.times import iso_ms
from marketdata.topics import DERIVED_CANDLES, TRADES

EXCHANGE = "coinbase"
INTERVALS = {MINUTE: MINUTE_MS, **LONGER_MS}


class Share:
    """One partition of one life; a log's record is (key, fields, value, its minute if any)."""

    def __init__(self, fold, log, committed):
        self.fold, self.log = fold, log
        self.at, mark = committed
        self.begun_at, self.end = self.at, len(log)
        self.final_ms = msgspec.json.decode(mark or b"{}").get(EXCHANGE, 0)

    def poll(self, most, now_ms):
        for key, fields, value, _ in self.log[self.at : self.at + most]:
            self.fold.take(Taken(key, fields, value, self.at, now_ms, []))
            self.at += 1
        return self.fold.due(now_ms, is_live=self.at >= self.end)

    def done(self):
        return self.fold.done_below(self.at), self.fold.mark()


class Derive:
    """Processes one after the other; `committed` is what the next one begins from."""

    def __init__(self, rng):
        self.rng = rng
        self.prices, self.candles = [], []
        self.now_ms = self.lives = self.wrote_ms = 0
        self.fell_silent = False
        self.committed = [(0, ""), (0, "")]
        self.flying, self.shares, self.leaving = [], [], []
        self.begin()

    def begin(self):
        """A new life; of what was on its way a part has arrived, unacknowledged."""
        arrived = self.rng.randrange(len(self.flying) + 1)
        self.candles += [record for record, _ in self.flying[:arrived]]
        self.flying = []
        self.lives += 1
        of_prices, of_candles = self.committed
        trades = TradeFold({EXCHANGE}, of_prices[1])
        for key, _, value, start_ms in self.candles:
            if start_ms is not None:
                trades.seed(key, codec.decode_candle(value))
        longer = RollUp(of_candles[1])
        self.shares = [
            Share(trades, self.prices, of_prices),
            Share(longer, self.candles, of_candles),
        ]
        if self.fell_silent:
            self.leaving += self.shares

    def trade(
        self, key, number, event_ms, text="1.50", quantity="0.10", *, late=False, epoch=7
    ):
        message = PriceUpdate(
            symbol=codec.split_key(key)[1].replace("-", "/"),
            price=msgspec.Raw(text.encode()),
            volume=NULL,
            timestamp=iso_ms(event_ms),
            source=EXCHANGE,
            trade_id=number,
            quantity=msgspec.Raw(quantity.encode()),
            side="BUY",
        )
        start_ms = event_ms // MINUTE_MS * MINUTE_MS
        self._write(key, message, start_ms, late=late, epoch=epoch)

    def mark(self, key, event_ms):
        self._write(key, Watermark(E=event_ms, s="", x=EXCHANGE), None)

    def _write(self, key, message, start_ms, *, late=False, epoch=7):
        fields = HeaderFields(type=TRADES, queue_id="q", epoch=epoch, backfill=late)
        self.prices.append((key, fields, codec.encode(message), start_ms))
        self.wrote_ms = self.now_ms

    def step(self, *, ms=100, most=10**9, is_acked=True):
        """One round: reads, writes what is due, and gets what was written acknowledged."""
        self.now_ms += ms
        fields = HeaderFields(type=DERIVED_CANDLES, queue_id="derive", epoch=self.lives)
        for share in self.shares:
            for said in share.poll(most, self.now_ms):
                one = said.message
                is_minute = isinstance(one, Candle) and one.interval == MINUTE
                start_ms = one.timestamp if is_minute else None
                record = said.key, fields, codec.encode(one), start_ms
                self.flying.append((record, said.acked))
        if is_acked:
            flying, self.flying = self.flying, []
            for record, acked in flying:
                self.candles.append(record)
                acked()
        for share in self.shares:
            share.fold.settle(self.now_ms)

    def rest(self, ms, steps=20):
        """Our time passes, and it commits all the while."""
        for _ in range(steps):
            self.step(ms=ms // steps)
            self.commit()

    def is_live(self):
        return all(share.at >= share.end for share in self.shares)

    def commit(self):
        self.committed = [share.done() for share in self.shares]
        self.fell_silent |= self.now_ms - self.wrote_ms >= SILENT_MS

    def catch_up(self):
        """Reads all there is, in little of our time."""
        while any(share.at < len(share.log) for share in self.shares):
            self.step(ms=50)

    def said(self):
        """Of each key, interval and start all that readers saw, in order."""
        found = {}
        for key, _, value, _ in self.candles:
            if not codec.is_mark(value):
                one = codec.decode_candle(value)
                found.setdefault((key, one.interval, one.timestamp), []).append(one)
        return found

    def left(self):
        """What a life took as final because nobody had spoken: records came, or it was open."""
        left = set()
        for share in self.leaving:
            for key, _, _, start_ms in share.log[share.begun_at :]:
                if start_ms is not None and start_ms < share.final_ms:
                    left |= places(key, start_ms)
        final_ms = max((share.final_ms for share in self.leaving), default=0)
        for (key, _, start_ms), said in self.said().items():
            if start_ms < final_ms and not said[-1].closed:
                left |= places(key, start_ms)
        return left


def numbers(candle):
    raws = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return tuple(Decimal(bytes(raw).decode()) for raw in raws)


def only_grows(said, what=""):
    """All that was said of a candle: nothing older comes again, and it never opens again."""
    seen = [(one.closed, numbers(one)[4]) for one in said]
    assert [closed for closed, _ in seen] == sorted(closed for closed, _ in seen), (what, seen)
    assert [volume for _, volume in seen] == sorted(volume for _, volume in seen), (what, seen)


def places(key, start_ms):
    """The candles that a minute is in."""
    return {(key, name, start_ms // long * long) for name, long in INTERVALS.items()}
