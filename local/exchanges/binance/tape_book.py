"""One recorded ticker's book, from its snapshot and diffs by the documented procedure.

diff ─► before a snapshot: kept   ─► snapshot ─► kept ones from it on ─► Ladder
└ a hole in the ids: not known until the next one
"""

from collections import deque

from local.exchanges.binance.tape_wire import Diff, Snapshot, changes
from local.exchanges.ladder import Change, Ladder

_KEPT = 10_000


class TapeBook:
    """A book that is `known` between a snapshot that fits and a hole (protocols 1.6)."""

    def __init__(self) -> None:
        self.ladder = Ladder()
        self.known = False
        self._kept: deque[Diff] = deque(maxlen=_KEPT)

    def snapshot(self, snapshot: Snapshot) -> bool:
        """Take a recorded snapshot; whether the book has become known by it.

        The ladder is then the snapshot itself; diffs that came before it and reach beyond it
        follow with `settle`.
        """
        if self.known:
            return False
        kept = [diff for diff in self._kept if diff.u > snapshot.lastUpdateId]
        if kept and snapshot.lastUpdateId + 1 < kept[0].U:
            return False
        self.ladder.load(snapshot.lastUpdateId, changes(snapshot.bids, snapshot.asks))
        self._kept = deque(kept, maxlen=_KEPT)
        self.known = True
        return True

    def start(self, update_id: int, levels: list[Change]) -> None:
        """Begin at a state that needs no snapshot."""
        self._kept.clear()
        self.ladder.load(update_id, levels)
        self.known = True

    def settle(self) -> None:
        """Apply what came before the snapshot and reaches beyond it."""
        while self.known and self._kept:
            self._apply(self._kept.popleft())

    def diff(self, diff: Diff) -> None:
        """Take the next diff of the tape."""
        self._kept.append(diff)
        self.settle()

    def _apply(self, diff: Diff) -> None:
        if diff.u <= self.ladder.last_id:
            return
        if self.ladder.last_id + 1 < diff.U:
            self.known = False
            self._kept.appendleft(diff)
            return
        self.ladder.apply(diff.u, changes(diff.b, diff.a))


def difference(ladder: Ladder, goal: list[Change]) -> list[Change]:
    """The changes that make the book of `ladder` that of `goal`, removals first."""
    wanted = {(side, price): level for side, price, level in goal}
    there = {(side, price): level for side, price, level in ladder.levels()}
    gone = [Change(side, price, None) for side, price in there if (side, price) not in wanted]
    return gone + [change for change in goal if there.get(change[:2]) != change.level]
