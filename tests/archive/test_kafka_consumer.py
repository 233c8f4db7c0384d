"""The consumer's port on a real broker."""

import uuid

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from container_worker.kafka_consumer import KafkaConsumer, Partition
from container_worker.settings import KafkaSettings
from container_worker.topic_ids import topic_ids
from marketdata.errors import TopicMismatch
from marketdata.topics import PRICES, Topic

pytestmark = pytest.mark.services


@pytest.fixture
def kafka(archive_kafka, rig_module):
    """Topics made anew, with 100 records in every partition of `prices`."""
    rig_module.make_topics(archive_kafka)
    producer = Producer({"bootstrap.servers": archive_kafka, "log_level": 0})
    for number in range(600):
        producer.produce(PRICES.name, b"%d" % number, b"key", partition=number % 6)
    producer.flush()
    return KafkaSettings(archive_kafka)


@pytest.fixture
def consumer(kafka):
    """Makes consumers of `prices`, and closes them."""
    made = []

    def make(group, **options):
        made.append(KafkaConsumer(kafka, group=group, topics=[PRICES], **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def group():
    return f"group-{uuid.uuid4().hex[:8]}"


def read(one, wanted, wait_until, on_poll=lambda polled: None):
    """Partition → offsets, when there are as many records as wanted."""
    found = {}

    def poll():
        polled = one.poll(500, 0.05)
        on_poll(polled)
        for record in polled.records:
            found.setdefault(record.partition, []).append(record.offset)
        return sum(map(len, found.values())) >= wanted

    wait_until(poll, 20, f"{wanted} records")
    return found


def test_a_group_without_a_commit_begins_at_the_log_s_beginning(consumer, wait_until):
    found = read(consumer(group()), 600, wait_until)
    assert found == {number: list(range(100)) for number in range(6)}


def test_a_group_goes_on_at_its_commit(consumer, wait_until):
    name = group()
    first = consumer(name)
    read(first, 600, wait_until)
    first.commit({Partition(PRICES.name, number): 90 for number in range(6)})
    first.close()
    assert read(consumer(name), 60, wait_until) == {n: list(range(90, 100)) for n in range(6)}


def test_held_partitions_wait_for_seek(consumer, wait_until):
    one, begun = consumer(group(), held=True), []

    def seek(polled):
        assert not polled.records or begun
        for partition in polled.assigned:
            begun.append(partition)
            one.seek(partition, 70)

    assert read(one, 180, wait_until, seek) == {n: list(range(70, 100)) for n in range(6)}


def test_an_offset_that_the_log_lost_is_an_event_and_no_jump(consumer, kafka, wait_until):
    name, told = group(), []
    one = consumer(name)
    read(one, 600, wait_until)
    one.commit({Partition(PRICES.name, number): 10 for number in range(6)})
    one.close()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    for future in admin.delete_records([TopicPartition(PRICES.name, 2, 50)]).values():
        future.result(10)
    again = consumer(name)

    def follow(polled):
        for partition in polled.out_of_range:
            told.append(partition)
            again.seek(partition, again.log_range(partition).begin)

    found = read(again, 500, wait_until, follow)
    assert told == [Partition(PRICES.name, 2)]
    assert found == {n: list(range(50 if n == 2 else 10, 100)) for n in range(6)}


def test_paused_partitions_deliver_nothing_until_resumed(kafka, wait_until):
    one = KafkaConsumer(kafka, group=group())
    partition = Partition(PRICES.name, 1)
    one.seek(partition, 0)
    one.pause([partition])
    assert not any(one.poll(10, 0.05).records for _ in range(10))
    one.resume([partition])
    assert read(one, 100, wait_until) == {1: list(range(100))}
    one.close()


def test_a_topic_with_another_partition_count_is_refused(kafka):
    other = Topic(PRICES.name, 7, PRICES.retention_ms)
    missing = Topic("no-such-topic", 1, 1)
    with pytest.raises(TopicMismatch, match=r"(?s)6 partitions, not 7.*no-such-topic"):
        KafkaConsumer(kafka, group=group(), topics=[other, missing])


def test_a_topic_made_anew_has_another_id(kafka, rig_module):
    before = topic_ids(kafka, [PRICES])
    rig_module.make_topics(kafka.bootstrap_servers)
    assert topic_ids(kafka, [PRICES]) != before
