"""What to do with a batch of rows, given what its object says of itself (rules 13, 15).

Pure. The same table answers before the first write and after every outcome that was no clean
success: a write that may or may not have happened is decided by what is there now.

    HEAD, batch ─► next_step ─► create, append, cut, done, rebuild or contradiction
"""

import enum
from typing import NamedTuple

from container_worker.object_store import ObjectHead
from marketdata.archive_layout import FORMAT
from marketdata.errors import ArchiveConflict


class Origin(NamedTuple):
    """The partition of the very topic that an object's rows come from."""

    topic_id: str
    partition: int


class Stored(NamedTuple):
    """An object of the archive as it is in the bucket.

    Its rows are those of the records from `first` up to `next`; `rows` counts all of them.
    `inherited` bytes are from topics that had this one's name before it.
    """

    etag: str
    size: int
    origin: Origin
    first: int
    next: int
    rows: int
    inherited: int = 0

    def metadata(self) -> dict[str, str]:
        """What is written beside the rows (rule 13)."""
        return {
            "topic-id": self.origin.topic_id,
            "partition": str(self.origin.partition),
            "first": str(self.first),
            "next": str(self.next),
            "rows": str(self.rows),
            "inherited": str(self.inherited),
            "format": str(FORMAT),
        }


def read_head(path: str, head: ObjectHead) -> Stored:
    """The object's own account.

    Raises:
        ArchiveConflict: it has none, or one of a format that this version does not write.
    """
    metadata = head.metadata
    try:
        version = int(metadata["format"])
        stored = Stored(
            head.etag,
            head.size,
            Origin(metadata["topic-id"], int(metadata["partition"])),
            int(metadata["first"]),
            int(metadata["next"]),
            int(metadata["rows"]),
            int(metadata.get("inherited", "0")),
        )
    except (KeyError, ValueError) as error:
        raise ArchiveConflict(
            f"{path} was not written by the archive (its metadata are missing): move it away"
        ) from error
    if version != FORMAT:
        raise ArchiveConflict(
            f"{path} has the format {version}, and this version writes {FORMAT}"
        )
    return stored


class Step(enum.Enum):
    """What comes next for a batch."""

    CREATE = "create"
    """Nothing is there: write the batch as the first version."""
    APPEND = "append"
    """All before the batch is there and nothing of it: append it."""
    CUT = "cut"
    """A part of the batch is there: forget that part and look again."""
    DONE = "done"
    """All of the batch is there."""
    REBUILD = "rebuild"
    """Rows before the batch are gone: fold again from further back."""
    CONTRADICTION = "contradiction"
    """The object has rows that this topic does not give: stop the partition."""


def next_step(
    stored: Stored | None, origin: Origin, *, first: int, end: int, before: int | None
) -> Step:
    """Decides for a batch of the records from `first` up to `end` (rule 15).

    `before` is how many rows of the object precede the batch, None when that is unknown.

    | the object                                  | step          |
    | ------------------------------------------- | ------------- |
    | is not there, and nothing is before         | create        |
    | is not there, and rows are before           | rebuild       |
    | comes from another partition                | contradiction |
    | `next` ≥ `end`                              | done          |
    | `first` < `next` < `end`                    | cut           |
    | `next` ≤ `first`, as many rows as before    | append        |
    | `next` ≤ `first`, fewer rows                | rebuild       |
    | `next` ≤ `first`, more rows                 | contradiction |

    Of an object of another topic with the name of this one, `next` counts as nothing: offsets
    of two topics cannot be compared (rule 13).
    """
    if stored is None:
        return Step.REBUILD if before else Step.CREATE
    if stored.origin.partition != origin.partition:
        return Step.CONTRADICTION
    if stored.origin.topic_id == origin.topic_id:
        if stored.next >= end:
            return Step.DONE
        if stored.next > first:
            return Step.CUT
    if before is None or stored.rows == before:
        return Step.APPEND
    return Step.REBUILD if stored.rows < before else Step.CONTRADICTION
