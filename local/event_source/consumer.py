"""The Kafka side of the event source: one consumer of all partitions, offsets in its group.

The partitions are assigned by hand, so that a restart need not wait until a dead member is
given up: there is one event source a stack.

    topic ─► SourceRecord                    offsets ─► group
"""

import time
from collections.abc import Iterable, Mapping

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from local.event_source.events import SourceRecord, source_record
from local.event_source.log import logger
from local.event_source.settings import SourceSettings
from marketdata.errors import BrokerUnavailable

ATTEMPT_S = 2.0
PAUSE_S = 0.5


class SourceConsumer:
    """Reads one topic from where its group has come to."""

    def __init__(self, consumer: KafkaConsumer, topic: str, partitions: Iterable[int]) -> None:
        self._consumer = consumer
        self._topic = topic
        self._known = {number: TopicPartition(topic, number) for number in partitions}
        self._uncommitted: dict[TopicPartition, OffsetAndMetadata] = {}
        self._reachable = True

    def begin(self, *, from_start: bool) -> dict[int, int]:
        """Go to the group's offsets, or to the start or end of partitions without one.

        The positions are committed, so that a restart goes on from here. Raises KafkaError.
        """
        every = list(self._known.values())
        self._consumer.assign(every)
        edges = (
            self._consumer.beginning_offsets(every)
            if from_start
            else self._consumer.end_offsets(every)
        )
        positions = {}
        for number, partition in self._known.items():
            committed = self._consumer.committed(partition)
            positions[number] = edges[partition] if committed is None else committed
            self._consumer.seek(partition, positions[number])
        self.commit(positions)
        return positions

    def poll(self, timeout_s: float, full: set[int]) -> list[SourceRecord]:
        """What has come, after at most `timeout_s`; partitions in `full` are not fetched."""
        pause = {self._known[number] for number in full}
        self._consumer.pause(*pause)
        self._consumer.resume(*(self._consumer.paused() - pause))
        try:
            found = self._consumer.poll(timeout_ms=round(timeout_s * 1000))
        except KafkaError as error:
            self._lost(error)
            return []
        return [
            source_record(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                timestamp=record.timestamp,
                timestamp_type=record.timestamp_type,
                key=record.key,
                value=record.value,
                headers=record.headers,
            )
            for records in found.values()
            for record in records
        ]

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit offsets; what Kafka does not take now is tried again with the next."""
        for number, offset in offsets.items():
            self._uncommitted[self._known[number]] = OffsetAndMetadata(offset, "", -1)
        try:
            self._consumer.commit(self._uncommitted)
        except KafkaError as error:
            self._lost(error)
        else:
            self._uncommitted.clear()
            self._reachable = True

    def close(self) -> None:
        """Leave Kafka; offsets not yet committed are tried once more."""
        if self._uncommitted:
            self.commit({})
        self._consumer.close(autocommit=False)

    def _lost(self, error: KafkaError) -> None:
        if self._reachable:
            logger.warning("Kafka does not answer", extra={"reason": type(error).__name__})
        self._reachable = False
        time.sleep(PAUSE_S)


def connect(settings: SourceSettings) -> SourceConsumer:
    """A consumer of the topic, as soon as Kafka has it.

    Raises:
        BrokerUnavailable: Kafka or the topic was not there in time.
    """
    until = time.monotonic() + settings.connect_s
    said = False
    while True:
        reason = "it does not answer"
        try:
            consumer = _consumer(settings)
            partitions = consumer.partitions_for_topic(settings.topic)
            if partitions:
                return SourceConsumer(consumer, settings.topic, sorted(partitions))
            consumer.close(autocommit=False)
            reason = f"it has no topic {settings.topic}"
        except KafkaError:
            pass
        if time.monotonic() >= until:
            raise BrokerUnavailable(
                f"Kafka at {settings.bootstrap} cannot be read: {reason}; start it, or give "
                "another address with --bootstrap"
            )
        if not said:
            logger.warning("waiting for Kafka", extra={"reason": reason})
            said = True
        time.sleep(PAUSE_S)


def _consumer(settings: SourceSettings) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=settings.bootstrap.split(","),
        bootstrap_timeout_ms=round(ATTEMPT_S * 1000),
        client_id="event-source",
        group_id=settings.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # only where retention has taken what comes next
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        reconnect_backoff_max_ms=2000,
    )
