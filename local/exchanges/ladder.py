"""A book that knows itself at every update id of its recent past.

    set / apply / load ─► two sorted sides ─► top, text
                      └─► undo log          ─► at(id)

A level is kept as the JSON text that answers are joined from: `["price","quantity"]`, in the
digits of its exchange.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from marketdata.errors import LocalError

BID, ASK = 0, 1
STEPS_KEPT = 20_000
CHANGES_KEPT = 400_000


class Change(NamedTuple):
    """One level's new text on a side (`BID` or `ASK`); `level` is None where it goes."""

    side: int
    price: int
    level: str | None


class BookText(NamedTuple):
    """A book at `update_id`: the bodies of its two JSON lists, best level first."""

    update_id: int
    bids: str
    asks: str


class UnknownBook(LocalError):
    """The book at that id is not, or no longer, known."""


class _Side:
    """Levels of one side; keys ascend from the best, so a bid's key is its negated price."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, str] = {}

    def put(self, price: int, level: str | None) -> str | None:
        key = self.sign * price
        before = self.levels.get(key)
        if level is None:
            if before is not None:
                del self.levels[key]
                del self.keys[bisect_left(self.keys, key)]
        else:
            if before is None:
                insort(self.keys, key)
            self.levels[key] = level
        return before


class Ladder:
    """One ticker's book with a bounded undo log (20,000 updates, 400,000 level changes)."""

    def __init__(self, *, steps: int = STEPS_KEPT, changes: int = CHANGES_KEPT) -> None:
        self.last_id = 0
        self._sides = (_Side(-1), _Side(1))
        self._undo: deque[tuple[int, list[Change]]] = deque()
        self._undo_changes = 0
        self._oldest_id = 0
        self._steps = steps
        self._changes = changes

    def load(self, update_id: int, changes: Iterable[Change]) -> None:
        """Start over from a snapshot; nothing older is known afterwards."""
        self._sides = (_Side(-1), _Side(1))
        self._undo.clear()
        self._undo_changes = 0
        for change in changes:
            self._sides[change.side].put(change.price, change.level)
        self.last_id = self._oldest_id = update_id

    def apply(self, update_id: int, changes: Iterable[Change]) -> None:
        """Take one update, which ends at `update_id`."""
        undo = [
            Change(side, price, self._sides[side].put(price, level))
            for side, price, level in changes
        ]
        self.last_id = update_id
        self._undo.append((update_id, undo))
        self._undo_changes += len(undo)
        while len(self._undo) > self._steps or self._undo_changes > self._changes:
            self._oldest_id, forgotten = self._undo.popleft()
            self._undo_changes -= len(forgotten)

    def best(self, side: int) -> int | None:
        """The best price of a side, None when it is empty."""
        keys = self._sides[side].keys
        return self._sides[side].sign * keys[0] if keys else None

    def best_level(self, side: int) -> str:
        """The text of a side's best level, empty when it has none."""
        keys = self._sides[side].keys
        return self._sides[side].levels[keys[0]] if keys else ""

    def count(self, side: int) -> int:
        """How many levels a side has."""
        return len(self._sides[side].keys)

    def price_at(self, side: int, rank: int) -> int:
        """The price of the level with `rank` (0 is the best, -1 the farthest)."""
        return self._sides[side].sign * self._sides[side].keys[rank]

    def level(self, side: int, price: int) -> str | None:
        """A level's text, None when there is none at that price."""
        return self._sides[side].levels.get(self._sides[side].sign * price)

    def levels(self) -> Iterable[Change]:
        """Every level, bids first, best first."""
        for number, side in enumerate(self._sides):
            for key in side.keys:
                yield Change(number, side.sign * key, side.levels[key])

    def top(self, side: int, limit: int) -> str:
        """The body of the JSON list of the best `limit` levels."""
        levels = self._sides[side].levels
        return ",".join([levels[key] for key in self._sides[side].keys[:limit]])

    def text(self, limit: int) -> BookText:
        """The book as it is now."""
        return BookText(self.last_id, self.top(BID, limit), self.top(ASK, limit))

    def at(self, update_id: int) -> BookText:
        """The whole book as it was just after `update_id`.

        Raises:
            UnknownBook: the id is ahead of the book, forgotten, or inside an update.
        """
        if not self._oldest_id <= update_id <= self.last_id:
            raise UnknownBook(
                f"the book at {update_id} is not known: "
                f"ids {self._oldest_id} to {self.last_id} are"
            )
        levels = tuple(dict(side.levels) for side in self._sides)
        below, above = self._oldest_id, self.last_id
        for step_id, undo in reversed(self._undo):
            if step_id <= update_id:
                below = step_id
                break
            self._take_back(levels, undo)
            above = step_id
        if below != update_id:
            raise UnknownBook(
                f"the book at {update_id} is not known: {below} and {above} are known, "
                "and the recording tells nothing between"
            )
        bids, asks = (",".join([side[key] for key in sorted(side)]) for side in levels)
        return BookText(update_id, bids, asks)

    def _take_back(self, levels: tuple[dict[int, str], ...], undo: list[Change]) -> None:
        for side, price, before in reversed(undo):
            key = self._sides[side].sign * price
            if before is None:
                levels[side].pop(key, None)
            else:
                levels[side][key] = before

    def older(self, updates: int, limit: int) -> BookText:
        """The best `limit` levels of `updates` updates ago, or of the oldest book known."""
        known = updates < len(self._undo)
        book = self.at(self._undo[-1 - updates][0] if known else self._oldest_id)
        return BookText(book.update_id, _first(book.bids, limit), _first(book.asks, limit))


def _first(levels: str, limit: int) -> str:
    parts = levels.split("],")
    return levels if len(parts) <= limit else "],".join(parts[:limit]) + "]"
