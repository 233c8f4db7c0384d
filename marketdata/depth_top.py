"""The best levels of a book, kept in order only as often as they are asked for. Pure.

levels as they come ─► Side.put ─► Side.best(20) ─► top_hash
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from operator import itemgetter

from marketdata import codec
from marketdata.decimals import is_zero, plain
from marketdata.errors import DecodeError
from marketdata.messages import Level

LEVELS = 20
"""So many levels a side make the top."""

_LEAST_SWEPT = 8_192
_LEAST_SORTED = 512

_price = itemgetter(0)


class Side:
    """One side of a book by the exchange's own texts; a price has one spelling in it.

    Setting levels costs little; they are put in order when `best` is asked for, those that
    have changed since one by one, or, where those are many, all anew.
    """

    __slots__ = ("_changed", "_levels", "_order", "_prices", "_sweep_at", "_texts")

    def __init__(self) -> None:
        self._levels: dict[str, Level] = {}
        # None: too much has changed since the order was made.
        self._changed: set[str] | None = None
        self._prices: dict[str, Decimal] = {}
        self._order: list[Decimal] = []
        self._texts: dict[Decimal, str] = {}
        self._sweep_at = _LEAST_SWEPT

    def load(self, levels: Iterable[Level]) -> None:
        """These and no others."""
        self._levels = {level[0]: level for level in levels}
        self._changed = None
        self._sweep_at = max(_LEAST_SWEPT, 2 * len(self._levels))

    def put(self, levels: list[Level]) -> None:
        """Absolute quantities; zero removes."""
        self._levels.update(zip(map(_price, levels), levels, strict=True))
        if self._changed is not None:
            self._changed.update(map(_price, levels))
        if len(self._levels) > self._sweep_at:
            self._sweep()

    def best(self, count: int, *, highest: bool) -> list[Level]:
        """The `count` highest or lowest prices, best first; what is no number is left out."""
        changed = self._changed
        if changed is None or len(changed) > max(_LEAST_SORTED, len(self._order) // 4):
            changed = self._sort()
        for text in changed:
            self._move(text)
        changed.clear()
        best = self._order[: -count - 1 : -1] if highest else self._order[:count]
        return [self._levels[self._texts[price]] for price in best]

    def _move(self, text: str) -> None:
        if is_zero(self._levels[text][1]):
            del self._levels[text]
            price = self._prices.pop(text, None)
            if price is not None:
                del self._order[bisect_left(self._order, price)]
                del self._texts[price]
        elif text not in self._prices and (price := _number(text)) is not None:
            if price in self._texts:
                self._forget(self._texts[price])
            self._prices[text] = price
            self._texts[price] = text
            insort(self._order, price)

    def _forget(self, text: str) -> None:
        """Another spelling of a price that is there: the later one counts."""
        price = self._prices.pop(text)
        del self._order[bisect_left(self._order, price)]
        self._levels.pop(text, None)

    def _sweep(self) -> None:
        """What was removed is forgotten, and the order with it."""
        self._levels = {
            text: level for text, level in self._levels.items() if not is_zero(level[1])
        }
        self._changed = None
        self._sweep_at = max(_LEAST_SWEPT, 2 * len(self._levels))

    def _sort(self) -> set[str]:
        """Puts all in order; what has changed since then is noted in the result."""
        self._sweep()
        known = self._prices
        prices = {text: known.get(text) or _number(text) for text in self._levels}
        self._prices = {text: price for text, price in prices.items() if price is not None}
        self._texts = {price: text for text, price in self._prices.items()}
        self._order = sorted(self._texts)
        self._changed = set()
        return self._changed


def top_hash(bids: list[Level], asks: list[Level]) -> str:
    """The SHA-256 of the JSON array `[bids,asks]` without white space, in hexadecimal."""
    return hashlib.sha256(codec.encode((bids, asks))).hexdigest()


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(plain(text))
    except DecodeError:
        return None
