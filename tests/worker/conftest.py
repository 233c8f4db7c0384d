"""Fixtures of the worker's tests: settings and topics of a real broker."""

import itertools

import pytest
from kafka import KafkaConsumer, TopicPartition

from container_worker import kafka as kafka_port
from container_worker.settings import KafkaSettings, QueueSettings
from marketdata.topics import HOUR_MS, Topic

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def broker(kafka):
    """Settings for the session's broker."""
    return KafkaSettings(bootstrap_servers=kafka)


@pytest.fixture(scope="session")
def queue():
    return QueueSettings("queue-control", "queue-events", "loader__a1b2c3")


@pytest.fixture
def new_topic(broker):
    """`new_topic(partitions=1)`: the name of a fresh topic."""

    def create(partitions=1, name=None):
        name = name or f"worker-test-{next(_numbers)}"
        kafka_port.create_missing(broker, [Topic(name, partitions, HOUR_MS)])
        return name

    return create


@pytest.fixture
def read_all(broker):
    """`read_all(topic)`: every record of a topic, partition by partition, by kafka-python."""

    def read(topic, partitions=1):
        consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
        try:
            parts = [TopicPartition(topic, number) for number in range(partitions)]
            consumer.assign(parts)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(parts)
            records = []
            while any(consumer.position(part) < ends[part] for part in parts):
                for batch in consumer.poll(timeout_ms=200).values():
                    records.extend(batch)
            return sorted(records, key=lambda record: (record.partition, record.offset))
        finally:
            consumer.close()

    return read
