"""The documented procedure for one book: buffer, snapshot, verify (protocols 1.6)."""

from collections import deque
from typing import NamedTuple

from container_worker.exchanges.outcomes import RestBook
from marketdata.messages import DepthUpdate

MOST = 20_000
"""Deltas that are kept while a snapshot is awaited: over half an hour at 100 ms. The oldest go
first: a snapshot must then be younger."""


class Verified(NamedTuple):
    """A snapshot, and the deltas that follow it: the first covers `last_id + 1`."""

    snapshot: RestBook
    kept: list[DepthUpdate]


class Rebuild:
    """Collects deltas without a hole between them, until a snapshot fits them."""

    def __init__(self) -> None:
        self._deltas: deque[DepthUpdate] = deque(maxlen=MOST)
        self._snapshot: RestBook | None = None
        self._asked = False

    @property
    def holds(self) -> bool:
        """Whether deltas wait here."""
        return bool(self._deltas)

    def clear(self) -> None:
        """A hole: what came before it is of no use. A snapshot that is here may still fit."""
        self._deltas.clear()

    def add(self, delta: DepthUpdate) -> None:
        """The next delta; the caller has seen to it that no id is missing before it."""
        self._deltas.append(delta)

    def offer(self, snapshot: RestBook) -> None:
        """The answer of the REST interface; the newest counts."""
        self._asked = False
        if self._snapshot is None or snapshot.last_id > self._snapshot.last_id:
            self._snapshot = snapshot

    def ask(self) -> bool:
        """Whether to fetch a snapshot now: once the first delta is here, one at a time."""
        wanted = bool(self._deltas) and self._snapshot is None and not self._asked
        self._asked = self._asked or wanted
        return wanted

    def verify(self) -> Verified | None:
        """The snapshot with the deltas to apply to it, once one of them covers its next id.

        A snapshot that is older than the deltas is forgotten, so that `ask` wants another.
        """
        snapshot = self._snapshot
        if snapshot is None or not self._deltas:
            return None
        if snapshot.last_id + 1 < self._deltas[0].U:
            self._snapshot = None
            return None
        while self._deltas and self._deltas[0].u <= snapshot.last_id:
            self._deltas.popleft()
        if not self._deltas:
            return None
        return Verified(snapshot, list(self._deltas))
