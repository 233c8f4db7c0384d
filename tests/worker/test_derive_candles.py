"""Candles and depth by the real process on a real broker: SIGKILL at any moment, restarts."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from marketdata import codec, topics
from marketdata.candle_values import LONGER_MS, MINUTE_MS
from marketdata.messages import (
    NULL,
    Candle,
    DepthSnapshot,
    DepthUpdate,
    PriceUpdate,
    Watermark,
)
from marketdata.times import DAY_MS, iso_ms

pytestmark = pytest.mark.services

INTERVALS = {"1m": MINUTE_MS, **LONGER_MS}
_tapes = itertools.count(1)


class Tape:
    """Writes what capture writes, by kafka-python, and reads back what is derived."""

    def __init__(self, servers):
        self.producer = KafkaProducer(bootstrap_servers=servers, linger_ms=2)
        self.name = f"CANDLES{next(_tapes)}"
        self.epoch = 7
        self.candles, self.tops = [], []
        parts = [TopicPartition(topic, n) for topic in ("candles", "depth") for n in range(6)]
        self.consumer = KafkaConsumer(bootstrap_servers=servers)
        self.consumer.assign(parts)
        self.consumer.seek_to_end()
        for part in parts:
            self.consumer.position(part)

    def write(self, topic, exchange, type_, message, id_, *more):
        base = codec.base_headers(type_, "q", self.epoch)
        headers = [*codec.record_headers(base, id_, time.time_ns(), b"exchange"), *more]
        key = codec.key(exchange, self.name)
        self.producer.send(topic, codec.encode(message), key=key, headers=headers)

    def trade(self, number, event_ms, price, quantity, *more):
        update = PriceUpdate(
            symbol=f"{self.name}/USD",
            price=msgspec.Raw(price.encode()),
            volume=NULL,
            timestamp=iso_ms(event_ms),
            source="coinbase",
            trade_id=number,
            quantity=msgspec.Raw(quantity.encode()),
            side="SELL",
        )
        self.write("prices", "coinbase", "ws_trades", update, number, *more)

    def mark(self, topic, exchange, type_, event_ms):
        self.write(topic, exchange, type_, Watermark(E=event_ms, s="", x=exchange), event_ms)

    def read(self):
        for batch in self.consumer.poll(timeout_ms=50).values():
            for record in batch:
                exchange, ticker = codec.split_key(record.key)
                if ticker != self.name:
                    continue
                if record.topic == "depth":
                    self.tops.append(codec.decode_depth(record.value))
                elif dict(record.headers).get("derived") and not codec.is_mark(record.value):
                    assert dict(record.headers)["type"] == b"derived_candles"
                    self.candles.append((exchange, codec.decode_candle(record.value)))
        return self

    def volumes(self, exchange):
        """Of each interval and start whether it was closed and its volume, in order."""
        found = {}
        for source, candle in self.candles:
            if source == exchange:
                said = found.setdefault((candle.interval, candle.timestamp), [])
                said.append((candle.closed, numbers(candle)[4]))
        return found

    def last(self, exchange):
        """Of each interval and start the numbers that were said closed last."""
        return {place: numbers(said[-1]) for place, said in self.final(exchange).items()}

    def final(self, exchange):
        """Of each interval and start all values that were said closed, in order."""
        found = {}
        for source, candle in self.candles:
            if source == exchange and candle.closed:
                found.setdefault((candle.interval, candle.timestamp), []).append(candle)
        return found

    def close(self):
        self.producer.close()
        self.consumer.close()


@pytest.fixture
def derive(broker, new_topic):
    """`derive()` starts one; all are gone afterwards."""
    for topic in (topics.PRICES, topics.TICKS, topics.CANDLES, topics.ORDERBOOK, topics.DEPTH):
        new_topic(topic.partitions, topic.name)
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-m", "container_worker", "derive"],
            env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers},
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def tape(broker, derive):
    one = Tape(broker.bootstrap_servers)
    yield one
    one.close()


def of_trades(trades):
    """By plain arithmetic: the candle of every interval and start."""
    rows = {}
    for interval, length_ms in INTERVALS.items():
        by_start = {}
        for trade in sorted(trades):
            by_start.setdefault(trade[1] // length_ms * length_ms, []).append(trade)
        for start, inside in by_start.items():
            prices = [Decimal(price) for _, _, price, _ in inside]
            volume = sum(Decimal(quantity) for *_, quantity in inside)
            rows[interval, start] = (prices[0], max(prices), min(prices), prices[-1], volume)
    return rows


def numbers(candle):
    raws = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return tuple(Decimal(bytes(raw).decode()) for raw in raws)


class Market:
    """Seeded trades of a day, some twice, some late, and a book that changes all the while."""

    def __init__(self, rng, tape):
        self.rng, self.tape = rng, tape
        self.began_ms = event_ms = int(time.time() * 1000) // DAY_MS * DAY_MS - DAY_MS + 61_000
        self.trades, self.late = [], set()
        for number in range(1, 901):
            event_ms += rng.choice((0, 40, 3_000, 25_000, 70_000))
            price = f"{rng.randrange(1, 9999)}.{rng.randrange(99):02d}"
            self.trades.append((number, event_ms, price, f"{rng.random():.8f}"))

    def write(self, ended):
        bids = [(f"{99 - n}.00", "1") for n in range(30)]
        asks = [(f"{100 + n}.00", "1") for n in range(30)]
        self.book(DepthSnapshot(self.began_ms, "x", 1, bids, asks, "coinbase"))
        missed = []
        for trade in self.trades:
            number, event_ms, *_ = trade
            if number % 50 == 20:
                missed.append(trade)
                self.late |= {(name, event_ms // ms * ms) for name, ms in INTERVALS.items()}
            else:
                self.tape.trade(*trade)
            if number % 50 == 45:
                self.tape.trade(*missed.pop(), codec.BACKFILL)
            if self.rng.random() < 0.02 and trade not in missed:
                self.tape.trade(*trade)
            changed = [("99.00", str(number))]
            u = number + 1
            self.book(DepthUpdate(event_ms, "x", u, u, changed, [], "coinbase"))
            ended.wait(0.004)
        self.tape.mark("prices", "coinbase", "ws_trades", self.began_ms + 2 * DAY_MS)
        self.tape.producer.flush()

    def book(self, message):
        self.tape.write(
            "orderbook", "coinbase", "ws_diff_depth", message, message.u, codec.OURS
        )


def test_sigkill_loses_no_candle_and_shows_no_older_value_or_top_and_none_has_two_without_need(
    derive, tape, wait_until
):
    seed = 20240811
    print(f"seed {seed}: pytest {__file__} -k sigkill")  # noqa: T201
    market, ended = Market(random.Random(seed), tape), threading.Event()
    writer = threading.Thread(target=market.write, args=(ended,))
    writer.start()
    process = derive()
    for kill in (1.4, 1.9):
        until = time.monotonic() + kill
        wait_until(lambda until=until: tape.read() and time.monotonic() > until, 20)
        process.kill()
        process = derive()
    writer.join()
    truth = of_trades(market.trades)
    wait_until(lambda: tape.read().last("coinbase") == truth, 60, "all candles, right")
    wait_until(lambda: tape.read().tops and tape.tops[-1].id == 901, 30, "the last top")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert tape.read().last("coinbase") == truth
    for place, said in tape.final("coinbase").items():
        if place not in market.late:
            assert {numbers(one) for one in said} == {truth[place]}, f"{place} of seed {seed}"
    for place, said in tape.volumes("coinbase").items():
        assert [one for one, _ in said] == sorted(one for one, _ in said), f"{place}: {said}"
        assert [one for _, one in said] == sorted(one for _, one in said), f"{place}: {said}"
    top = tape.tops[-1]
    assert [one.id for one in tape.tops] == sorted(one.id for one in tape.tops)
    assert (top.bids[0], top.asks[0]) == (("99.00", "900"), ("100.00", "1"))
    assert (len(top.bids), len(top.asks), top.provisional) == (20, 20, False)


def test_minutes_of_an_exchange_that_sends_them_make_the_longer_ones_and_late_trades_correct(
    derive, tape, wait_until
):
    start = int(time.time() * 1000) // DAY_MS * DAY_MS - DAY_MS
    derive()
    for number in range(16):
        at = start + number * MINUTE_MS
        raws = [
            msgspec.Raw(text) for text in (b"2", b"%d" % (3 + number), b"1", b"2.5", b"0.1")
        ]
        candle = Candle("X/USDT", at, *raws, source="binance", interval="1m", closed=True)
        tape.write("candles", "binance", "ws_candles", candle, at)
    tape.trade(1, start, "5", "1")
    tape.trade(3, start + MINUTE_MS, "6", "1")
    tape.producer.flush()
    places = {("15m", start), *(("5m", start + n * 300_000) for n in range(3))}
    wait_until(lambda: tape.read().final("binance").keys() >= places, 30, "the longer ones")
    quarter = tape.final("binance")["15m", start][-1]
    assert numbers(quarter) == tuple(map(Decimal, ("2", "17", "1", "2.5", "1.5")))
    assert {interval for interval, _ in tape.final("binance")} == {"5m", "15m"}
    wait_until(lambda: ("1m", start) in tape.read().final("coinbase"), 10, "the first minute")
    tape.trade(2, start + 30_000, "9", "2", codec.BACKFILL)
    tape.producer.flush()
    wait_until(
        lambda: len(tape.read().final("coinbase")["1m", start]) == 2, 10, "the correction"
    )
    assert numbers(tape.final("coinbase")["1m", start][-1]) == (5, 9, 5, 9, 3)
