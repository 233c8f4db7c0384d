"""A seeded book of one share: each message of the exchange restates one of its sides.

    advance(now) ─► orders come, go and meet ─► (time, side) of each statement ─► Ladder

Pure: time is an argument; the same seed and the same times make the same book. The ladder has
one id a statement: the sequence number. Its levels are `["price","lots","value"]`.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from local.exchanges.ladder import ASK, BID, Change, Ladder
from local.exchanges.market import NO_IDS, Ids
from local.exchanges.stockbit.shares import (
    SHARES_A_LOT,
    Share,
    above,
    below,
    on_step,
)

LEVELS = 40
STATEMENTS_PER_SECOND = 6
_LONGEST_STEP_MS = 1_000
_IDS_A_SECOND = 1_000
"""More than a book at a hundred times the usual pace uses up."""

# Cumulative chances of an order that meets another and of a new or changed one; else it goes.
_MARKET, _CHANGE = 0.15, 0.85


class Statement(NamedTuple):
    """The side (`BID`, `ASK`) that is stated anew, when, and under which sequence number."""

    time_ms: int
    side: int
    number: int


class BookWalk:
    """One share's book of at most 40 levels a side, never crossed.

    Its numbers go on from those of an earlier book, `after`.
    """

    def __init__(self, share: Share, seed: int, start_ms: int, after: Ids = NO_IDS) -> None:
        self.share = share
        self.ladder = Ladder()
        self._random = Random(f"{seed}:{share.ticker}")  # noqa: S311 - repeatable on purpose
        self._lots: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._time_ms = start_ms
        self._owed = 0
        # Numbers begin with the clock: a book that is started again never goes back in them.
        number = start_ms // 1000 * _IDS_A_SECOND + self._random.randrange(_IDS_A_SECOND)
        self._open(after.get("sequence_number", number))

    def ids(self) -> Ids:
        """How far the book is: what another one takes as `after`."""
        return {"sequence_number": self.ladder.last_id}

    def _open(self, number: int) -> None:
        bid = on_step(self.share.price)
        ask = above(bid)
        changes = []
        for _ in range(LEVELS):
            for side, price in ((BID, bid), (ASK, ask)):
                if price > 0:
                    changes.append(self._put(side, price, self._size()))
            bid, ask = max(0, below(bid)), above(ask)
        self.ladder.load(number, changes)

    def _size(self) -> int:
        return 1 + int(self._random.expovariate(1.0) * self.share.size)

    def advance(self, now_ms: int) -> Iterator[Statement]:
        """Live until `now_ms`; more than a second at once has one second's activity."""
        elapsed = now_ms - self._time_ms
        if elapsed <= 0:
            return
        self._owed += min(elapsed, _LONGEST_STEP_MS) * STATEMENTS_PER_SECOND
        count, self._owed = divmod(self._owed, 1000)
        began, self._time_ms = self._time_ms, now_ms
        for number in range(count):
            side = BID if self._random.random() < 0.5 else ASK
            yield self._state(began + elapsed * (number + 1) // count, side, self._live(side))

    def levels(self, side: int) -> list[tuple[int, int]]:
        """Price and lots of a side as it is, best first."""
        return sorted(self._lots[side].items(), reverse=side == BID)

    def state(self, time_ms: int, side: int) -> Statement:
        """The side as it is, under the next number."""
        return self._state(time_ms, side, [])

    def _state(self, time_ms: int, side: int, changes: list[Change]) -> Statement:
        number = self.ladder.last_id + 1
        self.ladder.apply(number, changes)
        return Statement(time_ms, side, number)

    def _live(self, side: int) -> list[Change]:
        """One to three orders of a side; one that runs dry is filled up far from the best."""
        changes = [self._one(side) for _ in range(self._random.choice((1, 1, 2, 3)))]
        while len(self._lots[side]) < LEVELS // 2:
            price = self._beyond(side, self._farthest(side))
            if price <= 0:
                break
            changes.append(self._put(side, price, self._size()))
        while len(self._lots[side]) > LEVELS:
            changes.append(self._put(side, self._farthest(side), 0))
        return changes

    def _one(self, side: int) -> Change:
        draw = self._random.random()
        if draw < _MARKET:
            price = self._best(side)
            share_taken = self._random.choice((0.2, 0.5, 1.0))
            return self._put(side, price, self._left(side, price, share_taken))
        price = self._somewhere(side)
        if draw < _CHANGE:
            return self._put(side, price, self._size())
        return self._put(side, price, 0 if len(self._lots[side]) > LEVELS // 2 else 1)

    def _left(self, side: int, price: int, share_taken: float) -> int:
        held = self._lots[side].get(price, 0)
        is_last = len(self._lots[side]) < 2
        return max(1 if is_last else 0, held - max(1, int(held * share_taken)))

    def _somewhere(self, side: int) -> int:
        """A price near the best, sometimes one better where the spread has room for it."""
        best, other = self._best(side), self._best(1 - side)
        inside = above(best) if side == BID else below(best)
        has_room = inside < other if side == BID else inside > other
        if has_room and self._random.random() < self._homeward(side):
            return inside
        price = best
        for _ in range(int(self._random.expovariate(0.2))):
            price = self._beyond(side, price) or price
        return price

    def _homeward(self, side: int) -> float:
        """The chance to better the best: less on the side that has drifted from home."""
        home, best = self.share.price, self._best(side)
        if side == BID:
            return 0.1 if best > home * 1.1 else 0.5
        return 0.1 if best < home * 0.9 else 0.5

    def _beyond(self, side: int, price: int) -> int:
        return below(price) if side == BID else above(price)

    def _best(self, side: int) -> int:
        return max(self._lots[BID]) if side == BID else min(self._lots[ASK])

    def _farthest(self, side: int) -> int:
        return min(self._lots[BID]) if side == BID else max(self._lots[ASK])

    def _put(self, side: int, price: int, lots: int) -> Change:
        if not lots:
            self._lots[side].pop(price, None)
            return Change(side, price, None)
        self._lots[side][price] = lots
        return Change(side, price, f'["{price}","{lots}","{price * lots * SHARES_A_LOT}"]')
