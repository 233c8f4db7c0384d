"""Which records go into the next invocation (rule 33).

records ─► queue of each partition ─► Batch: some partitions, none of them under way
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from local.event_source.events import SourceRecord

MAX_EVENT_BYTES = 6 * 1024 * 1024 - 4096
"""Lambda's limit of 6 MB, less the event's own members."""
MAX_QUEUED = 2_000
"""Records of a partition that are kept; beyond it the partition is not fetched."""


@dataclass(slots=True)
class Batch:
    """The records of one invocation; a batch that failed is invoked again unchanged."""

    records: list[SourceRecord]
    attempts: int = 0
    again: bool = False

    @property
    def next_offsets(self) -> dict[int, int]:
        """The offsets to commit when it has succeeded, by partition."""
        return {record.partition: record.offset + 1 for record in self.records}

    @property
    def partitions(self) -> set[int]:
        """The partitions that it holds up."""
        return {record.partition for record in self.records}


@dataclass(slots=True)
class _Queue:
    records: deque[SourceRecord] = field(default_factory=deque)
    since_s: float = 0.0


class Batches:
    """The queues of all partitions; times are of a monotonic clock, in seconds."""

    def __init__(self, *, batch_size: int, window_s: float) -> None:
        self._batch_size = batch_size
        self._window_s = window_s
        self._queues: dict[int, _Queue] = {}
        self._under_way: set[int] = set()

    def add(self, records: Iterable[SourceRecord], now_s: float) -> None:
        """Queue records, in the order of their offsets."""
        for record in records:
            queue = self._queues.setdefault(record.partition, _Queue())
            if not queue.records:
                queue.since_s = now_s
            queue.records.append(record)

    @property
    def gathers(self) -> bool:
        """Whether there are records that wait for their window, or for an invocation."""
        return any(queue.records for queue in self._queues.values())

    def full(self) -> set[int]:
        """The partitions that should not be fetched now."""
        return {
            number for number, queue in self._queues.items() if len(queue.records) >= MAX_QUEUED
        }

    def take(self, free: int, now_s: float) -> list[Batch]:
        """Up to `free` batches; their partitions are under way until `done`.

        The partitions that are ready are spread over the free invocations.
        """
        ready = [
            number for number, queue in self._queues.items() if self._is_ready(number, now_s)
        ]
        taken = []
        for share in (ready[start::free] for start in range(free)):
            records = self._fill(share, now_s)
            if records:
                batch = Batch(records)
                self._under_way |= batch.partitions
                taken.append(batch)
        return taken

    def done(self, batch: Batch) -> None:
        """The batch has succeeded, or was thrown away."""
        self._under_way -= batch.partitions

    def _is_ready(self, number: int, now_s: float) -> bool:
        queue = self._queues[number]
        if not queue.records or number in self._under_way:
            return False
        waited_s = now_s - queue.since_s
        return waited_s >= self._window_s or len(queue.records) >= self._batch_size

    def _fill(self, share: Iterable[int], now_s: float) -> list[SourceRecord]:
        records: list[SourceRecord] = []
        left = MAX_EVENT_BYTES
        for number in share:
            queue = self._queues[number]
            while queue.records and len(records) < self._batch_size:
                if records and queue.records[0].bytes > left:
                    break
                record = queue.records.popleft()
                left -= record.bytes
                records.append(record)
            queue.since_s = now_s
        return records
