"""Derive as its own process on a real broker: SIGKILL, SIGTERM, marks, poison, latency."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time

import msgspec
import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from container_worker import kafka as kafka_port
from container_worker.settings import KafkaSettings
from local import embedded
from marketdata import codec, topics
from marketdata.messages import NULL, PriceUpdate, Watermark
from marketdata.times import iso_ms

pytestmark = pytest.mark.services

TOPICS = (topics.PRICES, topics.TICKS, topics.CANDLES, topics.ORDERBOOK, topics.DEPTH)


_tapes = itertools.count(1)


class Tape:
    """Writes trades to `prices` by kafka-python and reads `ticks` back."""

    def __init__(self, servers):
        self.producer = KafkaProducer(bootstrap_servers=servers, linger_ms=2)
        tape = next(_tapes)
        self.tickers = [f"TAPE{tape}X{number}" for number in range(4)]
        self.written = {ticker: [] for ticker in self.tickers}
        self.event_ms = dict.fromkeys(self.tickers, int(time.time() * 1000))
        parts = [TopicPartition("ticks", number) for number in range(6)]
        self.consumer = KafkaConsumer(bootstrap_servers=servers)
        self.consumer.assign(parts)
        self.consumer.seek_to_end()
        for part in parts:
            self.consumer.position(part)
        self.ticks = {ticker: [] for ticker in self.tickers}
        self.volumes = {ticker: [] for ticker in self.tickers}
        self.opaque = set()

    def trade(self, ticker, step_ms):
        number = len(self.written[ticker]) + 1
        id_ = f"f3-{number:d}" if ticker in self.opaque else number
        self.event_ms[ticker] += step_ms
        self.written[ticker].append((number, self.event_ms[ticker]))
        update = PriceUpdate(
            symbol=f"{ticker}/USDT",
            price=msgspec.Raw(b"%d.50" % number),
            volume=NULL,
            timestamp=iso_ms(self.event_ms[ticker]),
            source="binance",
            trade_id=id_,
            quantity=msgspec.Raw(b"0.10"),
            side="SELL",
        )
        self.write(ticker, codec.encode(update), id_)

    def say(self, ticker, volume, number=0):
        """The exchange's ticker: its volume, and a price as if of trade `number`."""
        update = PriceUpdate(
            symbol=f"{ticker}/USDT",
            price=msgspec.Raw(b"%d.50" % number),
            volume=msgspec.Raw(volume),
            timestamp=iso_ms(self.event_ms[ticker]),
            source="binance",
            trade_id="",
            quantity=NULL,
            side="",
        )
        self.write(ticker, codec.encode(update), number, stream_type="ws_ticker")

    def write(self, ticker, value, number, *, stream_type="ws_trades", more=()):
        base = codec.base_headers(stream_type, "q", 7)
        headers = codec.record_headers(base, number, time.time_ns(), b"exchange")
        headers += more
        self.producer.send("prices", value, key=codec.key("binance", ticker), headers=headers)

    def read(self):
        for batch in self.consumer.poll(timeout_ms=50).values():
            for record in batch:
                _, ticker = codec.split_key(record.key)
                if ticker in self.ticks:
                    tick = codec.decode_tick(record.value)
                    number = int(dict(record.headers)["id"].rsplit(b"-")[-1])
                    assert bytes(tick.price) == b"%d.50" % number
                    self.ticks[ticker].append((number, tick.rates))
                    self.volumes[ticker].append((number, bytes(tick.volume)))
        return self.ticks

    def sent(self, ticker, rate):
        return [number for number, rates in self.ticks[ticker] if rate in rates]

    def complete(self):
        """Whether the newest trade of every ticker has come at the two short paces."""
        self.read()
        return all(
            self.sent(ticker, rate)[-1:] == [written[-1][0]]
            for ticker, written in self.written.items()
            for rate in ("250ms", "1s")
        )

    def close(self):
        self.producer.close()
        self.consumer.close()


@pytest.fixture
def derive(broker, new_topic):
    """`derive()` starts one; all are gone afterwards."""
    for topic in TOPICS:
        new_topic(topic.partitions, topic.name)
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-m", "container_worker", "derive"],
            env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def tape(broker, derive):
    one = Tape(broker.bootstrap_servers)
    yield one
    one.close()


def test_sigkill_at_seeded_moments_loses_no_second_and_sends_nothing_older(
    derive, tape, wait_until
):
    """Half of the tickers number their trades, the ids of the others only tell repeats."""
    seed = 20240809
    print(f"seed {seed}: pytest {__file__} -k sigkill")  # noqa: T201
    rng = random.Random(seed)
    tape.opaque.update(tape.tickers[::2])
    ended = threading.Event()

    def write():
        for _ in range(1200):
            tape.trade(rng.choice(tape.tickers), rng.choice((0, 1, 5, 40, 300, 1500)))
            ended.wait(0.004)

    writer = threading.Thread(target=write)
    writer.start()
    process = derive()
    for kill in (1.7, 2.3):
        until = time.monotonic() + kill
        wait_until(lambda until=until: tape.read() and time.monotonic() > until, 20)
        process.kill()
        process = derive()
    writer.join()
    for ticker in tape.tickers:
        tape.trade(ticker, 20_000)
    tape.producer.flush()
    wait_until(tape.complete, 60, "the newest trade at every pace")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    for ticker, written in tape.written.items():
        for rate, pace in (("250ms", 250), ("1s", 1000), ("10s", 10_000)):
            sent = tape.sent(ticker, rate)
            assert sent == sorted(set(sent)), f"{ticker} {rate} of seed {seed}"
            last = {event_ms // pace: number for number, event_ms in written[:-1]}
            assert set(last.values()) <= set(sent), f"{ticker} {rate} of seed {seed}"


def test_marks_and_poison_are_passed_over_and_a_tick_comes_within_its_pace(
    derive, tape, wait_until
):
    ticker = tape.tickers[0]
    tape.written = {ticker: []}
    derive()
    tape.trade(ticker, 0)
    wait_until(tape.complete, 30, "the first tick at both paces")
    mark = Watermark(E=tape.event_ms[ticker], s=ticker, x="binance")
    poison = (codec.encode(mark), b"", b"\xff", b"{}", b'{"type":"price_update"}', b"[" * 5000)
    for value in poison:
        tape.write(ticker, value, 1)
    tape.producer.send("prices", b"{}", key=None)
    tape.producer.send("prices", b"{}", key=b"no-colon", headers=[("epoch", b"x")])
    tape.trade(ticker, 20_000)
    tape.producer.flush()
    began = time.monotonic()
    wait_until(lambda: tape.read() and 2 in tape.sent(ticker, "250ms"), what="the tick")
    assert time.monotonic() - began < 2
    wait_until(lambda: tape.read() and 1 in tape.sent(ticker, "10s"), what="the closed window")


def test_tickers_give_volume_and_what_was_fetched_later_makes_no_tick_and_hides_no_trade(
    derive, tape, wait_until
):
    ticker = tape.tickers[0]
    tape.written = {ticker: []}
    derive()
    tape.say(ticker, b"null", number=7)
    tape.say(ticker, b'"many"', number=8)
    wait_until(lambda: tape.read() and 7 in tape.sent(ticker, "1s"), 30, "the ticker's price")
    tape.trade(ticker, 0)
    wait_until(tape.complete, 30, "the first trade at both paces")
    tape.say(ticker, b"98765.4321")
    for number in (90, 91, 92):
        late = PriceUpdate(
            symbol=f"{ticker}/USDT",
            price=msgspec.Raw(b"%d.50" % number),
            volume=NULL,
            timestamp=iso_ms(tape.event_ms[ticker] + 30_000 * number),
            source="binance",
            trade_id=number,
            quantity=msgspec.Raw(b"1"),
            side="BUY",
        )
        tape.write(ticker, codec.encode(late), number, more=[codec.BACKFILL])
    tape.trade(ticker, 20_000)
    tape.trade(ticker, 20_000)
    tape.producer.flush()
    wait_until(tape.complete, what="the newest trade at both paces")
    wait_until(lambda: tape.read() and 2 in tape.sent(ticker, "10s"), what="the closed window")
    assert {number for number, _ in tape.ticks[ticker]} == {7, 1, 2, 3}
    volumes = dict(tape.volumes[ticker])
    assert (volumes[7], volumes[2], volumes[3]) == (b"null", b"98765.4321", b"98765.4321")


@pytest.mark.soak
def test_an_outage_is_survived_and_sigterm_during_one_ends_within_its_bound(
    tmp_path, wait_until
):
    with embedded.kafka(tmp_path / "kafka") as servers:
        kafka_port.create_missing(KafkaSettings(servers), TOPICS)
        [broker] = [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(str(tmp_path) in part for part in process.info["cmdline"] or ())
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "container_worker", "derive"],
            env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": servers},
        )
        tape = Tape(servers)
        tape.written = {ticker: [] for ticker in tape.tickers[:1]}
        try:
            tape.trade(tape.tickers[0], 0)
            wait_until(tape.complete, 30, "the first tick")
            broker.suspend()
            frozen = time.monotonic()
            wait_until(lambda: time.monotonic() - frozen > 20, 30)
            broker.resume()
            tape.trade(tape.tickers[0], 20_000)
            wait_until(tape.complete, 60, "a tick after the outage")
            tape.trade(tape.tickers[0], 20_000)
            tape.close()
            broker.kill()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            broker.resume() if broker.is_running() else None
            process.kill()
            process.wait()


def test_topics_that_are_not_there_are_named_and_nothing_starts(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "container_worker", "derive"],
        env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "Kafka did not answer at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
