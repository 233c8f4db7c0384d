"""What the archive holds, and which days are closed (rule 17).

checkpoints, heads ─► Holding
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from container_worker.archive.checkpoints import Checkpoint, load
from container_worker.archive.derivatives import SOURCE_ETAG
from container_worker.kafka_records import Partition
from container_worker.object_store import ObjectHead, ObjectStore
from marketdata.archive_fold import ArchiveFold
from marketdata.archive_layout import FOLDED, derived_path, read_path
from marketdata.archive_state import decode_state

HEADS_AT_ONCE = 16


class Holding(NamedTuple):
    """One object: `closed` when a watermark has passed its day's end by five minutes.

    `copied`: its compressed copy is there and of this very version.
    """

    path: str
    bytes: int
    rows: int
    closed: bool
    copied: bool


def inventory(store: ObjectStore) -> Iterator[Holding]:
    """Every CSV object in the order of its path; marks are counted with their day.

    Raises:
        StoreError: the store cannot be used.
    """
    closed = _closed(store)
    paths = list(store.paths("data/"))
    copies = set(paths)
    wanted = [path for path in paths if read_path(path) is not None]
    with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
        for path, head in zip(wanted, pool.map(store.head, wanted), strict=True):
            if head is not None:
                yield Holding(
                    path,
                    head.size,
                    int(head.metadata.get("rows", "0")),
                    path.replace(".marks.csv", ".csv") in closed,
                    derived_path(path) in copies and _is_current(store, path, head),
                )


def checkpoints(store: ObjectStore) -> Iterator[tuple[Partition, Checkpoint]]:
    """The checkpoint of every partition that has one, in the order of the topics.

    Raises:
        StoreError: the store cannot be used.
    """
    wanted = [
        Partition(topic.name, number) for topic in FOLDED for number in range(topic.partitions)
    ]
    with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
        loaded = pool.map(partial(load, store), wanted)
        for partition, found in zip(wanted, loaded, strict=True):
            if found.checkpoint is not None:
                yield partition, found.checkpoint


def _closed(store: ObjectStore) -> set[str]:
    found: set[str] = set()
    for partition, checkpoint in checkpoints(store):
        found.update(ArchiveFold(partition.topic, decode_state(checkpoint.state)).closed())
    return found


def _is_current(store: ObjectStore, path: str, head: ObjectHead) -> bool:
    copy = store.head(derived_path(path))
    return copy is not None and copy.metadata.get(SOURCE_ETAG) == head.etag
