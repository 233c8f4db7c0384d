"""One assigned partition: fold, buffers, flushes and the checkpoint that follows them.

    records ─► fold ─► buffers ─► grow (threads) ─► checkpoint ─► offset to commit

The checkpoint is taken at a barrier: the state as it was at some offset is written when every
row of the records below that offset is durable (rule 12). Folding goes on meanwhile.
"""

import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from container_worker.archive.checkpoints import Checkpoint
from container_worker.archive.flush_policy import is_large, rest_seconds
from container_worker.archive.growth import Grower, Grown
from container_worker.archive.opening import Opened
from container_worker.archive.outage import Outage, Patience
from container_worker.archive.row_buffer import RowBuffer
from container_worker.archive.workers import Workers
from container_worker.kafka_records import ConsumedRecord
from marketdata.archive_state import encode_state
from marketdata.errors import ArchiveConflict

if TYPE_CHECKING:
    from concurrent.futures import Future

    from container_worker.archive.outcome import Stored

KNOWN_KEPT = 2_000


@dataclass(slots=True)
class _Barrier:
    checkpoint: Checkpoint
    saving: "Future[bool] | None" = None


class _Flight(NamedTuple):
    first: int
    size: int
    lines: int
    future: "Future[Grown | None]"


@dataclass(slots=True)
class Totals:
    """What was made durable since somebody asked."""

    rows: int = 0
    bytes: int = 0
    flushes: int = 0

    def clear(self) -> None:
        """Begins to count again."""
        self.rows = self.bytes = self.flushes = 0


class PartitionArchive:
    """Archives one partition from where it was opened, until it is given up.

    Only the thread that created it calls it. What happened is in `halted` (the objects
    contradict the topic), `rebuild` (rows that were durable are gone) and `checkpointed`.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        topic_id: str,
        grower: Grower,
        workers: Workers,
        outage: Outage,
        given_up: threading.Event,
    ) -> None:
        self.fold = opened.fold
        self.position = opened.offset
        self.checkpointed = opened.offset
        self.totals = Totals()
        self.halted: ArchiveConflict | None = None
        self.rebuild = False
        self.given_up = given_up
        self.known: dict[str, Stored] = {}
        self._topic_id = topic_id
        self._checkpoints = opened.checkpoints
        self._grower = grower
        self._workers = workers
        self._outage = outage
        self._changed: set[str] = set()
        self._buffers: dict[str, RowBuffer] = {}
        self._flights: dict[str, _Flight] = {}
        self._barrier: _Barrier | None = None
        self._rested_from = -math.inf
        self._last_flush = self._slowest = 0.0

    @property
    def held_bytes(self) -> int:
        """The bytes that are not durable yet."""
        flying = sum(flight.size for flight in self._flights.values())
        return flying + sum(buffer.held for buffer in self._buffers.values())

    @property
    def waiting(self) -> list[tuple[int, str]]:
        """The size and path of every batch that could be flushed now."""
        return [
            (buffer.held, path)
            for path, buffer in self._buffers.items()
            if path not in self._flights
        ]

    @property
    def is_clean(self) -> bool:
        """Whether everything folded is durable and the checkpoint says so."""
        return self.checkpointed == self.position and self._barrier is None

    def take(self, records: Iterable[ConsumedRecord]) -> int | None:
        """Folds records; returns the offset of one that is not the next, where it stopped.

        A record below the next one was folded before and is passed over.
        """
        for record in records:
            offset = record.offset
            if offset != self.position:
                if offset < self.position:
                    continue
                return offset
            for rows in self.fold.fold(record.key, record.headers, record.value):
                path = rows.path
                buffer = self._buffers.get(path)
                if buffer is None:
                    if self._is_durable(path, offset):
                        continue
                    buffer = self._buffers[path] = RowBuffer(path, rows.before)
                buffer.add(offset, rows)
            self.position = offset + 1
        return None

    def flush(self, path: str) -> None:
        """Begins to make the batch of one object durable."""
        batch = self._buffers.pop(path)
        job = partial(
            self._grower.grow,
            batch,
            self.known.get(path),
            Patience(self._outage, self.given_up),
        )
        flight = _Flight(batch.first, batch.held, batch.lines, self._workers.submit(job))
        self._flights[path] = flight

    def flush_all(self) -> None:
        """Begins a checkpoint at the present offset, unless one is under way."""
        if self._barrier is None and not self.is_clean:
            state = encode_state(self.fold.state)
            checkpoint = Checkpoint(self._topic_id, self.position, state)
            self._barrier = _Barrier(checkpoint)

    def tend(self, flush_seconds: float, *, hurry: bool = False) -> None:
        """Takes note of what ended and begins what is due; in a `hurry` everything is.

        Never blocks.

        Raises:
            StoreError: the store refuses for good.
        """
        try:
            self._land()
            if hurry or self._is_due(flush_seconds):
                self.flush_all()
            for size, path in self.waiting:
                known = self.known.get(path)
                if is_large(size, known.size if known else 0):
                    self.flush(path)
            if self._barrier is not None:
                self._pass_barrier(self._barrier)
        except ArchiveConflict as error:
            self.halted = error
            self.given_up.set()

    def take_changed(self) -> set[str]:
        """The objects that were written since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def _is_durable(self, path: str, offset: int) -> bool:
        known = self.known.get(path)
        return (
            known is not None
            and offset < known.next
            and known.origin.topic_id == self._topic_id
        )

    def _is_due(self, flush_seconds: float) -> bool:
        rows = bool(self._buffers or self._flights)
        rest = rest_seconds(flush_seconds, self._last_flush, rows=rows)
        return time.monotonic() - self._rested_from >= rest

    def _land(self) -> None:
        for path in [path for path, flight in self._flights.items() if flight.future.done()]:
            flight = self._flights.pop(path)
            grown = flight.future.result()
            if grown is None or grown.stored is None:
                self.rebuild = grown is not None and grown.rebuild
                continue
            if len(self.known) > KNOWN_KEPT:
                self.known.clear()
            self.known[path] = grown.stored
            self._slowest = max(self._slowest, grown.seconds)
            self._changed.add(path)
            self.totals.rows += flight.lines
            self.totals.bytes += flight.size
            self.totals.flushes += 1

    def _pass_barrier(self, barrier: _Barrier) -> None:
        offset = barrier.checkpoint.offset
        for path in [path for _, path in self.waiting if self._buffers[path].first < offset]:
            self.flush(path)
        if barrier.saving is None:
            pending = [flight.first for flight in self._flights.values()]
            pending += [buffer.first for buffer in self._buffers.values()]
            if not self.rebuild and all(first >= offset for first in pending):
                patience = Patience(self._outage, self.given_up)
                save = partial(self._checkpoints.save, barrier.checkpoint, patience)
                barrier.saving = self._workers.submit(save)
        elif barrier.saving.done():
            if barrier.saving.result():
                self.checkpointed = offset
            self._barrier = None
            self._rested_from = time.monotonic()
            self._last_flush, self._slowest = self._slowest, 0.0
