"""Longer candles against an independent computation over the topic, with restarts."""

import random
from decimal import Decimal

import msgspec
import pytest
from derive_rig import numbers

from marketdata import codec
from marketdata.candle_kept import HISTORY_MS, LATE_MS
from marketdata.candle_periods import Taken
from marketdata.candle_rollup import DERIVED_CANDLES, OPEN_PACE_MS, SETTLE_MS, TAPE_MS, RollUp
from marketdata.candle_values import LONGER_MS, MINUTE_MS
from marketdata.codec import HeaderFields
from marketdata.errors import DecodeError
from marketdata.messages import Candle, Gap, Watermark
from marketdata.times import DAY_MS
from marketdata.topics import CANDLE_UPDATES

DAY = 19_700 * DAY_MS
KEY = codec.key("binance", "BTCUSDT")


def minute(start_ms, numbers=("2", "3", "1", "2.5"), volume="1.50", *, closed=True):
    raws = [msgspec.Raw(text.encode()) for text in (*numbers, volume)]
    return Candle("BTC/USDT", start_ms, *raws, source="binance", interval="1m", closed=closed)


class Log:
    """A partition of `candles`, to which the fold writes as well."""

    def __init__(self):
        self.records = []
        self.now_ms = 0
        self.committed = (0, "")
        self.begin()

    def write(self, message, *, backfill=False, epoch=7, key=KEY, type_=CANDLE_UPDATES):
        fields = HeaderFields(type=type_, queue_id="q", epoch=epoch, backfill=backfill)
        self.records.append((key, fields, codec.encode(message)))

    def begin(self):
        """A new life at what was committed last."""
        self.at, mark = self.committed
        self.fold = RollUp(mark)
        self.end = len(self.records)
        self.unacked = []
        self.since = len(self.records)

    def step(self, *, ms=100, is_acked=True):
        self.now_ms += ms
        while self.at < len(self.records):
            key, fields, value = self.records[self.at]
            self.fold.take(Taken(key, fields, value, self.at, self.now_ms, []))
            self.at += 1
        for said in self.fold.due(self.now_ms, is_live=self.at >= self.end):
            self.write(said.message, key=said.key, type_=DERIVED_CANDLES)
            self.unacked.append(said.acked)
        if is_acked:
            for acked in self.unacked:
                acked()
            self.unacked = []
        self.fold.settle(self.now_ms)

    def commit(self):
        self.committed = self.fold.done_below(self.at), self.fold.mark()

    def said(self, since=0):
        return [
            codec.decode_candle(value)
            for _, fields, value in self.records[since:]
            if fields.type == DERIVED_CANDLES and not codec.is_mark(value)
        ]

    def candles(self):
        """Of each interval and start what was said last."""
        return {(one.interval, one.timestamp): one for one in self.said()}


def expected(minutes):
    """By plain arithmetic from the last word on each closed minute."""
    rows = {}
    for interval, length_ms in LONGER_MS.items():
        for start in {at // length_ms * length_ms for at in minutes}:
            inside = [minutes[at] for at in sorted(minutes) if start <= at < start + length_ms]
            rows[interval, start] = (
                inside[0][0],
                max(one[1] for one in inside),
                min(one[2] for one in inside),
                inside[-1][3],
                sum(one[4] for one in inside),
            )
    return rows


def random_minute(rng, start_ms, *, closed=True):
    prices = sorted(rng.randrange(1, 9999) for _ in range(4))
    low, high = f"{prices[0]}.5", f"{prices[3]}.5"
    ends = [f"{prices[1]}.50", f"{prices[2]}.50"]
    rng.shuffle(ends)
    volume = f"{rng.randrange(1, 10**12)}.{rng.randrange(10**9):09d}"
    return minute(start_ms, (ends[0], high, low, ends[1]), volume, closed=closed)


class Market:
    """Seeded minutes: some without a candle, some fetched later, some said again otherwise."""

    def __init__(self, rng, log):
        self.rng, self.log = rng, log
        self.now = DAY + 600 * MINUTE_MS
        self.truth = {}
        self.missing = []

    def minute(self):
        rng, log = self.rng, self.log
        self.now += rng.choice((1, 1, 1, 2, 17)) * MINUTE_MS
        if rng.random() < 0.5:
            log.write(random_minute(rng, self.now, closed=False))
        candle = random_minute(rng, self.now)
        self.truth[self.now] = numbers(candle)
        if rng.random() < 0.05:
            self.missing.append(candle)
            return
        log.write(candle)
        if rng.random() < 0.02:
            candle = random_minute(rng, self.now)
            self.truth[self.now] = numbers(candle)
            log.write(candle)

    def fill(self, older_than_ms=0):
        if self.missing and self.missing[0].timestamp <= self.now - older_than_ms:
            for one in self.missing:
                self.log.write(one, backfill=True)
            self.missing = []


@pytest.mark.parametrize("seed", range(3))
def test_every_closed_candle_is_that_of_an_independent_computation_wherever_it_was_killed(seed):
    print(f"seed {seed}: pytest {__file__} -k 'independent and {seed}'")  # noqa: T201
    rng, log = random.Random(seed), Log()
    market = Market(rng, log)
    while market.now < DAY + 3 * DAY_MS:
        market.minute()
        if rng.random() < 0.1:
            market.fill()
        market.fill(older_than_ms=LATE_MS // 2)
        if rng.random() < 0.3:
            log.step(ms=rng.choice((50, 1_500, 70_000)), is_acked=rng.random() < 0.7)
        if rng.random() < 0.1:
            log.commit()
        if rng.random() < 0.02:
            log.begin()
    market.fill()
    log.write(Watermark(E=DAY + 5 * DAY_MS, s="BTCUSDT", x="binance"))
    for _ in range(3):
        log.step(ms=OPEN_PACE_MS)
    candles = log.candles()
    assert {place: numbers(one) for place, one in candles.items()} == expected(market.truth)
    assert all(one.closed for one in candles.values())
    assert log.committed[0] > 0


def test_an_open_candle_has_the_closed_minutes_and_the_open_one():
    log = Log()
    log.write(minute(DAY, ("2", "3", "1", "2.5")))
    log.write(minute(DAY + MINUTE_MS, ("2.5", "9", "2.5", "8"), "0.25", closed=False))
    log.step()
    five = log.candles()["5m", DAY]
    assert numbers(five) == tuple(map(Decimal, ("2", "9", "1", "8", "1.75")))
    assert not five.closed
    log.write(minute(DAY + MINUTE_MS, ("2.5", "9", "2.5", "7"), "0.5", closed=False))
    log.step(ms=OPEN_PACE_MS - 200)
    assert log.candles()["5m", DAY] == five
    log.step(ms=200)
    assert bytes(log.candles()["5m", DAY].close) == b"7"


def test_a_candle_closes_with_its_last_minute_or_with_what_comes_after_its_end():
    log = Log()
    log.write(minute(DAY + 4 * MINUTE_MS))
    log.step()
    assert log.candles()["5m", DAY].closed
    assert not log.candles()["15m", DAY].closed
    log.write(Watermark(E=DAY + 15 * MINUTE_MS + SETTLE_MS - 1, s="BTCUSDT", x="binance"))
    log.step(ms=60_000)
    assert not log.candles()["15m", DAY].closed
    log.write(Watermark(E=DAY + 15 * MINUTE_MS + SETTLE_MS, s="BTCUSDT", x="binance"))
    log.step()
    assert log.candles()["15m", DAY].closed
    assert not log.candles()["1h", DAY].closed


def test_a_fetched_history_makes_the_candles_of_the_day_before_too():
    log = Log()
    log.write(minute(DAY + DAY_MS + 2 * LATE_MS))
    log.step()
    for start in range(DAY + DAY_MS - 90 * MINUTE_MS, DAY + DAY_MS, MINUTE_MS):
        log.write(minute(start), backfill=True)
        log.step(ms=HISTORY_MS // 100)
    log.step(ms=OPEN_PACE_MS)
    hour = log.candles()["1h", DAY + DAY_MS - LATE_MS]
    assert hour.closed
    assert numbers(hour)[4] == 90


def test_a_day_is_final_an_hour_after_its_end_and_is_then_read_no_more():
    log = Log()
    log.write(minute(DAY))
    log.write(minute(DAY + DAY_MS))
    log.step(ms=HISTORY_MS)
    log.commit()
    assert log.committed[0] == 0
    log.write(minute(DAY + DAY_MS + LATE_MS))
    log.step(ms=HISTORY_MS)
    log.step(ms=HISTORY_MS)
    log.commit()
    assert log.committed == (1, f'{{"":{log.at},"binance":{DAY + DAY_MS}}}')
    log.begin()
    before = log.candles()
    log.write(minute(DAY + MINUTE_MS, volume="99"), backfill=True)
    log.step(ms=OPEN_PACE_MS)
    assert {place: log.candles()[place] for place in before} == before
    assert log.fold.counts()["late"] == 1


def test_after_a_restart_what_was_said_already_is_not_said_again():
    log = Log()
    for number in range(20):
        log.write(minute(DAY + number * MINUTE_MS))
        log.step()
    log.step(ms=OPEN_PACE_MS)
    log.commit()
    log.begin()
    log.step(ms=OPEN_PACE_MS)
    assert log.said(log.since) == []


def test_what_begins_before_the_log_s_cut_is_not_written():
    fold = RollUp(is_cut=True)
    for offset, start in enumerate(range(DAY + 7 * MINUTE_MS, DAY + LATE_MS, MINUTE_MS)):
        fields = HeaderFields(epoch=7)
        value = codec.encode(minute(start))
        fold.take(Taken(KEY, fields, value, 900 + offset, 0, []))
    said = {
        (one.message.interval, (one.message.timestamp - DAY) // MINUTE_MS)
        for one in fold.due(0)
    }
    fives = {("5m", number) for number in range(10, 60, 5)}
    assert said == fives | {("15m", 15), ("15m", 30), ("15m", 45)}


def test_another_tape_in_the_past_begins_anew():
    log = Log()
    log.write(minute(DAY))
    log.step()
    past = DAY - 10 * TAPE_MS
    for number in range(6):
        log.write(minute(past + number * MINUTE_MS), epoch=8)
    log.step()
    assert not log.candles()["5m", DAY].closed
    assert log.candles()["5m", past].closed


def test_gaps_stale_records_and_candles_of_other_lengths_change_nothing():
    log = Log()
    log.write(minute(DAY), epoch=8)
    log.step()
    before = log.candles()
    log.write(minute(DAY + MINUTE_MS), epoch=7)
    log.write(Gap(DAY, "BTCUSDT", "binance", DAY, DAY, "sequence", DAY, None), epoch=8)
    log.write(msgspec.structs.replace(minute(DAY), interval="5m", closed=False), epoch=8)
    log.write(msgspec.structs.replace(minute(DAY), interval="1w"), epoch=8)
    log.write(minute(DAY + 1), epoch=8)
    log.step(ms=OPEN_PACE_MS)
    assert log.candles() == before


def test_a_minute_without_usable_numbers_is_refused():
    log = Log()
    log.write(minute(DAY, ("2", "x", "1", "2")))
    log.records[-1] = (*log.records[-1][:2], log.records[-1][2].replace(b"x", b'"x"'))
    with pytest.raises(DecodeError):
        log.step()
