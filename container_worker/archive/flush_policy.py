"""When rows are written (rule 14). Pure: sizes and durations in, decisions out.

No decision here changes what an object holds, only when it holds it.
"""

from collections.abc import Iterable

LARGE_BATCH = 8 * 1024 * 1024
SHARE_OF_OBJECT = 50
"""A batch is large from one part in this many of the object that it goes to."""
REST_FACTOR = 20
"""A partition rests this many times as long as the slowest write of its last flush took."""
IDLE_FACTOR = 5
"""How many rests pass before a checkpoint is written that has no new rows."""


def is_large(batch: int, object_size: int) -> bool:
    """Whether a batch goes to its object at once."""
    return batch >= max(LARGE_BATCH, object_size // SHARE_OF_OBJECT)


def rest_seconds(flush_seconds: float, last_flush: float, *, rows: bool) -> float:
    """How long after its last flush a partition is flushed again.

    Without rows there is no object to copy, only a checkpoint to move on.
    """
    return max(flush_seconds, REST_FACTOR * last_flush) if rows else IDLE_FACTOR * flush_seconds


def largest_first(batches: Iterable[tuple[int, str]], excess: int) -> list[str]:
    """The fewest batches, by size and path, that free `excess` bytes."""
    chosen = []
    for size, path in sorted(batches, reverse=True):
        if excess <= 0:
            break
        chosen.append(path)
        excess -= size
    return chosen
