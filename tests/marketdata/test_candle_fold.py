"""Candles of minutes against an independent computation over the topic, with restarts."""

import random
from decimal import Decimal
from itertools import groupby

import msgspec
import pytest
from derive_rig import numbers, only_grows

from marketdata import codec
from marketdata.candle_fold import OPEN_PACE_MS, TradeFold
from marketdata.candle_kept import HISTORY_MS, LATE_MS, QUIET_MS
from marketdata.candle_periods import Taken
from marketdata.candle_values import MINUTE_MS
from marketdata.codec import HeaderFields
from marketdata.errors import DecodeError
from marketdata.messages import NULL, Candle, Gap, PriceUpdate, Watermark
from marketdata.times import iso_ms

START_MS = 1_700_000_040_000
KEY = codec.key("coinbase", "BTC-USD")


def price(number, event_ms, text="1.50", quantity="0.10", ticker="BTC-USD"):
    return PriceUpdate(
        symbol=ticker.replace("-", "/"),
        price=msgspec.Raw(text.encode()),
        volume=NULL,
        timestamp=iso_ms(event_ms),
        source="coinbase",
        trade_id=number,
        quantity=msgspec.Raw(quantity.encode()),
        side="BUY",
    )


class Log:
    """A partition of `prices`, and the lives of a fold that reads it."""

    def __init__(self):
        self.records = []
        self.now_ms = 0
        self.said = []
        self.committed = (0, "")
        self.begin()

    def write(self, message, *, backfill=False, epoch=7, key=KEY, type_="ws_trades"):
        fields = HeaderFields(type=type_, queue_id="q", epoch=epoch, backfill=backfill)
        self.records.append((key, fields, codec.encode(message)))

    def begin(self):
        """A new life at what was committed last; it knows what was said."""
        self.at, mark = self.committed
        self.fold = TradeFold({"coinbase"}, mark)
        for key, candle in self.said:
            if isinstance(candle, Candle):
                self.fold.seed(key, candle)
        self.end = len(self.records)
        self.unacked = []

    def step(self, *, ms=100, most=10**9, is_acked=True):
        """Reads on, writes what is due, and gets what was written acknowledged."""
        self.now_ms += ms
        for key, fields, value in self.records[self.at : self.at + most]:
            self.fold.take(Taken(key, fields, value, self.at, self.now_ms, []))
            self.at += 1
        for said in self.fold.due(self.now_ms, is_live=self.at >= self.end):
            self.said.append((said.key, said.message))
            self.unacked.append(said.acked)
        if is_acked:
            for acked in self.unacked:
                acked()
            self.unacked = []
        self.fold.settle(self.now_ms)

    def commit(self):
        self.committed = self.fold.done_below(self.at), self.fold.mark()

    def histories(self):
        """Of each key and start all that was said, in order."""
        found = {}
        for key, one in self.said:
            if isinstance(one, Candle):
                found.setdefault((key, one.timestamp), []).append(one)
        return found

    def candles(self):
        """Of each key and start what was said last, as readers that upsert have it."""
        return {place: said[-1] for place, said in self.histories().items()}


def expected(trades):
    """From `(key, id, event ms, price, quantity)`: one row a minute, by plain arithmetic."""
    rows = {}
    unique = {(key, id_): (event_ms, text, qty) for key, id_, event_ms, text, qty in trades}
    by_minute = sorted(
        (key, event_ms // MINUTE_MS * MINUTE_MS, id_, text, qty)
        for (key, id_), (event_ms, text, qty) in unique.items()
    )
    for (key, start), minute in groupby(by_minute, key=lambda one: one[:2]):
        of_minute = list(minute)
        prices = [Decimal(text) for *_, text, _ in of_minute]
        rows[key, start] = (
            Decimal(of_minute[0][3]),
            max(prices),
            min(prices),
            Decimal(of_minute[-1][3]),
            sum(Decimal(qty) for *_, qty in of_minute),
        )
    return rows


class Market:
    """Seeded trades of two tickers: repeats, and holes that are filled within half an hour."""

    def __init__(self, rng, log):
        self.rng, self.log = rng, log
        self.event_ms = START_MS + rng.randrange(50_000)
        self.keys = [codec.key("coinbase", name) for name in ("BTC-USD", "ETH-USD")]
        self.next_id = dict.fromkeys(self.keys, 1)
        self.trades = []
        self.missing = []

    def trade(self):
        rng, key = self.rng, self.rng.choice(self.keys)
        self.event_ms += rng.choice((0, 3, 900, 7_000, 31_000, 200_000))
        text, quantity = f"{rng.randrange(1, 999)}.{rng.randrange(99):02d}", rng.random()
        one = (key, self.next_id[key], self.event_ms, text, f"{quantity:.9f}")
        self.next_id[key] += 1
        self.trades.append(one)
        if rng.random() < 0.1:
            self.missing.append(one)
            return
        self.write(one)
        if rng.random() < 0.1:
            self.write(one, late=rng.random() < 0.5)
        if rng.random() < 0.05:
            self.log.write(Watermark(E=self.event_ms, s="", x="coinbase"), key=key)

    def fill(self, older_than_ms=0):
        if self.missing and self.missing[0][2] <= self.event_ms - older_than_ms:
            for one in self.missing:
                self.write(one, late=True)
            self.missing = []

    def write(self, one, *, late=False):
        key, number, event_ms, text, quantity = one
        self.log.write(price(number, event_ms, text, quantity), backfill=late, key=key)

    def end(self):
        self.fill()
        for key in self.keys:
            mark = Watermark(E=self.event_ms + MINUTE_MS, s="", x="coinbase")
            self.log.write(mark, key=key)


@pytest.mark.parametrize("seed", range(12))
def test_every_closed_candle_is_that_of_an_independent_computation_wherever_it_was_killed(seed):
    print(f"seed {seed}: pytest {__file__} -k 'independent and {seed}'")  # noqa: T201
    rng, log = random.Random(seed), Log()
    market = Market(rng, log)
    for _ in range(400):
        market.trade()
        if rng.random() < 0.05:
            market.fill()
        market.fill(older_than_ms=LATE_MS // 2)
        if rng.random() < 0.4:
            ms, most = rng.choice((50, 1_500, 70_000)), rng.choice((1, 5, 10**9))
            log.step(ms=ms, most=most, is_acked=rng.random() < 0.7)
        if rng.random() < 0.2:
            log.commit()
        if rng.random() < 0.04:
            log.begin()
    market.end()
    for _ in range(3):
        log.step(ms=2_000)
    candles = log.candles()
    assert {place: numbers(one) for place, one in candles.items()} == expected(market.trades)
    assert all(one.closed for one in candles.values())
    for place, said in log.histories().items():
        only_grows(said, place)
    assert log.committed[0] > 0


def test_a_minute_closes_by_the_exchange_s_time_and_never_by_ours():
    log = Log()
    log.write(price(1, START_MS))
    log.step()
    log.step(ms=50 * 60_000)
    assert [one.closed for _, one in log.said] == [False]
    log.write(Watermark(E=START_MS + MINUTE_MS - 1, s="BTC-USD", x="coinbase"))
    log.step()
    assert not any(one.closed for _, one in log.said if isinstance(one, Candle))
    log.write(Watermark(E=START_MS + MINUTE_MS, s="BTC-USD", x="coinbase"))
    log.step()
    (_, candle), (_, mark) = log.said[-2:]
    assert candle.closed
    assert mark == Watermark(E=START_MS + MINUTE_MS, s="BTC-USD", x="coinbase")


def test_an_open_candle_is_said_once_a_second_and_its_close_at_once():
    log = Log()
    for number in range(1, 31):
        log.write(price(number, START_MS + number))
        log.step(ms=OPEN_PACE_MS // 10)
    volumes = [bytes(one.volume) for _, one in log.said]
    assert volumes == [b"0.10", b"1.10", b"2.10"]
    log.write(price(31, START_MS + MINUTE_MS))
    log.step(ms=1)
    assert [(bytes(one.volume), one.closed) for _, one in log.said[-2:]] == [
        (b"3.00", True),
        (b"0.10", False),
    ]


def test_a_late_trade_corrects_its_candle_within_an_hour_and_no_later():
    log = Log()
    log.write(price(1, START_MS))
    log.write(price(9, START_MS + LATE_MS))
    log.step()
    log.write(price(2, START_MS + 1, "7"), backfill=True)
    log.step(ms=HISTORY_MS)
    assert bytes(log.candles()[KEY, START_MS].close) == b"7"
    log.write(price(10, START_MS + LATE_MS + MINUTE_MS))
    for _ in range(2):
        log.step(ms=QUIET_MS)
    log.write(price(3, START_MS + 2, "8"), backfill=True)
    log.step(ms=2_000)
    assert bytes(log.candles()[KEY, START_MS].close) == b"7"
    assert log.fold.counts()["late"] == 1


def test_after_a_restart_what_was_said_already_is_not_said_again():
    log = Log()
    for number in range(1, 6):
        log.write(price(number, START_MS + number * MINUTE_MS))
        log.step()
    log.commit()
    before = list(log.said)
    log.begin()
    log.step()
    assert log.said == before


def test_another_tape_in_the_past_begins_anew_and_leaves_the_open_candle_as_it_was():
    log = Log()
    log.write(price(50, START_MS))
    log.step()
    past_ms = START_MS - 100 * LATE_MS
    log.write(price(1, past_ms), epoch=8)
    log.write(price(2, past_ms + MINUTE_MS), epoch=8)
    log.step()
    log.commit()
    log.begin()
    log.write(price(3, past_ms + 2 * MINUTE_MS), epoch=8)
    for _ in range(3):
        log.step(ms=OPEN_PACE_MS)
    candles = log.candles()
    assert not candles[KEY, START_MS].closed
    starts = range(past_ms // MINUTE_MS, past_ms // MINUTE_MS + 2)
    assert all(candles[KEY, start * MINUTE_MS].closed for start in starts)


def test_stale_records_tickers_gaps_and_other_exchanges_make_no_candle():
    log = Log()
    log.write(price(1, START_MS), epoch=8)
    log.write(price(2, START_MS), epoch=7)
    log.write(price(3, START_MS), epoch=8, type_="ws_ticker")
    log.write(price(4, START_MS), epoch=8, key=codec.key("binance", "BTCUSDT"))
    log.write(Gap(START_MS, "BTC-USD", "coinbase", 5, 6, "sequence", START_MS, None), epoch=8)
    log.step()
    assert [bytes(one.volume) for _, one in log.said] == [b"0.10"]
    assert log.fold.counts()["stale"] == 1


@pytest.mark.parametrize("text", ['"1.5"', "null", "1e999", "9" * 200])
def test_a_trade_without_a_usable_number_is_refused_and_changes_nothing(text):
    log = Log()
    log.write(price(1, START_MS, text))
    with pytest.raises(DecodeError):
        log.step()
    assert not list(log.fold.due(0))


def test_exponents_are_written_out_and_volumes_never_round():
    log = Log()
    log.write(price(1, START_MS, "1E-7", "12345678901234567890123456789.000000001"))
    log.write(price(2, START_MS, "2e3", "0.0000000000000000000000000000001"))
    log.step()
    [(_, candle)] = log.said
    assert (bytes(candle.open), bytes(candle.high)) == (b"0.0000001", b"2000")
    whole = b"12345678901234567890123456789.0000000010000000000000000000001"
    assert bytes(candle.volume) == whole
