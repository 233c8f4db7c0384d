"""A consumer whose commits carry a mark: what must be known to begin at the offset.

offset, mark ─► the group's commit ─► Start ─► a fold that goes on as if nothing had happened
"""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicPartition

from container_worker.kafka_client import translate
from container_worker.kafka_consumer import KafkaConsumer, Partition
from container_worker.log_ranges import log_ranges
from container_worker.settings import KafkaSettings
from marketdata.topics import Topic

_ANSWER_SECONDS = 10.0


class Start(NamedTuple):
    """Where a partition is begun: at `offset`, with the `mark` that was committed with it.

    `end` was the log's end. `is_cut`: records before `offset` were there and are gone.
    """

    offset: int
    mark: str
    end: int
    is_cut: bool


class MarkedConsumer(KafkaConsumer):
    """Partitions are held until `seek`; `look_back_ms` bounds how far back a first start goes.

    Raises as `KafkaConsumer`.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        group: str,
        topics: Sequence[Topic],
        look_back_ms: int | None,
    ) -> None:
        super().__init__(kafka, group=group, topics=topics, held=True)
        self._settings = kafka
        self._group = group
        self._look_back_ms = look_back_ms

    def starts(self, partitions: Sequence[Partition]) -> dict[Partition, Start]:
        """Where each of these begins: at the group's commit, where the log has that.

        Raises:
            BrokerUnavailable: no answer in time.
            BrokerError: the group or a topic may not be read.
        """
        ranges = log_ranges(self._settings, self._group, partitions)
        committed = self._committed(partitions)
        starts = {}
        for partition, (begin, end) in ranges.items():
            offset, mark = committed[partition]
            if not begin <= offset <= end:
                offset, mark = max(begin, self._first(partition, begin, end)), ""
            is_cut = not mark and offset > 0
            starts[partition] = Start(offset, mark, end, is_cut)
        return starts

    def commit_marked(self, done: Mapping[Partition, tuple[int, str]]) -> None:
        """Commits without waiting; a refusal comes with a later poll.

        Raises as `KafkaConsumer.commit`.
        """
        if not done:
            return
        wanted = [
            TopicPartition(*partition, offset, mark)
            for partition, (offset, mark) in done.items()
        ]
        try:
            self._consumer.commit(offsets=wanted, asynchronous=True)
        except KafkaException as error:
            raise translate(error.args[0], "the offsets were not committed") from error

    def _committed(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, str]]:
        places = [TopicPartition(*partition) for partition in partitions]
        try:
            found = self._consumer.committed(places, _ANSWER_SECONDS)
        except KafkaException as error:
            raise translate(error.args[0], "the group's offsets are not known") from error
        return {
            Partition(one.topic, one.partition): (one.offset, one.metadata or "")
            for one in found
        }

    def _first(self, partition: Partition, begin: int, end: int) -> int:
        if self._look_back_ms is None:
            return begin
        since_ms = int(time.time() * 1000) - self._look_back_ms
        place = TopicPartition(*partition, since_ms)
        try:
            [found] = self._consumer.offsets_for_times([place], _ANSWER_SECONDS)
        except KafkaException as error:
            doing = f"the offsets of {partition.topic}[{partition.number}] are not known"
            raise translate(error.args[0], doing) from error
        return found.offset if found.offset >= 0 else end
