"""How long and how loudly the archive waits for a store that does not answer.

One line in the log when an outage begins and one when it ends, whatever the number of writers.
"""

import threading
import time

from container_worker import log
from marketdata.errors import StoreError, StoreUnavailable

FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 5.0


class Outage:
    """Shared by all writers: whether the store is away, told once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None

    def begins(self, error: StoreError) -> None:
        """A writer was not served."""
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic()
        log.event(
            "archive.store_unavailable",
            level="warning",
            detail=f"{error}; trying again until it answers, nothing is lost",
        )

    def ends(self) -> None:
        """A writer was served."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.event("archive.store_back", seconds=round(time.monotonic() - since, 1))


class Patience:
    """The waiting of one job: longer each time, until `given_up` is set."""

    def __init__(self, outage: Outage, given_up: threading.Event) -> None:
        self._outage = outage
        self._given_up = given_up
        self._wait_s = FIRST_WAIT_S

    @property
    def over(self) -> bool:
        """Whether nobody wants the result any more."""
        return self._given_up.is_set()

    def wait(self, error: StoreError) -> None:
        """Waits before another try; a refused condition is no outage, and waits too."""
        if isinstance(error, StoreUnavailable):
            self._outage.begins(error)
        self._given_up.wait(self._wait_s)
        self._wait_s = min(LONGEST_WAIT_S, self._wait_s * 2)

    def succeeded(self) -> None:
        """The store answered as it should."""
        self._outage.ends()
        self._wait_s = FIRST_WAIT_S
