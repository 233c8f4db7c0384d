"""What one exchange bears from this address, and what it said of that: one for all who ask.

| refused with | the same side: requests, or connections | the other side |
| --- | --- | --- |
| 418, 451: the address | waits | waits |
| 429, 5xx with Retry-After: what was asked | waits | goes on |
| anything else | goes on; who asked tries again (retry.py) | goes on |
"""

import threading

from container_worker.capture.weight_budget import WeightBudget
from container_worker.exchanges.adapter import Limits
from marketdata.errors import ExchangeUnavailable, RateLimited, RestrictedLocation


class Budgets:
    """Requests by weight and connections, thread-safe; seconds are monotonic.

    `restricted_s` is how long nothing is tried after 451.
    """

    def __init__(self, limits: Limits, restricted_s: float) -> None:
        self._lock = threading.Lock()
        self._requests = WeightBudget(limits.weight_per_minute, limits.weight_burst)
        self._connects = WeightBudget(limits.connects_per_minute)
        self._restricted_s = restricted_s

    def request_wait_s(self, weight: int, now_s: float) -> float:
        """How long a request of this weight must wait; at 0 it is spent."""
        with self._lock:
            return self._requests.wait_s(weight, now_s)

    def connect_wait_s(self, now_s: float) -> float:
        """How long a connection must wait; at 0 it is spent."""
        with self._lock:
            return self._connects.wait_s(1, now_s)

    def observe(self, used: int, now_s: float) -> None:
        """The exchange's own count of the requests' weight in the running minute."""
        with self._lock:
            self._requests.observe(used, now_s)

    def request_refused(self, error: Exception, now_s: float) -> None:
        """A request was answered with this."""
        self._close(error, now_s, self._requests, self._connects)

    def connect_refused(self, error: Exception, now_s: float) -> None:
        """A connection did not come about, or ended, for this reason."""
        self._close(error, now_s, self._connects, self._requests)

    def _close(
        self, error: Exception, now_s: float, asked: WeightBudget, other: WeightBudget
    ) -> None:
        pause_s = 0.0
        if isinstance(error, RestrictedLocation):
            pause_s = self._restricted_s
        elif isinstance(error, RateLimited | ExchangeUnavailable):
            pause_s = error.retry_after_s
        if not pause_s:
            return
        is_address = isinstance(error, RestrictedLocation) or (
            isinstance(error, RateLimited) and error.is_ban
        )
        with self._lock:
            asked.close(pause_s, now_s)
            if is_address:
                other.close(pause_s, now_s)
