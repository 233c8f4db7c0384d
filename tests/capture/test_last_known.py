"""What a topic says was written last: the fold alone, and the tails of a real broker."""

import itertools
import logging
import random
import time

import msgspec
import pytest
from kafka import KafkaProducer
from kafka.partitioner.default import murmur2

from container_worker import kafka as kafka_port
from container_worker.capture.known_records import (
    NOTHING,
    TOLD_KEPT,
    advanced,
    holes,
    joined,
)
from container_worker.capture.last_known import LastKnown, Wanted, read_last_known
from container_worker.settings import KafkaSettings
from marketdata import codec
from marketdata.codec import HeaderFields
from marketdata.errors import BrokerUnavailable, DecodeError
from marketdata.messages import (
    NULL,
    Candle,
    ContractEvent,
    DepthSnapshot,
    DepthUpdate,
    Gap,
    PriceUpdate,
    Watermark,
)
from marketdata.partitions import partition_of
from marketdata.times import iso_ms
from marketdata.topics import HOUR_MS, Topic

SEED = 20260919
START_MS = 1_790_000_000_000
LIVE = HeaderFields()
_numbers = itertools.count(1)


def trade(id_, event_ms):
    return PriceUpdate(
        symbol="BTC/USD",
        price=msgspec.Raw(b"1.50"),
        volume=NULL,
        timestamp=iso_ms(event_ms),
        source="coinbase",
        trade_id=id_,
        quantity=msgspec.Raw(b"2"),
        side="BUY",
    )


def candle(start_ms, *, closed):
    one = msgspec.Raw(b"1")
    return Candle("BTC/USD", start_ms, one, one, one, one, one, "coinbase", "1m", closed)


def chain_event(id_, event_ms):
    empty = msgspec.Raw(b"[]")
    return ContractEvent(
        ledger=7,
        transaction_hash="ab",
        contract_id="C",
        topics=empty,
        data=empty,
        id=id_,
        timestamp=iso_ms(event_ms),
        event_type="contract",
        transaction_index=1,
        operation_index=0,
        in_successful_call=True,
    )


def book(kind, update_id, event_ms):
    if kind is DepthUpdate:
        return DepthUpdate(event_ms, "BTC-USD", update_id, update_id, [], [], "coinbase")
    return DepthSnapshot(event_ms, "BTC-USD", update_id, [], [], "coinbase")


def gap(first, last):
    return Gap(START_MS, "BTC-USD", "coinbase", first, last, "restart", START_MS, START_MS)


def watermark(event_ms, cursor=None):
    return Watermark(event_ms, "BTC-USD", "coinbase", cursor)


def known(stream_type, *messages, headers=LIVE):
    found = NOTHING
    for message in messages:
        found = advanced(found, stream_type, headers, codec.encode(message))
    return found


@pytest.mark.parametrize(
    ("stream_type", "messages", "expected"),
    [
        ("ws_trades", [trade(7, START_MS)], LastKnown(7, START_MS)),
        ("ws_trades", [trade("a-7", START_MS)], LastKnown("a-7", START_MS)),
        ("ws_ticker", [trade("", START_MS)], LastKnown(None, START_MS)),
        ("ws_diff_depth", [book(DepthSnapshot, 3, START_MS)], LastKnown(3, START_MS)),
        ("ws_depth", [book(DepthUpdate, 4, START_MS)], LastKnown(4, START_MS)),
        ("contract_events", [chain_event("0-1", START_MS)], LastKnown("0-1", START_MS)),
        (
            "ws_candles",
            [candle(60_000, closed=True), candle(120_000, closed=False)],
            LastKnown(120_000, 120_000, 60_000, there=((1, 1),)),
        ),
        (
            "contract_events",
            [chain_event("0-1", START_MS), watermark(START_MS + 5, "0-2")],
            LastKnown("0-1", START_MS + 5, None, "0-2"),
        ),
        (
            "contract_events",
            [watermark(START_MS + 5, "0-2"), watermark(START_MS + 6)],
            LastKnown(None, START_MS + 6, None, "0-2"),
        ),
    ],
)
def test_the_newest_record_of_each_type_is_what_is_known(stream_type, messages, expected):
    assert known(stream_type, *messages) == expected


def test_a_gap_moves_nothing_and_a_watermark_only_the_time():
    found = known("ws_trades", trade(7, START_MS), gap(8, 90), watermark(START_MS + 9))
    assert found == LastKnown(7, START_MS + 9, told=((8, 90),))


LATE = HeaderFields(backfill=True)


@pytest.mark.parametrize(
    ("stream_type", "message"),
    [("ws_trades", trade(99, START_MS)), ("contract_events", chain_event("0-1", START_MS))],
)
def test_what_was_fetched_later_moves_nothing(stream_type, message):
    found = known(stream_type, message, headers=LATE)
    assert found._replace(there=()) == NOTHING
    assert found.there == (((99, 99),) if stream_type == "ws_trades" else ())


def late(found, stream_type, *messages):
    for message in messages:
        found = advanced(found, stream_type, LATE, codec.encode(message))
    return found


def test_a_hole_is_open_from_its_first_to_its_last_id_that_has_not_come():
    found = known("ws_trades", trade(7, START_MS), gap(8, 20), gap(22, 24), gap(None, None))
    assert holes(found, "ws_trades") == [(8, 20), (22, 24)]
    found = late(found, "ws_trades", *(trade(id_, START_MS) for id_ in (8, 9, 13, 20)))
    assert holes(found, "ws_trades") == [(10, 19), (22, 24)]
    found = late(found, "ws_trades", *(trade(id_, START_MS) for id_ in (22, 23, 24)))
    assert holes(found, "ws_trades") == [(10, 19)]


def test_a_hole_in_candles_is_open_from_its_first_to_its_last_minute_that_has_not_come():
    minutes = [60_000 * number for number in range(9)]
    found = known("ws_candles", candle(minutes[1], closed=True), gap(minutes[2], minutes[7]))
    found = late(found, "ws_candles", candle(minutes[2], closed=True))
    assert holes(found, "ws_candles") == [(minutes[3], minutes[7])]
    closes = candle(minutes[7], closed=True)
    found = advanced(found, "ws_candles", LIVE, codec.encode(closes))
    assert holes(found, "ws_candles") == [(minutes[3], minutes[6])]
    assert known("ws_depth", gap(3, 9)) == NOTHING


def test_what_is_remembered_of_holes_is_bounded():
    gaps = [gap(10 * number, 10 * number + 1) for number in range(TOLD_KEPT + 5)]
    found = known("ws_trades", *gaps)
    assert len(holes(found, "ws_trades")) == TOLD_KEPT
    assert joined(found, found) == found


def test_a_candle_that_was_fetched_counts_as_written_and_takes_nothing_back():
    only_fetched = known(
        "ws_candles", candle(60_000, closed=True), candle(120_000, closed=True), headers=LATE
    )
    assert only_fetched == LastKnown(None, 0, 120_000, there=((1, 2),))
    found = known("ws_candles", candle(180_000, closed=True), candle(240_000, closed=False))
    fetched = late(found, "ws_candles", candle(120_000, closed=True))
    assert fetched == found._replace(there=((2, 3),))


def test_an_event_time_that_goes_back_does_not_take_the_known_one_back():
    assert known("ws_trades", trade(7, START_MS), trade(8, START_MS - 50)) == LastKnown(
        8, START_MS
    )


@pytest.mark.parametrize(
    ("stream_type", "value"),
    [
        ("ws_trades", b"{}"),
        ("ws_trades", b"\xff"),
        ("ws_trades", codec.encode(msgspec.structs.replace(trade(1, 1), timestamp="then"))),
        ("ws_candles", b'{"e":"gap"}'),
        ("ws_diff_depth", b'{"e":"nothing"}'),
        ("what", codec.encode(trade(1, START_MS))),
    ],
)
def test_a_value_that_is_not_what_its_type_says_is_a_decode_error(stream_type, value):
    with pytest.raises(DecodeError):
        advanced(NOTHING, stream_type, LIVE, value)


def test_two_stretches_joined_say_what_one_over_both_would_say():
    print(f"seed {SEED}: pytest {__file__} -k stretches")  # noqa: T201
    rng = random.Random(SEED)
    for _ in range(300):
        messages = [
            rng.choice(
                (
                    candle(60_000 * number, closed=rng.random() < 0.3),
                    watermark(START_MS + number, rng.choice((None, f"c{number}"))),
                    gap(number, number),
                )
            )
            for number in range(1, 12)
        ]
        cut = rng.randrange(len(messages) + 1)
        older, newer = messages[:cut], messages[cut:]
        both = joined(known("ws_candles", *older), known("ws_candles", *newer))
        assert both == known("ws_candles", *messages)


def test_a_key_lies_where_the_other_kafka_library_puts_it():
    rng = random.Random(SEED)
    keys = [rng.randbytes(rng.randrange(40)) for _ in range(1_000)]
    for key in [*keys, b"binance:BTCUSDT", b"stellar:events"]:
        for partitions in (1, 3, 6, 12):
            assert partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


@pytest.fixture(scope="module")
def broker(kafka):
    return KafkaSettings(bootstrap_servers=kafka)


@pytest.fixture
def topic(broker):
    """A fresh topic of six partitions."""
    name = f"last-known-{next(_numbers)}"
    kafka_port.create_missing(broker, [Topic(name, 6, HOUR_MS)])
    return name


@pytest.fixture
def write(broker):
    """`write(topic, ticker, type, message, …)` by kafka-python; flushed by `write.flush()`."""
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, linger_ms=20)

    def send(topic, ticker, stream_type, message, *, epoch=5, backfill=False, value=None):
        headers = codec.record_headers(
            codec.base_headers(stream_type, "q", epoch), "", time.time_ns(), b"exchange"
        )
        headers += [codec.BACKFILL] if backfill else []
        value = value or codec.encode(message)
        producer.send(topic, value, key=codec.key("coinbase", ticker), headers=headers)

    send.flush = producer.flush
    yield send
    producer.close()


def wanted(topic, ticker="BTC-USD", stream_type="ws_trades"):
    return Wanted(topic, "coinbase", ticker, stream_type)


@pytest.mark.services
def test_the_newest_of_each_unit_is_found_among_others_marks_poison_and_backfill(
    broker, topic, write
):
    for number in range(1, 1_200):
        write(topic, "BTC-USD", "ws_trades", trade(number, START_MS + number))
    write(topic, "ETH-USD", "ws_trades", trade("x9", START_MS))
    write(topic, "BTC-USD", "ws_candles", candle(60_000, closed=True))
    write(topic, "BTC-USD", "ws_trades", gap(1_200, 1_300))
    write(topic, "BTC-USD", "ws_trades", trade(1_250, START_MS), backfill=True)
    write(topic, "BTC-USD", "ws_trades", trade(77, START_MS), epoch=4)
    write(topic, "BTC-USD", "ws_trades", None, value=b"poison")
    write(topic, "BTC-USD", "ws_trades", watermark(START_MS + 5_000))
    write.flush()
    units = [
        wanted(topic),
        wanted(topic, "ETH-USD"),
        wanted(topic, "BTC-USD", "ws_candles"),
        wanted(topic, "SOL-USD"),
        wanted("no-such-topic"),
    ]
    assert read_last_known(broker, units) == {
        units[0]: LastKnown(
            1_199, START_MS + 5_000, told=((1_200, 1_300),), there=((1_250, 1_250),)
        ),
        units[1]: LastKnown("x9", START_MS),
        units[2]: LastKnown(60_000, 60_000, 60_000, there=((1, 1),)),
    }


@pytest.mark.services
def test_a_quiet_ticker_is_found_behind_thousands_of_trades_of_its_neighbour(
    broker, topic, write
):
    """Candles are never so rare: they are not looked for so far back."""
    place = partition_of(codec.key("coinbase", "BTC-USD"), 6)
    names = (f"QUIET{number}-USD" for number in range(100))
    quiet = next(n for n in names if partition_of(codec.key("coinbase", n), 6) == place)
    write(topic, quiet, "ws_trades", trade("z", START_MS))
    write(topic, "BTC-USD", "ws_candles", candle(60_000, closed=True))
    for number in range(1, 12_001):
        write(topic, "BTC-USD", "ws_trades", trade(number, START_MS + number))
        if number in {100, 11_900}:
            write(topic, quiet, "ws_trades", watermark(START_MS + number))
    write.flush()
    units = [wanted(topic), wanted(topic, quiet)]
    assert read_last_known(broker, units) == {
        units[0]: LastKnown(12_000, START_MS + 12_000),
        units[1]: LastKnown("z", START_MS + 11_900),
    }
    assert read_last_known(broker, [wanted(topic, stream_type="ws_candles")]) == {}


@pytest.mark.services
def test_a_hole_is_looked_for_further_back_than_the_last_trade(
    broker, topic, write, monkeypatch
):
    monkeypatch.setattr("container_worker.capture.last_known.STEPS", (10, 100, 200))
    for number in range(1, 20):
        write(topic, "BTC-USD", "ws_trades", trade(number, START_MS + number))
        if number == 10:
            write(topic, "BTC-USD", "ws_trades", gap(900, 905))
            write(topic, "BTC-USD", "ws_trades", trade(900, START_MS), backfill=True)
    write.flush()
    found = read_last_known(broker, [wanted(topic)])[wanted(topic)]
    assert (found.id, holes(found, "ws_trades")) == (19, [(901, 905)])


@pytest.mark.services
def test_a_unit_beyond_the_bound_counts_as_new_and_is_named(
    broker, topic, write, monkeypatch, caplog
):
    caplog.set_level(logging.WARNING, "tapedeck")
    monkeypatch.setattr("container_worker.capture.last_known.STEPS", (10, 100))
    write(topic, "BTC-USD", "ws_candles", candle(60_000, closed=True))
    for number in range(1, 101):
        write(topic, "BTC-USD", "ws_trades", trade(number, START_MS + number))
    write.flush()
    candles, trades = wanted(topic, stream_type="ws_candles"), wanted(topic)
    assert read_last_known(broker, [candles, trades]) == {
        trades: LastKnown(100, START_MS + 100)
    }
    [said] = caplog.records
    assert (said.message, said.fields) == (
        "capture.last_known_not_found",
        {"units": 1, "first": ["coinbase:BTC-USD ws_candles"]},
    )


@pytest.mark.services
def test_what_there_was_no_time_to_read_to_its_end_does_not_count(broker, topic, write):
    for number in range(1, 3_000):
        write(topic, "BTC-USD", "ws_trades", trade(number, START_MS + number))
    write.flush()
    assert read_last_known(broker, [wanted(topic)], seconds=0.0) == {}


@pytest.mark.services
def test_neither_an_empty_topic_nor_a_full_one_holds_up_a_start(broker, topic, write):
    units = [wanted(topic, ticker) for ticker in ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")]
    began = time.monotonic()
    assert read_last_known(broker, units) == {}
    assert time.monotonic() - began < 3
    for number in range(1, 5_001):
        for unit in units:
            write(topic, unit.ticker, unit.type, trade(number, START_MS + number))
    write.flush()
    began = time.monotonic()
    found = read_last_known(broker, units)
    took_s = time.monotonic() - began
    assert [found[unit].id for unit in units] == [5_000] * 4
    assert took_s < 3


def test_nothing_wanted_asks_nobody_and_absent_brokers_are_named(monkeypatch):
    nowhere = KafkaSettings("127.0.0.1:1")
    assert read_last_known(nowhere, []) == {}
    monkeypatch.setattr("container_worker.kafka_topics.ANSWER_SECONDS", 1.0)
    counts = kafka_port.partition_counts
    monkeypatch.setattr(
        "container_worker.capture.last_known.partition_counts", lambda kafka: counts(kafka, 1.0)
    )
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1"):
        read_last_known(nowhere, [wanted("prices")])
