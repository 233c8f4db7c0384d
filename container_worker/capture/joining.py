"""Two sockets, one unnumbered book: when may the second one carry on (rule 9)?

old socket ─► own book ─┐
                        ├─ the places where they differ: none ─► go over, nothing is lost
new socket ─► its book ─┘

Two sockets deliver at slightly different moments, so that a place differs for a while. One that
differs and that neither socket touches any more is something that one of them lost.
"""

from typing import NamedTuple

from container_worker.capture.stream_book import Place, StreamBook
from marketdata.messages import DepthSnapshot, DepthUpdate, Level

LAG_MS = 2_000
"""What one socket says the other one says within this time."""


class Verdict(NamedTuple):
    """How the second socket's book stands to our own: whether they differ, and for good."""

    differs: bool
    is_loss: bool


class Joining:
    """The second socket's book, from its statement on, beside the own one."""

    def __init__(self, statement: DepthSnapshot, own: StreamBook, received_ms: int) -> None:
        self.book = StreamBook(statement)
        self._statement = statement
        self.event_ms = statement.E
        self.compare(own, received_ms)

    def compare(self, own: StreamBook, received_ms: int) -> None:
        """Begins anew with this own book: what the one before it lacked is told already."""
        self._own = own
        self._differs = own.differences(self.book)
        self._touched_ms = dict.fromkeys(self._differs, received_ms)
        self._is_loss = False

    @property
    def agrees(self) -> bool:
        """Whether both books are equal now."""
        return not self._differs

    @property
    def is_loss(self) -> bool:
        """Whether some place differed for longer than it takes to catch up."""
        return self._is_loss

    def brought(self, delta: DepthUpdate, received_ms: int) -> None:
        """The new socket's next delta."""
        self.event_ms = max(self.event_ms, delta.E)
        self._touch(self.book.apply(delta), received_ms)

    def own_changed(self, places: list[Place], received_ms: int) -> None:
        """The old socket's next delta was applied to the own book."""
        self._touch(places, received_ms)

    def verdict(self, now_ms: int) -> Verdict:
        """What to do when the old socket is gone; `now_ms` is of the clock of receipt."""
        for place in self._differs:
            self._judge(place, now_ms)
        return Verdict(bool(self._differs), self._is_loss)

    def delta(self, event_ms: int) -> DepthUpdate:
        """The new socket's levels where the books differ; a removed one has its zero."""
        sides: dict[str, list[Level]] = {"b": [], "a": []}
        for place in sorted(self._differs):
            removed = (self._own.level(place) or place[1:])[0], "0"
            sides[place[0]].append(self.book.level(place) or removed)
        stated = self._statement
        return DepthUpdate(event_ms, stated.s, 0, 0, sides["b"], sides["a"], stated.x)

    def _touch(self, places: list[Place], received_ms: int) -> None:
        for place in places:
            if place in self._differs:
                self._judge(place, received_ms)
            self._touched_ms[place] = received_ms
            if self._own.differs_at(self.book, place):
                self._differs.add(place)
            else:
                self._differs.discard(place)

    def _judge(self, place: Place, now_ms: int) -> None:
        self._is_loss = self._is_loss or now_ms - self._touched_ms[place] > LAG_MS
