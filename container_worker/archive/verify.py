"""Rebuilds every object from the topic and compares the bytes (design.md §6).

    topic ─► fold ─► bytes ─┐
    bucket ─► bytes ────────┴─► Finding

Memory does not grow with the objects: both sides are compared piece by piece.
"""

import enum
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from container_worker.archive.checkpoints import load
from container_worker.archive.outcome import Stored, read_head
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.kafka_records import ConsumedRecord, LogRange, Partition
from container_worker.object_store import ObjectStore
from container_worker.settings import KafkaSettings
from container_worker.topic_ids import topic_ids
from marketdata.archive_fold import ArchiveFold, Rows
from marketdata.archive_layout import FOLDED, header_of
from marketdata.archive_state import PartitionState
from marketdata.errors import ArchiveConflict
from marketdata.topics import Topic

GROUP = "tapedeck-verify"
PIECE = 1024 * 1024
HEADS_AT_ONCE = 16


class Verdict(enum.Enum):
    """What was found of one object."""

    OK = "ok"
    DIFFERS = "differs"
    MISSING = "missing"
    UNVERIFIABLE = "not verifiable"


class Finding(NamedTuple):
    """One object's verdict; `at` is the byte that differs, or the offset before which not."""

    path: str
    verdict: Verdict
    at: int = 0
    detail: str = ""

    def __str__(self) -> str:
        """One line."""
        if self.verdict is Verdict.DIFFERS:
            return f"differs at byte {self.at}: {self.path}" + (
                f" ({self.detail})" if self.detail else ""
            )
        if self.verdict is Verdict.UNVERIFIABLE:
            return f"not verifiable before offset {self.at}: {self.path}"
        return f"{self.verdict.value}: {self.path}"


def verify(kafka: KafkaSettings, store: ObjectStore) -> Iterator[Finding]:
    """Yields a finding for every object of the archived topics, ordered by topic and path.

    Raises:
        BrokerError, StoreError: Kafka or the store cannot be used.
    """
    ids = topic_ids(kafka, FOLDED)
    for topic in FOLDED:
        yield from _TopicCheck(kafka, store, topic, ids[topic.name]).run()


class _Comparison:
    """The bytes that the topic gives for one object, held against those that are there."""

    def __init__(self, store: ObjectStore, path: str, stored: Stored) -> None:
        self.path = path
        self.stored = stored
        self.differs_at: int | None = None
        self.whole = not stored.inherited
        self._store = store
        self._position = 0
        self._piece = bytearray(header_of(path))

    def take(self, offset: int, rows: Rows) -> None:
        """Rows of the record at `offset`; those that were not written yet are passed over."""
        if offset >= self.stored.next or self.differs_at is not None:
            return
        self.whole = self.whole and rows.before is not None
        self._piece += rows.data
        if len(self._piece) >= PIECE:
            self._compare()

    def finish(self) -> int | None:
        """The first byte that differs, None when none does."""
        self._compare()
        if self.differs_at is None and self._position != self.stored.size:
            self.differs_at = self._position
        return self.differs_at

    def _compare(self) -> None:
        if self.differs_at is not None:
            return
        end = min(self._position + len(self._piece), self.stored.size)
        there = self._store.read(self.path, self._position, end)
        if there != self._piece:
            self.differs_at = self._position + _first_difference(there, self._piece)
        self._position += len(self._piece)
        self._piece.clear()


def _first_difference(left: bytes, right: bytes | bytearray) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    shorter = min(len(left), len(right))
    return next((index for index, (one, other) in pairs if one != other), shorter)


class _TopicCheck:
    def __init__(
        self, kafka: KafkaSettings, store: ObjectStore, topic: Topic, topic_id: str
    ) -> None:
        self._kafka = kafka
        self._store = store
        self._topic = topic
        self._topic_id = topic_id
        self._unusable: dict[str, str] = {}
        self._comparisons: dict[str, _Comparison] = {}
        self._missing: set[str] = set()
        self._seen: set[str] = set()

    def run(self) -> Iterator[Finding]:
        stored = self._heads()
        older = any(one.inherited or self._is_older(one) for one in stored.values())
        for path, one in stored.items():
            if not self._is_older(one):
                self._comparisons[path] = _Comparison(self._store, path, one)
        consumer = KafkaConsumer(self._kafka, group=GROUP)
        try:
            spans = self._spans(consumer)
            self._fold(consumer, spans, older=older)
        finally:
            consumer.close()
        for path in sorted({*stored, *self._missing, *self._unusable}):
            yield self._finding(path, stored.get(path), spans)

    def _spans(self, consumer: KafkaConsumer) -> dict[Partition, LogRange]:
        partitions = [
            Partition(self._topic.name, number) for number in range(self._topic.partitions)
        ]
        with ThreadPoolExecutor(len(partitions)) as pool:
            return dict(zip(partitions, pool.map(consumer.log_range, partitions), strict=True))

    def _heads(self) -> dict[str, Stored]:
        paths = [
            path
            for path in self._store.paths(f"data/{self._topic.name}/")
            if path.endswith(".csv")
        ]
        with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
            heads = zip(paths, pool.map(self._store.head, paths), strict=True)
            found = {}
            for path, head in heads:
                try:
                    if head is not None:
                        found[path] = read_head(path, head)
                except ArchiveConflict as error:
                    self._unusable[path] = str(error)
        return found

    def _is_older(self, stored: Stored) -> bool:
        return stored.origin.topic_id != self._topic_id

    def _fold(
        self, consumer: KafkaConsumer, spans: Mapping[Partition, LogRange], *, older: bool
    ) -> None:
        folds = {}
        left = {}
        durable = {}
        for partition, span in spans.items():
            state = PartitionState(truncated=older or span.begin > 0)
            folds[partition] = ArchiveFold(partition.topic, state)
            checkpoint = load(self._store, partition).checkpoint
            current = checkpoint is not None and checkpoint.topic_id == self._topic_id
            durable[partition] = checkpoint.offset if checkpoint and current else 0
            if span.end > span.begin:
                left[partition] = span.end
                consumer.seek(partition, span.begin)
        while left:
            for record in consumer.poll(5_000, 0.5).records:
                partition = Partition(record.topic, record.partition)
                end = left.get(partition)
                if end is None:
                    continue
                self._take(folds[partition], record, durable[partition])
                if record.offset + 1 >= end:
                    del left[partition]

    def _take(self, fold: ArchiveFold, record: ConsumedRecord, durable: int) -> None:
        for rows in fold.fold(record.key, record.headers, record.value):
            self._seen.add(rows.path)
            comparison = self._comparisons.get(rows.path)
            if comparison is not None:
                comparison.take(record.offset, rows)
            elif record.offset < durable and rows.before is not None:
                self._missing.add(rows.path)

    def _finding(
        self, path: str, stored: Stored | None, spans: Mapping[Partition, LogRange]
    ) -> Finding:
        if path in self._unusable:
            return Finding(path, Verdict.DIFFERS, 0, self._unusable[path])
        if stored is None:
            return Finding(path, Verdict.MISSING)
        begin = spans[Partition(self._topic.name, stored.origin.partition)].begin
        comparison = self._comparisons.get(path)
        if comparison is None:
            return Finding(path, Verdict.UNVERIFIABLE, begin)
        if stored.inherited:
            return Finding(path, Verdict.UNVERIFIABLE, stored.first)
        if stored.first < begin or not comparison.whole:
            return Finding(path, Verdict.UNVERIFIABLE, begin)
        at = comparison.finish()
        return Finding(path, Verdict.OK) if at is None else Finding(path, Verdict.DIFFERS, at)
