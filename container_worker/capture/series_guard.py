"""Does the exchange count a ticker's statements anew? Pure.

a later statement under a lower number ─► in doubt ─► a second one agrees ─► a new series
"""

from collections.abc import Sequence

from container_worker.exchanges.outcomes import BookState


class SeriesGuard:
    """Judges the numbers below the last one of a book that is stated side by side.

    One alone proves nothing: a socket begins with statements that were made before, and they
    may bear the time of sending. Of the old series one of a socket's first two has the last
    number or a higher one; two that have not are a new one.
    """

    def __init__(self) -> None:
        self.doubted: BookState | None = None
        self._goes_on = False
        self._told: set[str | None] = set()

    def disrupted(self) -> None:
        """What comes next may be said again by another socket."""
        self._goes_on = False
        self._told = set()

    def went_on(self, event: BookState) -> None:
        """This number is of the series that is known."""
        self.doubted = None
        self._goes_on = True
        self._told.add(event.message.side)

    def judge(self, event: BookState) -> Sequence[BookState]:
        """Takes a later statement under a lower number that nothing else explains.

        Returns those that begin a new series, by number; none while that is in doubt.
        """
        side, before = event.message.side, self.doubted
        is_first = side not in self._told
        self._told.add(side)
        if self._goes_on and is_first:
            return ()
        self.doubted = event
        if before is None or not _agree(before, event):
            return ()
        self.doubted = None
        return sorted((before, event), key=lambda one: one.message.u)


def _agree(before: BookState, now: BookState) -> bool:
    """Whether two are no more than one said twice, or out of order."""
    if before.message.side != now.message.side:
        return before.message.u != now.message.u
    return now.message.u > before.message.u
