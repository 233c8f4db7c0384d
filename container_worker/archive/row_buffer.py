"""Rows of one object that are not durable yet, by the offsets of their records.

Pure: fold ─► RowBuffer ─► bytes of a flush
"""

from array import array
from bisect import bisect_left

from marketdata.archive_unit import Rows

_CHUNK_COST = 64


class RowBuffer:
    """The rows of consecutive records of one object; cut only between records.

    `before` is how many rows the object has before the first one, None when unknown.
    """

    __slots__ = ("_chunks", "_lines", "_offsets", "before", "path", "size")

    def __init__(self, path: str, before: int | None) -> None:
        self.path = path
        self.before = before
        self.size = 0
        self._chunks: list[bytes] = []
        self._offsets = array("q")
        self._lines = array("q")

    def add(self, offset: int, rows: Rows) -> None:
        """Takes the rows of the record at `offset`, which is not below the last one's."""
        self._chunks.append(rows.data)
        self._offsets.append(offset)
        self._lines.append(rows.lines)
        self.size += len(rows.data)

    @property
    def held(self) -> int:
        """What it takes of the memory: the rows and what holds them."""
        return self.size + _CHUNK_COST * len(self._chunks)

    @property
    def first(self) -> int:
        """The offset of the first record."""
        return self._offsets[0]

    @property
    def end(self) -> int:
        """One more than the offset of the last record."""
        return self._offsets[-1] + 1

    @property
    def lines(self) -> int:
        """How many rows there are."""
        return sum(self._lines)

    def data(self) -> bytes:
        """All rows."""
        return b"".join(self._chunks)

    def cut(self, offset: int) -> None:
        """Forgets the rows of the records below `offset`."""
        index = bisect_left(self._offsets, offset)
        if self.before is not None:
            self.before += sum(self._lines[:index])
        self._chunks = self._chunks[index:]
        self._offsets = self._offsets[index:]
        self._lines = self._lines[index:]
        self.size = sum(map(len, self._chunks))
