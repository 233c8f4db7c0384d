"""The checkpoint of a partition: the fold's state and the offset it belongs to (rule 12).

offset, state ─► _state/{topic}/{partition}.json ─► offset, state
"""

from typing import NamedTuple

import msgspec

from container_worker.archive.outage import Patience
from container_worker.archive.outcome import Origin
from container_worker.kafka_records import Partition
from container_worker.object_store import ObjectStore
from marketdata.archive_layout import FORMAT, checkpoint_path
from marketdata.archive_state import PartitionState
from marketdata.errors import ArchiveConflict, StoreConflict, StoreUnavailable


class _Document(msgspec.Struct):
    format: int
    topic_id: str
    partition: int
    offset: int
    state: msgspec.Raw


class Checkpoint(NamedTuple):
    """All rows of the records below `offset` are durable; `state` is the fold's as JSON."""

    topic_id: str
    offset: int
    state: bytes


class Loaded(NamedTuple):
    """A checkpoint as it was found, and the version that a later one replaces."""

    checkpoint: Checkpoint | None
    etag: str | None


def load(store: ObjectStore, partition: Partition) -> Loaded:
    """The partition's checkpoint; one that cannot be read counts as lost.

    Raises:
        StoreError: as `ObjectStore.load`.
        ArchiveConflict: it has a format that this version does not know.
    """
    path = checkpoint_path(*partition)
    found = store.load(path)
    if found is None:
        return Loaded(None, None)
    raw, etag = found
    try:
        document = msgspec.json.decode(raw, type=_Document)
        msgspec.json.decode(document.state, type=PartitionState)
    except msgspec.DecodeError:
        return Loaded(None, etag)
    if document.format != FORMAT:
        raise ArchiveConflict(
            f"{path} has the format {document.format}, and this version knows {FORMAT}"
        )
    return Loaded(Checkpoint(document.topic_id, document.offset, bytes(document.state)), etag)


class CheckpointWriter:
    """Replaces the checkpoint of one partition; one thread at a time."""

    def __init__(self, store: ObjectStore, partition: Partition, etag: str | None) -> None:
        self._store = store
        self._partition = partition
        self._path = checkpoint_path(*partition)
        self._etag = etag

    def save(self, checkpoint: Checkpoint, patience: Patience, *, back: bool = False) -> bool:
        """Whether a checkpoint at this offset or a later one is durable.

        Any archiver's checkpoint is right for its offset, so the highest offset wins; only
        `back`, for a fold that begins anew, puts a lower one in place.

        Raises:
            ArchiveConflict: the topic was made anew meanwhile.
            StoreError: the store refuses for good.
        """
        document = msgspec.json.encode(
            _Document(
                FORMAT,
                checkpoint.topic_id,
                self._partition.number,
                checkpoint.offset,
                msgspec.Raw(checkpoint.state),
            )
        )
        while patience.tries():
            try:
                self._etag = self._store.put(self._path, document, {}, base=self._etag)
            except (StoreUnavailable, StoreConflict) as error:
                patience.wait(error)
                if self._is_ahead(checkpoint, patience, back=back):
                    return True
            else:
                patience.succeeded()
                return True
        return False

    def _is_ahead(self, mine: Checkpoint, patience: Patience, *, back: bool) -> bool:
        """Takes note of what is there; whether it is as good as ours."""
        try:
            there, self._etag = load(self._store, self._partition)
        except (StoreUnavailable, StoreConflict) as error:
            patience.wait(error)
            return False
        if there is None:
            return False
        if there.topic_id != mine.topic_id and not back:
            raise ArchiveConflict(f"{self._path} is of another topic with this one's name")
        return there == mine or (not back and there.offset >= mine.offset)


def origin(topic_id: str, partition: Partition) -> Origin:
    """Where the rows of a partition come from."""
    return Origin(topic_id, partition.number)
