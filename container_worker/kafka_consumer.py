"""The one port to Kafka for what the worker reads (rules 3, 4, 12, 16).

    topic ─► librdkafka ─► KafkaConsumer.poll ─► Polled(records, assigned, lost, out_of_range)

Library errors become `marketdata.errors` at this port and nowhere else.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_STORED,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from container_worker.kafka_client import client_config, consumer_config, translate, within
from container_worker.kafka_records import ConsumedRecord, LogRange, Partition, Polled
from container_worker.kafka_topics import check_topics
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerUnavailable
from marketdata.topics import Topic

__all__ = ["ConsumedRecord", "KafkaConsumer", "LogRange", "Partition", "Polled"]

ANSWER_SECONDS = 10.0
CLOSE_SECONDS = 5.0

_ENDS: tuple[Any, Any] = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
# What the library reports in place of a record and deals with by itself.
_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - the library's public names begin so
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
    KafkaError._PARTITION_EOF,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
}
# A commit of a member that lost its partitions: whoever has them commits (rule 16).
_NOT_OURS = {
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError._NO_OFFSET,  # noqa: SLF001
    KafkaError._STATE,  # noqa: SLF001
}


class KafkaConsumer:
    """A consumer that shares out topics with the others of its group, or reads by itself.

    Not for several threads at once, except `log_range`, which any thread may call.

    Args:
        kafka: How to reach the brokers.
        group: The consumer group.
        topics: Subscribed at once; their partition counts are checked first (rule 3). None:
            nothing is subscribed, `seek` says what is read.
        held: Newly assigned partitions deliver nothing until `seek` says from where. Else
            they begin at the group's commit, and at the log's beginning where there is none.

    Raises:
        TopicMismatch: a topic is missing or has another partition count.
        BrokerUnavailable: no broker answered.
        BrokerError: the brokers refused the login or a setting.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        group: str,
        topics: Sequence[Topic] = (),
        held: bool = False,
    ) -> None:
        if topics:
            check_topics(kafka, topics)
        self._kafka = kafka
        self._admin: AdminClient | None = None
        self._held = held
        self._mine: set[Partition] = set()
        self._assigned: list[Partition] = []
        self._started: set[Partition] = set()
        self._stuck: set[Partition] = set()
        self._uncommitted: list[Partition] = []
        try:
            self._consumer = confluent_kafka.Consumer(
                client_config(kafka) | consumer_config(group) | {"on_commit": self._on_commit}
            )
            if topics:
                names = [topic.name for topic in topics]
                self._consumer.subscribe(names, on_assign=self._on_assign)
        except KafkaException as error:
            raise translate(error.args[0], "Kafka's client does not start") from error

    def poll(self, max_records: int = 2_000, seconds: float = 0.1) -> Polled:
        """Waits up to `seconds` for a first record, then takes what is there, in order.

        Raises:
            BrokerError: a topic is gone or may not be read. What passes is not raised: the
                client goes on trying, and says so in the log.
        """
        records: list[ConsumedRecord] = []
        for message in self._take(max_records, seconds):
            error = message.error()
            if error is None:
                records.append(_record(message))
            else:
                self._trouble(message, error)
        assigned, lost = self._changes()
        if self._held and not self._mine <= self._started:
            # Without what was fetched between being assigned and being held.
            records = [one for one in records if (one.topic, one.partition) in self._started]
        elif not self._held:
            self._started.update({Partition(one.topic, one.partition) for one in records})
        uncommitted, self._uncommitted = tuple(self._uncommitted), []
        return Polled(records, assigned, lost, self._out_of_range(), uncommitted)

    def seek(self, partition: Partition, offset: int) -> None:
        """Reads on from `offset`, whatever state the partition is in: held, paused, stuck.

        Without subscribed topics this is what assigns the partition. Raises BrokerError.
        """
        self._place(partition, offset)
        self.resume([partition])
        self._stuck.discard(partition)
        self._started.add(partition)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Delivers nothing of these until `resume`; membership goes on while one polls."""
        try:
            self._consumer.pause([TopicPartition(*one) for one in partitions])
        except KafkaException as error:
            raise translate(error.args[0], "a partition cannot be paused") from error

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Undoes `pause`; continues with the record after the last delivered one."""
        try:
            self._consumer.resume([TopicPartition(*one) for one in partitions])
        except KafkaException as error:
            raise translate(error.args[0], "a partition cannot be resumed") from error

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool = True) -> None:
        """Says to the group that everything below these offsets is done.

        A partition that meanwhile belongs to someone else is passed over in silence. Without
        `wait` a refusal comes with a later poll (`Polled.uncommitted`).

        Raises:
            BrokerUnavailable: the coordinator did not answer; committing later is as good.
            BrokerError: the group may not be used.
        """
        if not offsets:
            return
        wanted = [TopicPartition(*one, offset) for one, offset in offsets.items()]
        try:
            if wait:
                self._consumer.commit(offsets=wanted, asynchronous=False)
            else:
                self._consumer.commit(offsets=wanted, asynchronous=True)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_OURS:
                raise translate(error.args[0], "the offsets were not committed") from error

    def log_range(self, partition: Partition) -> LogRange:
        """The offsets that the log has now. Raises BrokerUnavailable, BrokerError."""
        place = TopicPartition(*partition)
        doing = f"the offsets of {partition.topic}[{partition.number}] are not known"
        admin = self._admin or AdminClient(client_config(self._kafka))
        # It is kept only while it works: after a broker's restart the library's client asks
        # with the old leader's epoch for ever.
        self._admin = None
        try:
            # One after the other: two in flight lose 3 s now and then (librdkafka 2.16).
            begin, end = (self._offset(admin, place, spec) for spec in _ENDS)
        except KafkaException as error:
            raise translate(error.args[0], doing) from error
        except TimeoutError as error:
            raise BrokerUnavailable(f"{doing}: no answer in time") from error
        self._admin = admin
        return LogRange(begin, end)

    def _offset(self, admin: AdminClient, place: TopicPartition, spec: OffsetSpec) -> int:
        asked = admin.list_offsets({place: spec}, request_timeout=ANSWER_SECONDS)[place]
        return int(asked.result(ANSWER_SECONDS + 1).offset)

    def close(self) -> bool:
        """Leaves the group, so that the others take over at once; commits nothing.

        False when the group does not know of it after `CLOSE_SECONDS`: with the brokers away,
        the library would wait for ever.
        """
        return within(CLOSE_SECONDS, self._consumer.close)

    def _take(self, max_records: int, seconds: float) -> list[Message]:
        try:
            first = self._consumer.poll(seconds)
            if first is None:
                return []
            return [first, *self._consumer.consume(max_records - 1, 0)]
        except KafkaException as error:
            raise translate(error.args[0], "reading from Kafka failed") from error

    def _on_assign(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            one.offset = OFFSET_BEGINNING if self._held else OFFSET_STORED
            self._assigned.append(Partition(one.topic, one.partition))
        self._consumer.incremental_assign(partitions)
        if self._held and partitions:
            self._consumer.pause(partitions)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        refused = [one for one in partitions if error or one.error]
        self._uncommitted += [Partition(one.topic, one.partition) for one in refused]

    def _changes(self) -> tuple[tuple[Partition, ...], tuple[Partition, ...]]:
        now = {Partition(one.topic, one.partition) for one in self._consumer.assignment()}
        assigned = tuple(one for one in dict.fromkeys(self._assigned) if one in now)
        lost = tuple(sorted(self._mine - now))
        self._mine, self._assigned = now, []
        self._started.difference_update(lost, assigned)
        self._stuck.difference_update(lost)
        return assigned, lost

    def _trouble(self, message: Message, error: KafkaError) -> None:
        code = error.code()
        if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            self._stuck.add(Partition(message.topic() or "", message.partition() or 0))
        elif not (error.retriable() or code in _PASSING):
            raise translate(error, f"reading {message.topic() or 'from Kafka'} failed")

    def _out_of_range(self) -> tuple[Partition, ...]:
        """Those that stand still: for the caller, or, without a commit, to begin with."""
        found = []
        for partition in sorted(self._stuck & self._mine):
            try:
                begun = partition in self._started or self._has_commit(partition)
            except BrokerUnavailable:
                continue  # it goes on standing still, and the next poll asks again
            if begun:
                found.append(partition)
            else:
                self._place(partition, OFFSET_BEGINNING)
            self._stuck.discard(partition)
        return tuple(found)

    def _has_commit(self, partition: Partition) -> bool:
        if self._held:
            return False
        try:
            [found] = self._consumer.committed([TopicPartition(*partition)], ANSWER_SECONDS)
        except KafkaException as error:
            raise translate(error.args[0], "the group's offsets are not known") from error
        return found.offset >= 0

    def _place(self, partition: Partition, offset: int) -> None:
        """Assigns anew: a library seek fails where the partition is not being fetched."""
        place = TopicPartition(*partition, offset)
        try:
            if any(
                Partition(p.topic, p.partition) == partition
                for p in self._consumer.assignment()
            ):
                self._consumer.incremental_unassign([place])
            self._consumer.incremental_assign([place])
        except KafkaException as error:
            doing = f"{partition.topic}[{partition.number}] cannot be read from {offset}"
            raise translate(error.args[0], doing) from error
        self._mine.add(partition)


def _record(message: Message) -> ConsumedRecord:
    return ConsumedRecord(
        message.topic(),  # type: ignore[arg-type]  # a record without error has these
        message.partition(),  # type: ignore[arg-type]
        message.offset(),  # type: ignore[arg-type]
        message.key(),
        message.value() or b"",
        message.headers(),  # type: ignore[arg-type]
    )
