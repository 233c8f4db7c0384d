"""What cannot be used is kept whole where it can be, never ends anything, and is counted."""

import base64
import json
import time

import pytest
from capture_rig import FakeProducer

from container_worker.capture import rejects as module
from container_worker.capture.rejects import Rejects
from container_worker.kafka import Producer
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerError
from marketdata.topics import REJECTS

MIB = 1024 * 1024
NOWHERE = KafkaSettings("127.0.0.1:1")


class Refusing(FakeProducer):
    """Says of every record what Kafka's client says of one that is too large."""

    def send(self, record, on_ack=None, *, reserved=False):
        raise BrokerError("a record for rejects was not taken")


class Unreserved(FakeProducer):
    """Says how the room was asked for."""

    def send(self, record, on_ack=None, *, reserved=False):
        assert not reserved
        return super().send(record, on_ack)


@pytest.fixture
def told():
    return []


def make(producer, told, topic="rejects"):
    return Rejects(producer, "binance", topic, lambda error: told.append(str(error)))


def whole(record):
    reject = json.loads(record.value)
    text = reject["frame"]
    return base64.b64decode(text) if reject["encoding"] == "base64" else text.encode()


@pytest.mark.parametrize(
    "frame",
    [b"\x00" * (2 * MIB), b'"' * (5 * MIB), b"\xff" * (5 * MIB), b"x" * (7 * MIB), b"\xff"],
    ids=["zeros", "quotes", "binary", "text", "small"],
)
def test_a_frame_is_kept_whole_in_the_encoding_that_has_room(frame, told) -> None:
    producer = FakeProducer()
    make(producer, told).put(frame, "no message", 7)
    [record] = producer.records
    assert len(record.value) < REJECTS.max_message_bytes
    assert whole(record) == frame


@pytest.mark.parametrize("frame", [b"\xff" * (7 * MIB), b"x" * (9 * MIB)])
def test_a_frame_that_fits_in_neither_is_counted_and_told(frame, told) -> None:
    producer = FakeProducer()
    rejects = make(producer, told)
    rejects.put(frame, "no message", 7)
    rejects.tick(1000.0)
    assert (producer.records, rejects.seen, rejects.kept) == ([], 1, 0)
    [text] = told
    assert text.startswith("binance: 1 frame that could not be used is not in rejects: over")


def test_kafkas_own_client_takes_what_is_sent() -> None:
    producer = Producer(NOWHERE)
    rejects = make(producer, [])
    rejects.put(b"\x00" * (2 * MIB), "no message", 7)
    rejects.put(b"\xff" * (5 * MIB + 900_000), "no message", 7)
    assert (rejects.seen, rejects.kept, producer.in_flight) == (2, 2, 2)


def test_a_reject_that_kafka_refuses_ends_nothing(told) -> None:
    rejects = make(Refusing(), told)
    rejects.put(b"frame", "no message", 7)
    assert (rejects.seen, rejects.kept) == (1, 0)
    rejects.tick(1000.0)
    assert len(told) == 1


def test_rejects_take_the_room_of_data_and_a_bounded_part_of_it() -> None:
    producer = Unreserved()
    rejects = make(producer, [])
    for _ in range(200):
        rejects.put(b"x" * (4 * MIB), "no message", 7)
    assert 1 <= rejects.kept == len(producer.records)
    assert sum(len(record.value) for record in producer.records) <= 20 * MIB
    producer.full = True
    rejects.put(b"x", "no message", 7)
    assert rejects.seen == 201


def test_what_is_over_the_rate_is_told_once_in_a_while(told, monkeypatch) -> None:
    now_s = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now_s)
    rejects = make(FakeProducer(), told)
    for _ in range(1000):
        rejects.put(b"frame", "reason", 7)
    for second in range(100):
        rejects.tick(now_s + second)
    assert ["800 frames that could" in one for one in told] == [True]
    rejects.put(b"frame", "reason", 7)
    for second in range(100, 200):
        rejects.tick(now_s + second)
    assert ["1 frame that could" in one for one in told] == [False, True]
    assert (rejects.seen, rejects.kept) == (1001, 200)


def test_without_the_topic_all_are_told(told) -> None:
    rejects = make(FakeProducer(), told, topic=None)
    rejects.put(b"frame", "reason", 7)
    rejects.tick(1000.0)
    assert told == [
        "binance: 1 frame that could not be used is not kept: there is no topic rejects"
    ]
