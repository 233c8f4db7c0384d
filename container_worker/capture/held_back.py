"""Events that ran ahead: while two sockets are open the other one may fill the hole."""

import bisect
from typing import Generic, TypeVar

E = TypeVar("E")

MOST = 1_000
"""When more wait, those with the lowest ids are due: only the hole before them is given up."""


class HeldBack(Generic[E]):
    """A bounded waiting room, ordered by first id; `open` while two sockets feed one unit.

    Whoever adds takes out what `next` gives until that is None.
    """

    def __init__(self) -> None:
        self.open = False
        self._waiting: list[tuple[int, int, E]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, first: int, final: int, event: E) -> bool:
        """Takes an event with the ids `first` to `final`; False when it must not wait."""
        if not self.open:
            return False
        at = bisect.bisect_left([(low, high) for low, high, _ in self._waiting], (first, final))
        self._waiting.insert(at, (first, final, event))
        return True

    def next(self, last: int, *, force: bool = False) -> E | None:
        """The event with the lowest id, if it continues `last`, or must not wait any more.

        With `force` none must.
        """
        is_due = force or len(self._waiting) > MOST
        if not self._waiting or not (is_due or self._waiting[0][0] <= last + 1):
            return None
        return self._waiting.pop(0)[2]
