"""The one decision that every reader of a sequence takes, and its book (rule 7)."""

import enum
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from marketdata.decimals import is_zero
from marketdata.messages import DepthSnapshot, DepthUpdate, Level


class Verdict(enum.Enum):
    """What a record means to a reader that has seen ids up to `last`."""

    START = "start"
    """Nothing was seen before: a snapshot or a trade begins here, a delta has no book yet."""
    APPLY = "apply"
    DROP = "drop"
    """Seen already: changes nothing."""
    RESTATE = "restate"
    """A snapshot at exactly `last`: says again what is known."""
    GAP = "gap"
    """Applies, and ids before it are missing."""


class Step(NamedTuple):
    """The verdict, the last id seen after it, and the ids found missing (inclusive)."""

    verdict: Verdict
    last: int
    missing: tuple[int, int] | None = None


def follow(last: int | None, first: int, final: int) -> Step:
    """Decides for a delta (or a trade) that covers the ids `first` to `final`.

    `final ≤ last` is dropped, `first > last + 1` is a gap with or without a gap record,
    anything else applies, a partial overlap whole (rules 7, 9).
    """
    if last is None:
        return Step(Verdict.START, final)
    if final <= last:
        return Step(Verdict.DROP, last)
    if first > last + 1:
        return Step(Verdict.GAP, final, (last + 1, first - 1))
    return Step(Verdict.APPLY, final)


def follow_snapshot(last: int | None, final: int) -> Step:
    """Decides for a snapshot as of id `final` (rule 7).

    Below `last` it is dropped, at `last` it restates, above it is a gap and applies.
    """
    if last is None:
        return Step(Verdict.START, final)
    if final < last:
        return Step(Verdict.DROP, last)
    if final == last:
        return Step(Verdict.RESTATE, last)
    return Step(Verdict.GAP, final, (last + 1, final))


class Book:
    """An order book by the exchange's own texts; a price has one spelling within a ticker.

    `last` is the id up to which it is right, None before the first snapshot.
    """

    __slots__ = ("asks", "bids", "last")

    def __init__(self) -> None:
        self.bids: dict[str, Level] = {}
        self.asks: dict[str, Level] = {}
        self.last: int | None = None

    def load(self, snapshot: DepthSnapshot) -> None:
        """Takes the snapshot in place of the sides that it states."""
        if snapshot.side != "a":
            self.bids = {level[0]: level for level in snapshot.b}
        if snapshot.side != "b":
            self.asks = {level[0]: level for level in snapshot.a}
        self.last = snapshot.u

    def apply(self, delta: DepthUpdate) -> None:
        """Sets every level to its absolute quantity; zero removes, also what is not there."""
        _set_levels(self.bids, delta.b)
        _set_levels(self.asks, delta.a)
        self.last = delta.u

    def levels(self) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first."""
        return (
            sorted(self.bids.values(), key=_price, reverse=True),
            sorted(self.asks.values(), key=_price),
        )


def _set_levels(side: dict[str, Level], levels: Iterable[Level]) -> None:
    for level in levels:
        if is_zero(level[1]):
            side.pop(level[0], None)
        else:
            side[level[0]] = level


def _price(level: Level) -> Decimal:
    return Decimal(level[0])
