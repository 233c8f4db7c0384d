"""The keys of the ring table, and cursors (rules 20, 21).

    HEAD#<topic>#<partition> / HEAD        `next`: everything below it is in the ring
    RING#<topic>#<topic id>#<partition> / <first offset>   one batch, compressed; `next`, `exp`
    TOPIC#<topic> / ID                     `topic_id`, written by the keeper

A cursor is `<topic>:<topic id>:<partition>:<offset>`: the place of one update.
"""

from typing import NamedTuple

from marketdata.errors import DecodeError

HEAD = "HEAD"
ID = "ID"
_DIGITS = 20


class Source(NamedTuple):
    """One partition of a topic that is pushed."""

    topic: str
    partition: int


class Cursor(NamedTuple):
    """The place of one update: `offset` in a partition of one life of a topic."""

    topic: str
    topic_id: str
    partition: int
    offset: int

    @property
    def source(self) -> Source:
        """Where it is from."""
        return Source(self.topic, self.partition)

    def __str__(self) -> str:
        return f"{self.topic}:{self.topic_id}:{self.partition}:{self.offset}"


def parse_cursor(text: str) -> Cursor:
    """A cursor as a client gives it back.

    Raises:
        DecodeError: it is none.
    """
    topic, _, rest = text.partition(":")
    topic_id, _, numbers = rest.partition(":")
    partition, _, offset = numbers.partition(":")
    is_number = all(
        one.isascii() and one.isdigit() and len(one) <= _DIGITS for one in (partition, offset)
    )
    if not topic or not topic_id or not is_number:
        raise DecodeError(f"not a cursor: {text[:80]!r}")
    return Cursor(topic, topic_id, int(partition), int(offset))


def head_pk(source: Source) -> str:
    """The partition of a source's HEAD."""
    return f"HEAD#{source.topic}#{source.partition}"


def ring_pk(source: Source, topic_id: str) -> str:
    """The partition of a source's batches."""
    return f"RING#{source.topic}#{topic_id}#{source.partition}"


def ring_sk(first: int) -> str:
    """The sort key of the batch that begins with this offset: sorts as the number."""
    return f"{first:0{_DIGITS}d}"


def topic_pk(topic: str) -> str:
    """The partition of a topic's id."""
    return f"TOPIC#{topic}"
