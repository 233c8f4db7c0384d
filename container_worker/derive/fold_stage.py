"""A thread that folds partitions: what candles and depth have in common.

    topic ─► Fold (one a partition) ─► records ─► acknowledged ─► the group's commit, marked

Nothing current is written before a fold has caught up with where the log ended when it began,
so that a restart never shows an old value again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol

from container_worker import log
from container_worker.derive.marked_consumer import MarkedConsumer, Start
from container_worker.kafka import Acked, Producer
from container_worker.kafka_consumer import ConsumedRecord, Partition, Polled
from container_worker.settings import KafkaSettings
from marketdata import codec
from marketdata.candle_periods import Taken
from marketdata.errors import BrokerUnavailable, DecodeError, TapedeckError
from marketdata.topics import Topic

POLL_SECONDS = 0.05
POLL_RECORDS = 500
COMMIT_SECONDS = 1.0
SETTLE_SECONDS = 5.0
REPORT_SECONDS = 60.0
DRAIN_SECONDS = 5.0
BUFFER_SHARE = 4
"""One part in so many of the producer's memory bound is for each of these stages."""


class Fold(Protocol):
    """The pure part: one partition's."""

    def take(self, taken: Taken) -> None:
        """The next record. Raises DecodeError."""
        ...

    def settle(self, now_ms: int) -> None:
        """Gives up what is old."""
        ...

    def done_below(self, next_offset: int) -> int:
        """Where another one could begin."""
        ...

    def mark(self) -> str:
        """What it would have to be told."""
        ...

    def counts(self) -> Mapping[str, int]:
        """What it has seen."""
        ...


Due = Iterator[tuple[codec.Record, Acked | None]]


class Folded(NamedTuple):
    """A partition's fold, and what is to be written now: `due(now_ms, is_live)`."""

    fold: Fold
    due: Callable[[int, bool], Due]


Begin = Callable[[Mapping[Partition, Start]], Mapping[Partition, Folded]]


class Plan(NamedTuple):
    """What a stage reads and how; `begin` makes the folds of the partitions that are begun."""

    name: str
    group: str
    topics: tuple[Topic, ...]
    begin: Begin
    look_back_ms: int | None = None


class _Share:
    """One partition while it is ours."""

    def __init__(self, start: Start, folded: Folded) -> None:
        self.fold, self.due = folded
        self.next_offset = start.offset
        self.end = start.end
        self.committed: tuple[int, str] | None = None

    @property
    def is_live(self) -> bool:
        return self.next_offset >= self.end

    def done(self) -> tuple[int, str]:
        return self.fold.done_below(self.next_offset), self.fold.mark()


class FoldStage(threading.Thread):
    """Runs a plan until `stop`; sets `stop` when it cannot go on, and says why in `failure`."""

    def __init__(self, plan: Plan, kafka: KafkaSettings, stop: threading.Event) -> None:
        super().__init__(name=f"derive-{plan.name}", daemon=True)
        self.failure: BaseException | None = None
        self._plan = plan
        self._kafka = replace(kafka, buffer_bytes=kafka.buffer_bytes // BUFFER_SHARE)
        self._stop_event = stop
        self._shares: dict[Partition, _Share] = {}
        self._unbegun: set[Partition] = set()
        self._rejects = self._records = self._sent = 0
        now_s = time.monotonic()
        self._next_commit_s = self._next_settle_s = now_s
        self._next_report_s = now_s + REPORT_SECONDS

    def run(self) -> None:
        """The thread's life."""
        try:
            self._live()
        except TapedeckError as error:
            self.failure = error
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self._stop_event.set()

    def _live(self) -> None:
        plan = self._plan
        self._producer = Producer(self._kafka)
        self._consumer = MarkedConsumer(
            self._kafka, group=plan.group, topics=plan.topics, look_back_ms=plan.look_back_ms
        )
        try:
            while not self._stop_event.is_set():
                try:
                    self._step()
                except BrokerUnavailable as error:
                    name = f"derive.{plan.name}_unavailable"
                    log.event(name, level="warning", error=str(error))
                    self._stop_event.wait(COMMIT_SECONDS)
            left = self._producer.flush(DRAIN_SECONDS)
            self._commit()
            name = f"derive.{plan.name}_ended"
            log.event(name, unacknowledged=left, counts=self._report())
        finally:
            self._consumer.close()

    def _step(self) -> None:
        polled = self._consumer.poll(POLL_RECORDS, POLL_SECONDS)
        self._follow_assignment(polled)
        if self._unbegun:
            self._begin()
        now_ms = time.monotonic_ns() // 1_000_000
        for record in polled.records:
            share = self._shares.get(Partition(record.topic, record.partition))
            if share is not None and record.offset >= share.next_offset:
                self._take(share, record, now_ms)
        for share in self._shares.values():
            for ready, on_ack in share.due(now_ms, share.is_live):
                self._send(ready, on_ack)
        self._producer.poll()
        self._do_regular(time.monotonic(), now_ms)

    def _do_regular(self, now_s: float, now_ms: int) -> None:
        if now_s >= self._next_settle_s:
            self._next_settle_s = now_s + SETTLE_SECONDS
            for share in self._shares.values():
                share.fold.settle(now_ms)
        if now_s >= self._next_commit_s:
            self._next_commit_s = now_s + COMMIT_SECONDS
            self._commit()
        if now_s >= self._next_report_s:
            self._next_report_s = now_s + REPORT_SECONDS
            log.event(f"derive.{self._plan.name}_progress", counts=self._report())

    def _follow_assignment(self, polled: Polled) -> None:
        for partition in polled.lost:
            self._shares.pop(partition, None)
            self._unbegun.discard(partition)
        for partition in (*polled.assigned, *polled.out_of_range):
            self._shares.pop(partition, None)
            self._unbegun.add(partition)
        for partition in polled.uncommitted:
            if partition in self._shares:
                self._shares[partition].committed = None

    def _begin(self) -> None:
        starts = self._consumer.starts(sorted(self._unbegun))
        folds = self._plan.begin(starts)
        for partition, start in starts.items():
            if start.is_cut:
                log.event(
                    f"derive.{self._plan.name}_cut",
                    level="warning",
                    topic=partition.topic,
                    partition=partition.number,
                    offset=start.offset,
                )
            self._shares[partition] = _Share(start, folds[partition])
            self._consumer.seek(partition, start.offset)
        self._unbegun.clear()

    def _take(self, share: _Share, record: ConsumedRecord, now_ms: int) -> None:
        share.next_offset = record.offset + 1
        self._records += 1
        headers = [(name, raw or b"") for name, raw in record.headers or ()]
        try:
            fields = codec.parse_headers(headers)
            taken = Taken(
                record.key or b"", fields, record.value, record.offset, now_ms, headers
            )
            share.fold.take(taken)
        except (DecodeError, ValueError):
            self._rejects += 1

    def _send(self, record: codec.Record, on_ack: Acked | None) -> None:
        """Waits for room in the producer; at the end of the process it stays uncommitted."""
        while not self._producer.send(record, on_ack):
            if self._stop_event.is_set():
                return
            self._producer.poll(POLL_SECONDS)
        self._sent += 1

    def _commit(self) -> None:
        done = {partition: share.done() for partition, share in self._shares.items()}
        changed = {
            partition: one
            for partition, one in done.items()
            if one != self._shares[partition].committed
        }
        self._consumer.commit_marked(changed)
        for partition, one in changed.items():
            self._shares[partition].committed = one

    def _report(self) -> dict[str, int]:
        counts = {
            "partitions": len(self._shares),
            "records": self._records,
            "sent": self._sent,
            "rejects": self._rejects,
        }
        for share in self._shares.values():
            for name, count in share.fold.counts().items():
                counts[name] = counts.get(name, 0) + count
        return counts
