"""Units whose messages state the whole book anew: `ws_depth` of an exchange with ids.

Their ids show no hole, so that a gap says times only (docs/mapping.md).
"""

from typing import TYPE_CHECKING

from container_worker.capture.emissions import Emissions, Write
from container_worker.capture.unit_sync import UnnumberedSync
from container_worker.exchanges.outcomes import BookState

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown


class SnapshotSync(UnnumberedSync):
    """Publishes every newer book; an outage is an open gap until the next one."""

    def __init__(self, exchange: str, ticker: str, last: "LastKnown | None" = None) -> None:
        super().__init__(exchange, ticker, last)
        self._last: int | None = None

    def take(self, event: BookState, _received_ms: int) -> Emissions:
        """Drops what is not newer: the id must not go back (protocols 1.6)."""
        book = event.message
        if self._last is not None and book.u <= self._last:
            self.repeats += 1
            return []
        self._last = book.u
        self.clock = event.clock
        out = self._close(book.E)
        self.event_ms = max(self.event_ms, book.E)
        out.append(Write(book, book.u))
        return [] if self.muted else out
