"""Commands on a real broker: rule 6."""

import pytest
from kafka import KafkaProducer

from container_worker.control import Control
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerUnavailable, TopicMismatch

pytestmark = pytest.mark.services


@pytest.fixture
def command(broker):
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)

    def send(topic, value):
        producer.send(topic, value=value).get(10)

    yield send
    producer.close()


def stop_of(queue_id):
    return b'{"command":"stop","queue_id":"%s"}' % queue_id.encode()


def test_an_old_stop_is_not_heard_and_one_during_start_up_is(
    broker, new_topic, command, wait_until
):
    topic = new_topic(2)
    command(topic, stop_of("old"))
    stops = []
    control = Control(broker, topic, stops.append)
    try:
        command(topic, stop_of("early"))
        control.start(print)
        command(topic, stop_of("late"))
        wait_until(lambda: len(stops) >= 2, what="two stops")
    finally:
        control.close()
    assert sorted(stops) == ["early", "late"]


def test_poison_and_unknown_commands_are_counted_and_passed_over(
    broker, new_topic, command, wait_until
):
    topic = new_topic()
    stops = []
    control = Control(broker, topic, stops.append)
    control.start(print)
    try:
        for poison in (b"\xff\xfe", b"{", b"[]", b'{"command":"dance","queue_id":"x"}', b""):
            command(topic, poison)
        command(topic, b'{"command":"stop"}')
        command(
            topic,
            b'{"command":"start","queue_id":"a","exchange":"binance","tickers":[],"types":[]}',
        )
        command(topic, stop_of("mine"))
        wait_until(lambda: stops, what="the stop")
    finally:
        control.close()
    assert stops == ["mine"]
    assert (control.rejects, control.passed_over, control.stops) == (6, 1, 1)


def test_a_topic_that_does_not_exist_is_named(broker):
    with pytest.raises(TopicMismatch, match="nowhere does not exist"):
        Control(broker, "nowhere", print)


def test_a_broker_that_does_not_answer_is_named():
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1"):
        Control(KafkaSettings("127.0.0.1:1"), "queue-control", print)


def test_close_without_start_returns(broker, new_topic):
    control = Control(broker, new_topic(), print)
    control.close()
    control.close()
