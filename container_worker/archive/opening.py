"""Where the fold of a partition begins: at its checkpoint, or as near as can be (rules 12, 13).

checkpoint, log, topic id ─► Opened(state, offset)
"""

from typing import NamedTuple

from container_worker import log
from container_worker.archive.checkpoints import Checkpoint, CheckpointWriter, Loaded, load
from container_worker.archive.outage import Patience
from container_worker.archive.outcome import read_head
from container_worker.kafka_records import LogRange, Partition
from container_worker.object_store import ObjectStore
from marketdata.archive_fold import ArchiveFold
from marketdata.archive_layout import object_path
from marketdata.archive_state import (
    PartitionState,
    UnitState,
    decode_state,
    encode_state,
    split_unit,
)
from marketdata.errors import ArchiveConflict, StoreConflict, StoreUnavailable

RECENT_DAYS = 2
"""How many of a unit's last touched days are compared with their objects after a loss."""


class Opened(NamedTuple):
    """The fold as it goes on at `offset`, and what writes its checkpoints.

    `gone` are the offsets that Kafka deleted before they were folded, None for none.
    """

    fold: ArchiveFold
    offset: int
    checkpoints: CheckpointWriter
    gone: LogRange | None = None


def open_partition(
    store: ObjectStore,
    partition: Partition,
    topic_id: str,
    span: LogRange,
    patience: Patience,
    *,
    anew: bool,
) -> Opened | None:
    """Loads the checkpoint and says from where to fold; None when `patience` ran out.

    `anew` passes over the checkpoint: rows that it counts on are gone.

    Raises:
        ArchiveConflict: the checkpoint is ahead of the log.
        StoreError: the store refuses for good.
    """
    while patience.tries():
        try:
            loaded = load(store, partition)
            begun = _begin(store, partition, topic_id, span, loaded, anew=anew)
        except (StoreUnavailable, StoreConflict) as error:
            patience.wait(error)
            continue
        patience.succeeded()
        fold = ArchiveFold(partition.topic, begun.state)
        if begun.loses:
            fold.lose()
        writer = CheckpointWriter(store, partition, loaded.etag)
        if begun.changed:
            # What was taken from the objects must not be taken again after more is written.
            first = Checkpoint(topic_id, begun.offset, encode_state(begun.state))
            if not writer.save(first, patience, back=True):
                return None
        return Opened(fold, begun.offset, writer, begun.gone)
    return None


class _Begun(NamedTuple):
    state: PartitionState
    offset: int
    changed: bool = False
    loses: bool = False
    gone: LogRange | None = None


def _begin(
    store: ObjectStore,
    partition: Partition,
    topic_id: str,
    span: LogRange,
    loaded: Loaded,
    *,
    anew: bool,
) -> _Begun:
    saved = None if anew else loaded.checkpoint
    name = f"{partition.topic}[{partition.number}]"
    if saved is None:
        cut_off = span.begin > 0 or _has_other_topic(store, partition, topic_id)
        return _Begun(PartitionState(truncated=cut_off), span.begin)
    if saved.topic_id != topic_id:
        log.event("archive.new_topic", partition=name, topic_id=topic_id)
        state = _counted_again(store, partition.topic, decode_state(saved.state))
        return _Begun(state, span.begin, changed=True, loses=span.begin > 0)
    if saved.offset > span.end:
        raise ArchiveConflict(
            f"the checkpoint of {name} is at offset {saved.offset}, and its log ends at "
            f"{span.end}: records were lost in Kafka; remove _state/{partition.topic}/"
            f"{partition.number}.json to fold again from the log's start"
        )
    state = decode_state(saved.state)
    if saved.offset >= span.begin:
        return _Begun(state, saved.offset)
    log.event(
        "archive.retention",
        level="warning",
        partition=name,
        lost_from=saved.offset,
        lost_to=span.begin,
    )
    state = _counted_again(store, partition.topic, state)
    gone = LogRange(saved.offset, span.begin)
    return _Begun(state, span.begin, changed=True, loses=True, gone=gone)


def _has_other_topic(store: ObjectStore, partition: Partition, topic_id: str) -> bool:
    """Whether the partition's newest objects are from a topic that had this one's name."""
    for path in _newest_paths(store, partition.topic):
        head = store.head(path)
        if head is None:
            continue
        there = read_head(path, head).origin
        if there.partition == partition.number and there.topic_id != topic_id:
            return True
    return False


def _newest_paths(store: ObjectStore, topic: str) -> list[str]:
    """The newest object of each ticker and type."""
    newest: dict[str, str] = {}
    for path in store.paths(f"data/{topic}/"):
        if path.endswith(".csv"):
            folder, _, name = path.rpartition("/")
            newest[f"{folder}/{name[11:]}"] = path
    return list(newest.values())


def _counted_again(store: ObjectStore, topic: str, state: PartitionState) -> PartitionState:
    """Takes the number of rows from the objects: some may be ahead of the lost checkpoint."""
    for name, unit in state.units.items():
        for day in list(unit.days)[-RECENT_DAYS:]:
            _count_day(store, topic, name, unit, day)
    return state


def _count_day(store: ObjectStore, topic: str, name: str, unit: UnitState, day: str) -> None:
    exchange, ticker, stream_type = split_unit(name)
    count = unit.days[day]
    for marks in (False, True):
        path = object_path(topic, exchange, ticker, stream_type, day, marks=marks)
        head = store.head(path)
        rows = 0 if head is None else read_head(path, head).rows
        if marks:
            count.marks = rows
        else:
            count.rows = rows
