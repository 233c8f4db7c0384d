"""Growing an object by the rows of a batch, exactly once (rules 14, 15).

batch ─► HEAD ─► next_step ─► put or multipart upload ─► clean 200, or HEAD again
"""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from container_worker.archive.outage import Patience
from container_worker.archive.outcome import Origin, Step, Stored, next_step, read_head
from container_worker.archive.row_buffer import RowBuffer
from container_worker.object_store import ObjectStore, Part
from marketdata.archive_layout import header_of
from marketdata.errors import ArchiveConflict, StoreConflict, StoreError, StoreUnavailable

PART_MINIMUM = 5 * 1024 * 1024
"""The least that S3 takes as a part that is not the last one."""
COPY_RANGE = 512 * 1024 * 1024
PARALLEL_COPIES = 4

_DOUBTS = {Step.REBUILD, Step.CONTRADICTION}


class Grown(NamedTuple):
    """How a flush ended: `rebuild` when rows before the batch are gone from the object.

    `seconds` is how long the write took that succeeded.
    """

    stored: Stored | None
    rebuild: bool = False
    seconds: float = 0.0


class Grower:
    """Makes batches of one partition durable. Used by several threads, one an object.

    Args:
        store: The bucket.
        origin: Which topic and partition the rows come from.
        log_end: The end of the partition's log, asked only when an object seems beyond it.
        copy_range: How much one UploadPartCopy takes; at least twice `PART_MINIMUM`.
    """

    def __init__(
        self,
        store: ObjectStore,
        origin: Origin,
        log_end: Callable[[], int],
        *,
        copy_range: int = COPY_RANGE,
    ) -> None:
        self._store = store
        self._origin = origin
        self._log_end = log_end
        self._copy_range = copy_range

    def grow(self, batch: RowBuffer, known: Stored | None, patience: Patience) -> Grown | None:
        """Returns when the whole batch is in its object; None when `patience` ran out.

        `known` is what the object was when we last wrote it. `batch` is cut on the way.

        Raises:
            ArchiveConflict: the object contradicts the topic.
            StoreError: the store refuses for good (no access, no bucket).
        """
        stored, fresh = known, False
        while patience.tries():
            try:
                if stored is None and not fresh:
                    stored, fresh = self._look(batch.path), True
                step = self._decide(stored, batch)
                if step in _DOUBTS and not fresh:
                    stored = None
                    continue
                if step is Step.CUT and stored is not None:
                    batch.cut(stored.next)
                    continue
                grown = self._take(step, stored, batch)
            except (StoreUnavailable, StoreConflict) as error:
                stored, fresh = None, False
                patience.wait(error)
            else:
                patience.succeeded()
                return grown
        return None

    def _take(self, step: Step, stored: Stored | None, batch: RowBuffer) -> Grown:
        if step is Step.CONTRADICTION and stored is not None:
            raise ArchiveConflict(
                f"{batch.path} has {stored.rows} rows of partition {stored.origin.partition} "
                f"up to offset {stored.next}, and the topic gives {batch.before} rows before "
                f"offset {batch.first} of partition {self._origin.partition}"
            )
        if step is Step.REBUILD:
            return Grown(None, rebuild=True)
        if step is Step.DONE:
            return Grown(stored)
        begun = time.monotonic()
        written = self._write(stored, batch)
        return Grown(written, seconds=time.monotonic() - begun)

    def _look(self, path: str) -> Stored | None:
        head = self._store.head(path)
        return None if head is None else read_head(path, head)

    def _decide(self, stored: Stored | None, batch: RowBuffer) -> Step:
        step = next_step(
            stored, self._origin, first=batch.first, end=batch.end, before=batch.before
        )
        if stored is None or step is not Step.DONE or stored.next == batch.end:
            return step
        if stored.next > self._log_end():
            raise ArchiveConflict(
                f"{batch.path} has rows up to offset {stored.next}, which is beyond the end "
                f"of partition {self._origin.partition}"
            )
        return step

    def _write(self, stored: Stored | None, batch: RowBuffer) -> Stored:
        data = batch.data()
        after = self._after(stored, batch, len(data))
        if stored is None:
            whole = header_of(batch.path) + data
            etag = self._store.put(batch.path, whole, after.metadata(), base=None)
        elif stored.size < PART_MINIMUM:
            there = self._store.read(batch.path, 0, stored.size, etag=stored.etag)
            etag = self._store.put(batch.path, there + data, after.metadata(), base=stored.etag)
        else:
            etag = self._append(stored, batch.path, data, after)
        return after._replace(etag=etag)

    def _after(self, stored: Stored | None, batch: RowBuffer, added: int) -> Stored:
        """What the object will say of itself when the batch is in it."""
        if stored is None:
            size, rows, first, inherited = len(header_of(batch.path)), 0, batch.first, 0
        elif stored.origin == self._origin:
            size, rows = stored.size, stored.rows
            first, inherited = stored.first, stored.inherited
        else:
            size, rows, first, inherited = stored.size, stored.rows, batch.first, stored.size
        return Stored(
            "", size + added, self._origin, first, batch.end, rows + batch.lines, inherited
        )

    def _append(self, stored: Stored, path: str, data: bytes, after: Stored) -> str:
        upload = self._store.begin(path, after.metadata())
        try:
            spans = copy_spans(stored.size, self._copy_range)
            parts = self._copy(stored, path, upload, spans)
            parts.append(self._store.upload_part(path, upload, len(spans) + 1, data))
            return self._store.complete(path, upload, parts, base=stored.etag)
        except StoreError:
            with suppress(StoreError):
                self._store.abort(path, upload)
            raise

    def _copy(
        self, stored: Stored, path: str, upload: str, spans: list[tuple[int, int]]
    ) -> list[Part]:
        def one(number: int) -> Part:
            span = spans[number - 1]
            return self._store.copy_part(path, upload, number, span, etag=stored.etag)

        numbers = range(1, len(spans) + 1)
        if len(spans) == 1:
            return [one(1)]
        with ThreadPoolExecutor(min(PARALLEL_COPIES, len(spans))) as pool:
            return list(pool.map(one, numbers))


def copy_spans(size: int, most: int) -> list[tuple[int, int]]:
    """Equal ranges of at most `most` bytes, so that none is under the minimum of a part."""
    count = -(-size // most)
    bounds = [size * index // count for index in range(count + 1)]
    return list(itertools.pairwise(bounds))
