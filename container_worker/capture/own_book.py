"""Capture's own book: the shared one, with its levels set in bulk.

It is written at every delta and read once a day, so that what is removed may stay until the
next reading, or until it has piled up.
"""

from operator import itemgetter

from marketdata.book import Book
from marketdata.decimals import is_zero
from marketdata.messages import DepthSnapshot, DepthUpdate, Level

_LEAST_SWEPT = 8_192

_price = itemgetter(0)


class OwnBook(Book):
    """Equal to `Book` whenever `levels` is called."""

    __slots__ = ("_sweep_at",)

    def __init__(self) -> None:
        super().__init__()
        self._sweep_at = _LEAST_SWEPT

    def load(self, snapshot: DepthSnapshot) -> None:
        """As `Book.load`."""
        super().load(snapshot)
        self._sweep()

    def apply(self, delta: DepthUpdate) -> None:
        """As `Book.apply`; a removed level stays, with its zero, until the next sweep."""
        bids, asks = self.bids, self.asks
        bids.update(zip(map(_price, delta.b), delta.b, strict=True))
        asks.update(zip(map(_price, delta.a), delta.a, strict=True))
        self.last = delta.u
        if len(bids) + len(asks) > self._sweep_at:
            self._sweep()

    def levels(self) -> tuple[list[Level], list[Level]]:
        """As `Book.levels`."""
        self._sweep()
        return super().levels()

    def _sweep(self) -> None:
        self.bids = {
            price: level for price, level in self.bids.items() if not is_zero(level[1])
        }
        self.asks = {
            price: level for price, level in self.asks.items() if not is_zero(level[1])
        }
        self._sweep_at = max(_LEAST_SWEPT, 2 * (len(self.bids) + len(self.asks)))
