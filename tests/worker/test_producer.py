"""The producer on a real broker: partitions, acknowledgements, bounds, errors."""

import random

import pytest
from confluent_kafka import KafkaError
from kafka import KafkaProducer

from container_worker import kafka as kafka_port
from container_worker.kafka import Producer, client_config, producer_config, translate
from container_worker.settings import KafkaSettings
from marketdata.codec import Record
from marketdata.errors import BrokerError, BrokerUnavailable, TopicMismatch
from marketdata.topics import TOPICS, Topic

pytestmark = pytest.mark.services
NOWHERE = KafkaSettings("127.0.0.1:1", buffer_bytes=1024 * 1024)


def test_both_libraries_send_each_of_1000_keys_to_the_same_partition(
    broker, new_topic, read_all
):
    seed = 20240808
    rng = random.Random(seed)
    keys = [
        f"binance:{rng.getrandbits(64):x}"[: rng.randint(1, 24)].encode() for _ in range(1000)
    ]
    ours, theirs = new_topic(12), new_topic(12)
    producer = Producer(broker)
    witness = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    for key in keys:
        assert producer.send(Record(ours, key, b"v", []))
        witness.send(theirs, key=key, value=b"v")
    assert producer.flush(10) == 0
    witness.flush(10)
    witness.close()
    partition_of = {record.key: record.partition for record in read_all(theirs, 12)}
    sent = read_all(ours, 12)
    assert len(sent) == 1000
    assert {record.key: record.partition for record in sent} == partition_of
    assert len(set(partition_of.values())) == 12


def test_acknowledgements_come_once_a_record_and_counters_agree(broker, new_topic, read_all):
    topic = new_topic()
    producer = Producer(broker)
    acked = []
    for number in range(500):
        assert producer.send(
            Record(topic, b"k", b"%d" % number, [("id", b"%d" % number)]),
            lambda number=number: acked.append(number),
        )
    assert producer.flush(10) == 0
    assert acked == list(range(500))
    assert (producer.sent, producer.acked, producer.held_bytes) == (500, 500, 0)
    records = read_all(topic)
    assert [record.value for record in records] == [b"%d" % number for number in range(500)]
    assert records[7].headers == [("id", b"7")]


def test_the_bound_holds_without_a_broker_and_leaves_room_for_reserved_records():
    producer = Producer(NOWHERE)
    record = Record("t", b"k", b"x" * 10_000, [])
    taken = 0
    while producer.send(record):
        taken += 1
        assert taken < 200
    assert taken == 1024 * 1024 // (10_000 + 256)
    assert producer.crowded
    assert producer.send(record, reserved=True)
    while producer.send(record, reserved=True):
        taken += 1
        assert taken < 200
    assert producer.held_bytes <= 1024 * 1024 * 9 // 8
    assert producer.flush(0.1) == producer.in_flight > 0


def test_a_record_that_is_too_large_is_refused_by_name(broker, new_topic):
    topic = new_topic()
    producer = Producer(broker)
    with pytest.raises(BrokerError, match=f"a record for {topic} was not taken"):
        producer.send(Record(topic, b"k", b"x" * (8 * 1024 * 1024 + 1), []))


def test_a_record_that_the_broker_refuses_surfaces_as_an_error(broker, new_topic, wait_until):
    """2 MB of noise are under the client's limit and over the topic's."""
    topic = new_topic()
    producer = Producer(broker)
    producer.send(Record(topic, b"k", random.Random(1).randbytes(2 * 1024 * 1024), []))
    with pytest.raises(BrokerError, match=f"a record for {topic} was refused"):
        wait_until(lambda: producer.flush(0.1) < 0, what="the refusal")


def test_a_refused_record_of_an_expendable_topic_ends_nothing(broker, new_topic):
    topic, other = new_topic(), new_topic()
    producer = Producer(broker, expendable={topic})
    producer.send(Record(topic, b"k", random.Random(1).randbytes(2 * 1024 * 1024), []))
    assert producer.flush(10) == 0
    producer.send(Record(other, b"k", b"v", []))
    assert producer.flush(10) == 0
    assert producer.held_bytes == 0


def test_topics_with_other_counts_and_missing_ones_are_named_together(broker, new_topic):
    name = new_topic(3)
    with pytest.raises(TopicMismatch) as raised:
        kafka_port.check_topics(broker, [Topic(name, 12, 1), Topic("nowhere", 2, 1)])
    assert f"the topic {name} has 3 partitions, not 12" in str(raised.value)
    assert "the topic nowhere does not exist" in str(raised.value)
    kafka_port.check_topics(broker, [Topic(name, 3, 1)])


def test_brokers_that_do_not_answer_are_named_within_the_bound():
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 within 1 s"):
        kafka_port.check_topics(NOWHERE, TOPICS.values(), seconds=1)


def test_creating_topics_again_changes_nothing(broker, new_topic):
    name = new_topic(2)
    kafka_port.create_missing(broker, [Topic(name, 5, 1)])
    assert kafka_port.partition_counts(broker)[name] == 2


@pytest.mark.parametrize(
    ("kafka", "expected"),
    [
        (KafkaSettings("b:1"), {"security.protocol": "PLAINTEXT"}),
        (KafkaSettings("b:1", ca_path="/ca"), {"security.protocol": "SSL"}),
        (
            KafkaSettings("b:1", auth="scram", user="u", password="p", ca_path="/ca"),
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "u",
                "sasl.password": "p",
                "ssl.ca.location": "/ca",
            },
        ),
        (
            KafkaSettings("b:1", auth="iam", region="us-east-1"),
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"},
        ),
    ],
)
def test_each_kind_of_login_has_its_configuration(kafka, expected):
    config = client_config(kafka)
    assert expected.items() <= config.items()


def test_an_iam_token_is_signed_for_the_region_and_lasts_a_quarter_of_an_hour():
    config = client_config(KafkaSettings("b:1", auth="iam", region="eu-west-1"))
    token, expiry_s = config["oauth_cb"]("")
    assert len(token) > 100
    assert expiry_s > 1_700_000_000


def test_the_producer_never_gives_a_record_up_and_partitions_by_murmur2():
    config = producer_config(KafkaSettings("b:1"))
    assert config["message.timeout.ms"] == 0
    assert config["partitioner"] == "murmur2_random"
    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"


def test_every_error_of_the_library_has_a_place_in_ours():
    codes = {
        value
        for name, value in vars(KafkaError).items()
        if name.lstrip("_").isupper() and isinstance(value, int)
    }
    assert len(codes) > 100
    for code in codes:
        assert isinstance(translate(KafkaError(code), "x"), BrokerError)
    fatal = KafkaError(KafkaError._TRANSPORT, "gone", fatal=True)
    assert not isinstance(translate(fatal, "x"), BrokerUnavailable)
    for code in (KafkaError._TRANSPORT, KafkaError.FENCED_LEADER_EPOCH):
        assert isinstance(translate(KafkaError(code), "x"), BrokerUnavailable)
    for code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.MSG_SIZE_TOO_LARGE):
        assert not isinstance(translate(KafkaError(code), "x"), BrokerUnavailable)
