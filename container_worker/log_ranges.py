"""The offsets of several partitions, fast: for a start that must not wait.

The admin client, which `KafkaConsumer.log_range` asks, loses 3 s now and then (2.16).
"""

import time
from collections.abc import Iterable

import confluent_kafka
from confluent_kafka import KafkaException, TopicPartition

from container_worker.kafka_client import client_config, consumer_config, translate, within
from container_worker.kafka_records import LogRange, Partition
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerUnavailable

ANSWER_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_PAUSE_SECONDS = 0.05


def log_ranges(
    kafka: KafkaSettings, group: str, partitions: Iterable[Partition]
) -> dict[Partition, LogRange]:
    """The offsets that each of these partitions has now; the group is only named.

    A partition without a leader, as one of a topic that was just made, is asked again.

    Raises:
        BrokerUnavailable: no answer within `ANSWER_SECONDS`.
        BrokerError: a topic may not be read.
    """
    wanted = list(partitions)
    if not wanted:
        return {}
    until_s = time.monotonic() + ANSWER_SECONDS
    try:
        consumer = confluent_kafka.Consumer(client_config(kafka) | consumer_config(group))
    except KafkaException as error:
        raise translate(error.args[0], "Kafka's client does not start") from error
    try:
        return {one: _range(consumer, one, until_s) for one in wanted}
    finally:
        within(_CLOSE_SECONDS, consumer.close)


def _range(
    consumer: confluent_kafka.Consumer, partition: Partition, until_s: float
) -> LogRange:
    place = TopicPartition(*partition)
    while True:
        left_s = until_s - time.monotonic()
        try:
            begin, end = consumer.get_watermark_offsets(place, max(0.1, left_s), cached=False)
            return LogRange(begin, end)
        except KafkaException as error:
            doing = f"the offsets of {partition.topic}[{partition.number}] are not known"
            failure = translate(error.args[0], doing)
            if left_s <= 0 or not isinstance(failure, BrokerUnavailable):
                raise failure from error
        time.sleep(_PAUSE_SECONDS)
