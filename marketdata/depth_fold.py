"""The tops of all books of one partition of `orderbook` (design.md §4, rules 7, 8). Pure.

    snapshots, deltas, gaps ─► DepthFold ─► the top of a book that has changed, every 250 ms

A book is followed as by every reader (`marketdata.book`): a delta changes nothing before the
first snapshot. After a hole it goes on, provisional until both sides are stated again.
Only the exchange's main type is read where it has two.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from marketdata import codec
from marketdata.archive_layout import main_type
from marketdata.book import Verdict, follow, follow_snapshot
from marketdata.candle_periods import Taken
from marketdata.codec import Headers
from marketdata.depth_book import BOTH, DepthBook
from marketdata.messages import DepthSnapshot, DepthTop, DepthUpdate, Gap
from marketdata.topics import ORDERBOOK

PACE_MS = 250
"""A top is written again after so long at the earliest."""

IDLE_MS = 3_600_000
"""A book of which nothing was heard for so long is no longer looked for after a restart."""


class Top(NamedTuple):
    """The top of a book, to be written now; the headers of the record that it is as of."""

    key: bytes
    message: DepthTop
    headers: Headers
    offset: int


class DepthFold:
    """The fold of one partition.

    `symbol_of` gives the symbol for a key. `now_ms` is any clock that never goes back.
    """

    def __init__(self, symbol_of: Callable[[bytes], str]) -> None:
        self._symbol_of = symbol_of
        self._books: dict[bytes, DepthBook] = {}
        self._unsaid: dict[DepthBook, None] = {}
        self.stale = self.gaps = 0

    def __len__(self) -> int:
        return len(self._books)

    def take(self, taken: Taken) -> None:
        """Takes the partition's next record.

        Raises:
            DecodeError: it is not what its topic says; nothing was taken.
        """
        key, fields = taken.key, taken.fields
        book = self._books.get(key)
        if book is None:
            exchange, _ = codec.split_key(key)
            book = DepthBook(key, exchange, main_type(ORDERBOOK.name, exchange))
            self._books[key] = book
        if fields.type and fields.type != book.type:
            return
        book.touched_ms = taken.now_ms
        if not book.is_fresh(fields):
            self.stale += 1
            return
        message = codec.decode_book(taken.value)
        if isinstance(message, DepthUpdate):
            self._take_delta(book, taken, message)
        elif isinstance(message, DepthSnapshot):
            self._take_snapshot(book, taken, message)
        elif isinstance(message, Gap):
            self.gaps += 1
            book.hear_gap(message)
            self._unsaid[book] = None

    def due(self, now_ms: int, *, is_live: bool = True) -> Iterator[Top]:
        """The tops to be written now; none before `is_live`."""
        if not is_live:
            return
        for book in list(self._unsaid):
            if book.said_ms is not None and now_ms < book.said_ms + PACE_MS:
                continue
            del self._unsaid[book]
            message = book.top(self._symbol_of)
            if message is not None:
                book.said_ms = now_ms
                yield Top(book.key, message, book.headers, book.offset)

    def settle(self, now_ms: int) -> None:
        """Forgets books of which nothing was heard for `IDLE_MS`."""
        for key, book in list(self._books.items()):
            if book.touched_ms + IDLE_MS <= now_ms:
                self._unsaid.pop(book, None)
                del self._books[key]

    def done_below(self, next_offset: int) -> int:
        """Who begins here sees every book stated before it changes."""
        return min(
            (book.stated_at for book in self._books.values() if book.stated_at is not None),
            default=next_offset,
        )

    def mark(self) -> str:
        """Nothing else is needed to begin; not empty, for there was a beginning."""
        return "{}"

    def counts(self) -> dict[str, int]:
        """What it has seen."""
        return {"keys": len(self._books), "stale": self.stale, "gaps": self.gaps}

    def _take_delta(self, book: DepthBook, taken: Taken, delta: DepthUpdate) -> None:
        fields = taken.fields
        if fields.ids == "ours" and fields.epoch > book.epoch and book.last is not None:
            book.begin_again()
            self._unsaid[book] = None
        if book.last is None:
            return
        step = follow(book.last, delta.U, delta.u)
        if step.verdict is Verdict.DROP:
            return
        if step.verdict is Verdict.GAP:
            book.doubt()
        book.bids.put(delta.b)
        book.asks.put(delta.a)
        self._taken(book, taken, step.last, delta.E)

    def _take_snapshot(self, book: DepthBook, taken: Taken, stated: DepthSnapshot) -> None:
        if book.is_renumbered(taken.fields, stated):
            book.begin_again()
        step = follow_snapshot(book.last, stated.u)
        if step.verdict is Verdict.DROP:
            return
        sides = BOTH if stated.side is None else frozenset({stated.side})
        if step.verdict is Verdict.GAP and book.has_jumped(stated):
            book.doubt()
        if "b" in sides:
            book.bids.load(stated.b)
        if "a" in sides:
            book.asks.load(stated.a)
        book.state(sides, taken.offset)
        self._taken(book, taken, stated.u, stated.E)

    def _taken(self, book: DepthBook, taken: Taken, last: int, event_ms: int) -> None:
        book.last, book.epoch = last, taken.fields.epoch
        book.event_ms = event_ms
        book.headers, book.offset = taken.headers, taken.offset
        self._unsaid[book] = None
