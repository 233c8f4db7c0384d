"""Connections that did not take a post in time: left out for a while, then tried briefly.

Without it a dead client would cost every batch its three seconds, and all others with it.
Kept in memory only: another function, or a cold one, finds out for itself.
"""

from collections.abc import Iterable
from typing import NamedTuple

FIRST_PAUSE_S = 2.0
MAX_PAUSE_S = 60.0
PROBE_LIMIT_S = 0.25
MAX_REMEMBERED = 10_000


class _Pause(NamedTuple):
    until_s: float
    length_s: float


class SlowConnections:
    """Which connections to leave out; times are of a monotonic clock."""

    def __init__(self) -> None:
        self._pauses: dict[str, _Pause] = {}

    def split(
        self, connection_ids: Iterable[str], now_s: float
    ) -> tuple[set[str], dict[str, float]]:
        """Those to leave out now, and the limit in seconds of those that are on probation."""
        known = {one: self._pauses[one] for one in connection_ids if one in self._pauses}
        paused = {one for one, pause in known.items() if pause.until_s > now_s}
        return paused, dict.fromkeys(known.keys() - paused, PROBE_LIMIT_S)

    def timed_out(self, connection_id: str, now_s: float) -> None:
        """Leave it out from now on, each time twice as long, a minute at most."""
        before = self._pauses.pop(connection_id, None)
        length_s = min(MAX_PAUSE_S, before.length_s * 2) if before else FIRST_PAUSE_S
        self._pauses[connection_id] = _Pause(now_s + length_s, length_s)
        while len(self._pauses) > MAX_REMEMBERED:
            del self._pauses[next(iter(self._pauses))]

    def answered(self, connection_id: str) -> None:
        """Treat it like any other again."""
        self._pauses.pop(connection_id, None)
