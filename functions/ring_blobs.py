"""Batches as they lie in the ring: compressed, none larger than an item may be.

RingRecords ─ pieces ─► [first, next) and blob ─ unpacked ─► RingRecords
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

MAX_BLOB_BYTES = 350 * 1024
"""DynamoDB's items end at 400 KB, names and numbers included."""
# Bytes as characters: lossless whatever they are, and of ASCII no byte longer.
_BYTES = "latin-1"

_decoder = msgspec.json.Decoder(list[tuple[int, str, str, int, dict[str, str]]])


class RingRecord(NamedTuple):
    """A Kafka record as the ring keeps it; of the headers those that readers go by."""

    offset: int
    key: bytes
    value: bytes
    timestamp_ms: int
    headers: dict[str, str]


class Piece(NamedTuple):
    """Everything of a source from `first` up to, and without, `next`."""

    first: int
    next: int
    blob: bytes


class Kept(NamedTuple):
    """What the ring has of a stretch of a source; from `since` on nothing of it is missing."""

    records: list[RingRecord]
    since: int
    whole: bool

    @property
    def tail(self) -> list[RingRecord]:
        """The records behind the last hole."""
        return [one for one in self.records if one.offset >= self.since]


def pieces(first: int, next_: int, records: Sequence[RingRecord]) -> Iterator[Piece]:
    """A batch in as few pieces as it needs, together without a hole.

    A record that alone is too large is left out: its piece is missing.
    """
    waiting = [(first, next_, records)]
    while waiting:
        begin, end, part = waiting.pop()
        blob = _packed(part)
        if len(blob) <= MAX_BLOB_BYTES:
            yield Piece(begin, end, blob)
        elif len(part) > 1:
            middle = len(part) // 2
            cut = part[middle].offset
            waiting += [(cut, end, part[middle:]), (begin, cut, part[:middle])]


def unpacked(blob: bytes) -> list[RingRecord]:
    """The records of a piece, in their order."""
    return [
        RingRecord(offset, key.encode(_BYTES), value.encode(_BYTES), timestamp_ms, headers)
        for offset, key, value, timestamp_ms, headers in _decoder.decode(zlib.decompress(blob))
    ]


def _packed(records: Sequence[RingRecord]) -> bytes:
    rows: list[tuple[Any, ...]] = [
        (one.offset, one.key.decode(_BYTES), one.value.decode(_BYTES), *one[3:])
        for one in records
    ]
    return zlib.compress(msgspec.json.encode(rows))
