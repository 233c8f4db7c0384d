"""The limit of a client's messages (protocols 3.2)."""

from collections import deque

MINUTE_S = 60.0


class Throttle:
    """At most so many messages in any minute; after one too many none counts for `pause_s`."""

    def __init__(self, most: int, pause_s: float) -> None:
        self._times: deque[float] = deque(maxlen=most)
        self._pause_s = pause_s
        self._ends_s: float | None = None

    def ignores(self, now_s: float) -> bool:
        """Whether nothing is answered now."""
        if self._ends_s is not None and now_s >= self._ends_s:
            self._ends_s = None
            self._times.clear()
        return self._ends_s is not None

    def begins(self, now_s: float) -> bool:
        """Count a message; whether it is the one too many."""
        full = len(self._times) == self._times.maxlen
        if full and now_s - self._times[0] < MINUTE_S:
            self._ends_s = now_s + self._pause_s
            return True
        self._times.append(now_s)
        return False
