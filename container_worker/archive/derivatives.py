"""Compressed copies of closed days (rule 17).

    closed day's CSV ─► gzip, without a name or a time ─► .csv.gz with the CSV's ETag

The CSV is the truth. A copy is made again whenever its CSV has another ETag, so one that is
missing or old does no harm, and a failure is repaired by the next start.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from container_worker import log
from container_worker.archive.workers import Workers
from container_worker.object_store import ObjectHead, ObjectStore
from marketdata.archive_layout import derived_path
from marketdata.errors import StoreConflict, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from concurrent.futures import Future

BLOCK = 8 * 1024 * 1024
SOURCE_ETAG = "source-etag"
KEPT = 10_000
_GZIP = 16 + zlib.MAX_WBITS


class Derivatives:
    """Makes copies one after the other in a thread of its own; never in the way of rows."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._worker = Workers(1, "derivatives")
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._made: OrderedDict[str, None] = OrderedDict()
        self._job: Future[None] | None = None

    def wanted(self, closed: Iterable[str]) -> None:
        """Takes paths of closed days; those that were looked at before are passed over."""
        for path in closed:
            if path not in self._made:
                self._made[path] = None
                self._waiting[path] = None
        while len(self._made) > KEPT:
            self._made.popitem(last=False)

    def changed(self, path: str) -> None:
        """Says that an object has new rows: late ones, when its day is closed."""
        self._made.pop(path, None)

    def tend(self) -> None:
        """Begins with the next copy when the last one is done.

        Raises:
            StoreError: the store refuses for good.
        """
        if self._job is not None:
            if not self._job.done():
                return
            with suppress(StoreUnavailable, StoreConflict):  # tried again at the next start
                self._job.result()
            self._job = None
        if self._waiting:
            path, _ = self._waiting.popitem(last=False)
            self._job = self._worker.submit(partial(make_copy, self._store, path))


def make_copy(store: ObjectStore, path: str) -> None:
    """Makes the compressed copy, unless there is one of this very version."""
    source = store.head(path)
    if source is None:
        return
    copy = store.head(derived_path(path))
    if copy is not None and copy.metadata.get(SOURCE_ETAG) == source.etag:
        return
    _write(store, path, source)
    log.event("archive.day_closed", object=path, bytes=source.size)


def _write(store: ObjectStore, path: str, source: ObjectHead) -> None:
    target, metadata = derived_path(path), {SOURCE_ETAG: source.etag}
    blocks = _compressed(store, path, source)
    first = next(blocks)
    second = next(blocks, None)
    if second is None:
        store.put_anyway(target, first, metadata)
        return
    upload = store.begin(target, metadata)
    try:
        parts = [store.upload_part(target, upload, 1, first)]
        while second is not None:
            parts.append(store.upload_part(target, upload, len(parts) + 1, second))
            second = next(blocks, None)
        store.complete(target, upload, parts, base=None)
    except StoreError:
        with suppress(StoreError):
            store.abort(target, upload)
        raise


def _compressed(store: ObjectStore, path: str, source: ObjectHead) -> Iterator[bytes]:
    """The gzip stream in blocks that may be parts of a multipart upload."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    block = bytearray()
    for start in range(0, source.size, BLOCK):
        end = min(start + BLOCK, source.size)
        block += packer.compress(store.read(path, start, end, etag=source.etag))
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block) + packer.flush()
