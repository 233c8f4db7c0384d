"""A book without ids: prices by value, the best of each side always known.

`67.021` and `67.0210` are one price; the text of a level stays as it was sent.
"""

import heapq
from collections.abc import Iterable
from decimal import Decimal

from marketdata.decimals import is_zero
from marketdata.messages import DepthSnapshot, DepthUpdate, Level

_LEAST_HEAP = 4_096

Place = tuple[str, str]
"""A side, `b` or `a`, and a price as `price_key` gives it."""


def price_key(text: str) -> str:
    """One spelling for equal plain decimals: `67.0210` → `67.021`, `5.00` → `5`."""
    return text.rstrip("0").rstrip(".") if "." in text else text


class Side:
    """The levels of one side and, in a heap of candidates, its best price."""

    __slots__ = ("_heap", "_sign", "levels")

    def __init__(self, sign: int, levels: Iterable[Level]) -> None:
        self._sign = sign
        self.levels = {price_key(one[0]): one for one in levels if not is_zero(one[1])}
        self._fill()

    def set(self, key: str, level: Level) -> bool:
        """Sets a level or removes it; False when what is removed was not there."""
        if is_zero(level[1]):
            return self.levels.pop(key, None) is not None
        if key not in self.levels:
            if len(self._heap) > max(_LEAST_HEAP, 2 * len(self.levels)):
                self._fill()
            heapq.heappush(self._heap, (self._sign * Decimal(key), key))
        self.levels[key] = level
        return True

    def best(self) -> Decimal | None:
        """The best price, None for an empty side."""
        heap = self._heap
        while heap and heap[0][1] not in self.levels:
            heapq.heappop(heap)
        return self._sign * heap[0][0] if heap else None

    def sorted(self) -> list[Level]:
        """The levels, best first."""
        sign = self._sign
        return sorted(self.levels.values(), key=lambda level: sign * Decimal(level[0]))

    def _fill(self) -> None:
        self._heap = [(self._sign * Decimal(key), key) for key in self.levels]
        heapq.heapify(self._heap)


class StreamBook:
    """A book as of the last message; `unknown` counts removals of what was not there."""

    __slots__ = ("asks", "bids", "unknown")

    def __init__(self, snapshot: DepthSnapshot) -> None:
        self.bids = Side(-1, snapshot.b)
        self.asks = Side(1, snapshot.a)
        self.unknown = 0

    def apply(self, delta: DepthUpdate) -> list[Place]:
        """Sets every level in the message's order; the places that it names."""
        places: list[Place] = []
        for name, side, levels in (("b", self.bids, delta.b), ("a", self.asks, delta.a)):
            for level in levels:
                key = price_key(level[0])
                self.unknown += not side.set(key, level)
                places.append((name, key))
        return places

    def is_crossed(self) -> bool:
        """Whether a bid is at or above an ask, which no true book is."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask

    def level(self, place: Place) -> Level | None:
        """The level at a place."""
        return (self.bids if place[0] == "b" else self.asks).levels.get(place[1])

    def levels(self) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first."""
        return self.bids.sorted(), self.asks.sorted()

    def differs_at(self, other: "StreamBook", place: Place) -> bool:
        """Whether the two say different things about a place."""
        return not _equal(self.level(place), other.level(place))

    def differences(self, other: "StreamBook") -> set[Place]:
        """All places about which the two say different things."""
        found = {("b", key) for key in _unequal(self.bids.levels, other.bids.levels)}
        return found | {("a", key) for key in _unequal(self.asks.levels, other.asks.levels)}


def _unequal(mine: dict[str, Level], its: dict[str, Level]) -> list[str]:
    keys = mine.keys() | its.keys()
    return [key for key in keys if not _equal(mine.get(key), its.get(key))]


def _equal(one: Level | None, other: Level | None) -> bool:
    """Equal as numbers; prices are equal already."""
    if one is None or other is None:
        return one is other
    return one[1:] == other[1:] or [*map(price_key, one[1:])] == [*map(price_key, other[1:])]
