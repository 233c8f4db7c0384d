"""What one exchange bears from one address, shared by all tickers: a mass resync queues."""

_SHARE = 0.8
"""Of what the exchange allows; the rest is for others at the same address."""


class WeightBudget:
    """A token bucket: `burst` at once (None: a whole minute's), refilled at `per_minute`.

    Pure: the time is an argument. Used for REST weight and for connection attempts alike.
    """

    def __init__(self, per_minute: float, burst: int | None = None) -> None:
        self._rate = per_minute * _SHARE
        self._capacity = self._rate if burst is None else max(1.0, burst * _SHARE)
        self._left = self._capacity
        self._at_s: float | None = None
        self._closed_until_s = 0.0

    def wait_s(self, weight: int, now_s: float) -> float:
        """How long a request of this weight must wait; at 0 it is spent."""
        self._refill(now_s)
        if now_s < self._closed_until_s:
            return self._closed_until_s - now_s
        weight = min(weight, int(self._capacity))
        if self._left >= weight:
            self._left -= weight
            return 0.0
        return (weight - self._left) * 60.0 / self._rate

    def observe(self, used: int, now_s: float) -> None:
        """The exchange's own count of the running minute, where it is higher than ours.

        Whatever it says is over in a minute.
        """
        self._refill(now_s)
        self._left = min(self._left, max(self._capacity - used, -self._rate))

    def close(self, seconds: float, now_s: float) -> None:
        """No request at all for so long: the exchange said so.

        Afterwards one at a time: a burst is what it did not bear.
        """
        self._closed_until_s = max(self._closed_until_s, now_s + seconds)
        self._left, self._at_s = min(self._left, 1.0), self._closed_until_s

    def _refill(self, now_s: float) -> None:
        if self._at_s is None:
            self._at_s = now_s
        elif now_s > self._at_s:
            self._left += (now_s - self._at_s) * self._rate / 60.0
            self._left, self._at_s = min(self._left, self._capacity), now_s
