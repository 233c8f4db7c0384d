"""A recorded book as it stands while the tape plays: the exchange's own texts, and a ladder."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from local.exchanges.blockchain.payloads import Book, Row
from local.exchanges.ladder import ASK, BID, Change, Ladder

# Prices of the ladder are whole numbers: more digits than any pair has.
_SCALE = 18


class Told(NamedTuple):
    """One level of a message: what stands at a price on a side, zero for nothing."""

    side: int
    row: Row

    @property
    def price(self) -> Decimal:
        """The price as a number."""
        return Decimal(self.row.price)


class TapeBook:
    """One pair's book; `ladder.last_id` counts the levels that have been told."""

    def __init__(self) -> None:
        self.ladder = Ladder()
        self.known = False
        self._rows: tuple[dict[Decimal, Row], dict[Decimal, Row]] = ({}, {})

    def load(self, levels: Iterable[Told]) -> int:
        """Begin with a snapshot; its id."""
        self.known = True
        changes = []
        for told in levels:
            self._put(told)
            changes.append(_change(told))
        self.ladder.load(self.ladder.last_id + 1, changes)
        return self.ladder.last_id

    def apply(self, told: Told) -> int:
        """Take one level; its id."""
        self._put(told)
        self.ladder.apply(self.ladder.last_id + 1, (_change(told),))
        return self.ladder.last_id

    def _put(self, told: Told) -> None:
        if Decimal(told.row.quantity):
            self._rows[told.side][told.price] = told.row
        else:
            self._rows[told.side].pop(told.price, None)

    def differences(self, levels: Iterable[Told]) -> Iterator[Told]:
        """What leads from this book to a snapshot's; removals come first."""
        wanted: tuple[dict[Decimal, Row], dict[Decimal, Row]] = ({}, {})
        for told in levels:
            wanted[told.side][told.price] = told.row
        for side in (BID, ASK):
            for price, row in list(self._rows[side].items()):
                if price not in wanted[side]:
                    yield Told(side, Row(row.price, "0.0", 0))
        for side in (BID, ASK):
            for price, row in wanted[side].items():
                if self._rows[side].get(price) != row:
                    yield Told(side, row)

    def book(self) -> Book:
        """Both sides by rising price."""
        bids, asks = ([side[price] for price in sorted(side)] for side in self._rows)
        return Book(bids, asks)


def _change(told: Told) -> Change:
    price, quantity = told.price, Decimal(told.row.quantity)
    level = f'["{price:f}","{quantity:f}"]' if quantity else None
    return Change(told.side, int(price.scaleb(_SCALE)), level)
