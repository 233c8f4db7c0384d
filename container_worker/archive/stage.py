"""The stage's loop: what Kafka assigns is opened, folded, flushed and committed.

KafkaConsumer ─► PartitionArchive (one a partition) ─► S3
"""

import itertools
import threading
import time
from collections.abc import Iterable
from operator import itemgetter

from container_worker import log
from container_worker.archive.checkpoints import origin
from container_worker.archive.derivatives import Derivatives
from container_worker.archive.flush_policy import largest_first
from container_worker.archive.growth import Grower
from container_worker.archive.loading import Loader, Loading
from container_worker.archive.loss_telemetry import LossTelemetry
from container_worker.archive.outage import Outage
from container_worker.archive.partition import PartitionArchive
from container_worker.archive.workers import Workers
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.kafka_records import ConsumedRecord, Partition, Polled
from container_worker.object_store import ObjectStore
from container_worker.settings import ArchiveSettings
from marketdata.errors import ArchiveConflict, BrokerError, BrokerUnavailable

WRITERS = 8
POLL_RECORDS = 2_000
POLL_SECONDS = 0.05
DRAIN_SECONDS = 15.0
SUMMARY_SECONDS = 30.0

_PLACE = itemgetter(0, 1)  # a record's topic and partition


class ArchiveStage:
    """Archives what the group assigns, until told to stop.

    Args:
        settings: Memory bound and flush interval.
        store: The bucket.
        consumer: Subscribed, and holding what is newly assigned.
        topic_ids: The id of each subscribed topic.
    """

    def __init__(
        self,
        settings: ArchiveSettings,
        store: ObjectStore,
        consumer: KafkaConsumer,
        topic_ids: dict[str, str],
    ) -> None:
        self._settings = settings
        self._store = store
        self._consumer = consumer
        self._topic_ids = topic_ids
        self._outage = Outage()
        self._workers = Workers(WRITERS, "archive")
        self._derivatives = Derivatives(store)
        self._loader = Loader(
            store,
            consumer,
            topic_ids,
            workers=self._workers,
            outage=self._outage,
            losses=LossTelemetry(settings.kafka, settings.queue),
        )
        self._opening: dict[Partition, Loading] = {}
        self._open: dict[Partition, PartitionArchive] = {}
        self._draining: set[Partition] = set()
        self._committed: dict[Partition, int] = {}
        self._paused = False
        self._summary_at = time.monotonic() + SUMMARY_SECONDS
        self.halted: dict[Partition, ArchiveConflict] = {}

    def run(self, stop: threading.Event) -> None:
        """Works until `stop`, then makes durable what it holds, within 15 s.

        Raises:
            BrokerError: a topic is gone or may not be read.
            StoreError: the store refuses for good.
        """
        try:
            while not stop.is_set():
                self._follow(self._consumer.poll(POLL_RECORDS, POLL_SECONDS))
                self._tend()
            self._drain()
        finally:
            for partition in (*self._open, *self._opening):
                self._give_up(partition)

    def folded(self, topic: str) -> int:
        """Up to which offset the topic's partitions are folded, summed; any thread may ask."""
        there = list(self._open.items())
        return sum(session.position for one, session in there if one.topic == topic)

    def _follow(self, polled: Polled) -> None:
        for partition in (*polled.lost, *polled.assigned):
            self._give_up(partition)
        for partition in polled.assigned:
            if partition not in self.halted:
                self._opening[partition] = self._loader.begin(partition)
        for partition in polled.uncommitted:
            self._committed.pop(partition, None)
        for partition in polled.out_of_range:
            self._leave_hole(partition)
        for (topic, number), records in itertools.groupby(polled.records, _PLACE):
            self._take(Partition(topic, number), records)

    def _take(self, partition: Partition, records: Iterable[ConsumedRecord]) -> None:
        session = self._open.get(partition)
        if session is None or partition in self._draining:
            return
        jump = session.take(records)
        if jump is not None:
            self._leave_hole(partition)

    def _leave_hole(self, partition: Partition) -> None:
        """The log goes on elsewhere: begins again there when all that was read is durable."""
        session = self._open.get(partition)
        if session is None:
            return
        try:
            span = self._consumer.log_range(partition)
        except BrokerUnavailable:
            self._consumer.seek(partition, session.position)  # fails again, and comes back
            return
        if session.position > span.end:
            raise BrokerError(
                f"the log of {_name(partition)} ends at {span.end}, before what was read from "
                "it: the topic was made anew, or Kafka lost records; start the archive again"
            )
        if session.position < span.begin:
            self._draining.add(partition)
        else:
            self._consumer.seek(partition, session.position)

    def _give_up(self, partition: Partition) -> None:
        """Throws away what is kept for a partition: whoever has it folds the same (rule 16)."""
        opening = self._opening.pop(partition, None)
        session = self._open.pop(partition, None)
        if opening is not None:
            opening.given_up.set()
        if session is not None:
            session.given_up.set()
        self._draining.discard(partition)
        self._committed.pop(partition, None)

    def _tend(self, *, hurry: bool = False) -> None:
        for partition in [one for one, kept in self._opening.items() if kept.future.done()]:
            self._opened(partition, self._opening.pop(partition))
        for partition, session in list(self._open.items()):
            draining = partition in self._draining
            session.tend(self._settings.flush_seconds, hurry=hurry or draining)
            if session.halted is not None:
                self._halt(partition, session.halted)
            elif session.rebuild or (draining and session.is_clean):
                log.event(
                    "archive.fold_again", partition=_name(partition), anew=session.rebuild
                )
                self._give_up(partition)
                self._opening[partition] = self._loader.begin(partition, anew=session.rebuild)
        self._commit()
        self._bound_memory()
        self._derivatives.tend()
        if time.monotonic() >= self._summary_at:
            self._summarise()

    def _opened(self, partition: Partition, opening: Loading) -> None:
        try:
            opened = opening.future.result()
        except ArchiveConflict as error:
            self._halt(partition, error)
            return
        if opened is None:
            return
        topic_id = self._topic_ids[partition.topic]
        grower = Grower(
            self._store,
            origin(topic_id, partition),
            lambda: self._consumer.log_range(partition).end,
        )
        self._open[partition] = PartitionArchive(
            opened,
            topic_id=topic_id,
            grower=grower,
            workers=self._workers,
            outage=self._outage,
            given_up=opening.given_up,
        )
        self._consumer.seek(partition, opened.offset)
        if self._paused:
            self._consumer.pause([partition])
        self._derivatives.wanted(opened.fold.closed())

    def _halt(self, partition: Partition, error: ArchiveConflict) -> None:
        log.event(
            "archive.partition_stopped",
            level="error",
            partition=_name(partition),
            detail=str(error),
        )
        self._give_up(partition)
        self.halted[partition] = error
        self._consumer.pause([partition])

    def _commit(self) -> None:
        offsets = {
            partition: session.checkpointed
            for partition, session in self._open.items()
            if self._committed.get(partition) != session.checkpointed
        }
        if not offsets:
            return
        self._consumer.commit(offsets, wait=False)
        self._committed.update(offsets)
        for partition in offsets:
            session = self._open[partition]
            for path in session.take_changed():
                self._derivatives.changed(path)
            self._derivatives.wanted(session.fold.closed())

    def _bound_memory(self) -> None:
        """Flushes the largest batches when too much is held, and stops reading meanwhile."""
        bound = self._settings.buffer_bytes
        held = sum(session.held_bytes for session in self._open.values())
        if held > bound // 2:
            owners = {
                path: session for session in self._open.values() for _, path in session.waiting
            }
            sizes = [size for session in self._open.values() for size in session.waiting]
            for path in largest_first(sizes, held - bound // 2):
                owners[path].flush(path)
        if held > bound and not self._paused:
            self._paused = True
            self._consumer.pause(self._open)
        elif self._paused and held <= bound // 2:
            self._paused = False
            self._consumer.resume(self._open)

    def _drain(self) -> None:
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < until:
            self._tend(hurry=True)
            if all(session.is_clean for session in self._open.values()):
                break
            time.sleep(0.01)
        left = sum(session.held_bytes for session in self._open.values())
        self._summarise()
        if left:
            log.event(
                "archive.not_flushed",
                level="warning",
                bytes=left,
                detail="the store did not take it in time; the next start folds it again",
            )

    def _summarise(self) -> None:
        """One line for all that was made durable since the last one."""
        self._summary_at = time.monotonic() + SUMMARY_SECONDS
        rows = sum(session.totals.rows for session in self._open.values())
        if rows:
            log.event(
                "archive.flushed",
                rows=rows,
                bytes=sum(session.totals.bytes for session in self._open.values()),
                flushes=sum(session.totals.flushes for session in self._open.values()),
                partitions=len(self._open),
                passed_over=sum(session.fold.poisoned for session in self._open.values()),
            )
        for session in self._open.values():
            session.totals.clear()


def _name(partition: Partition) -> str:
    return f"{partition.topic}[{partition.number}]"
