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
    """Shared by all writers: whether the store is away, told once.

    A try that began before the outage does not end it, and one that began before its end does
    not begin another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._ended = 0.0

    def begins(self, error: StoreError, tried_since: float) -> None:
        """A writer was not served."""
        with self._lock:
            if self._since is not None or tried_since < self._ended:
                return
            self._since = time.monotonic()
        log.event(
            "archive.store_unavailable",
            level="warning",
            detail=f"{error}; trying again until it answers, nothing is lost",
        )

    def ends(self, tried_since: float) -> None:
        """A writer was served."""
        with self._lock:
            if self._since is None or tried_since < self._since:
                return
            seconds = time.monotonic() - self._since
            self._since, self._ended = None, time.monotonic()
        log.event("archive.store_back", seconds=round(seconds, 1))


class Patience:
    """The waiting of one job: longer each time, until `given_up` is set."""

    def __init__(self, outage: Outage, given_up: threading.Event) -> None:
        self._outage = outage
        self._given_up = given_up
        self._wait_s = FIRST_WAIT_S
        self._tried_since = 0.0

    def tries(self) -> bool:
        """Whether somebody still wants the result; if so, a try begins now."""
        self._tried_since = time.monotonic()
        return not self._given_up.is_set()

    def wait(self, error: StoreError) -> None:
        """Waits before another try; a refused condition is no outage, and waits too."""
        if isinstance(error, StoreUnavailable):
            self._outage.begins(error, self._tried_since)
        self._given_up.wait(self._wait_s)
        self._wait_s = min(LONGEST_WAIT_S, self._wait_s * 2)

    def succeeded(self) -> None:
        """The store answered as it should."""
        self._outage.ends(self._tried_since)
        self._wait_s = FIRST_WAIT_S
