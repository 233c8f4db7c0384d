"""Connections that hold a batch up: left out, or tried briefly, for a while.

One that did not take a post in time is left out: each batch would wait three seconds for it,
and all others with it. One that was throttled twice, as its buffer is full, still has its turn
in each batch, but no second try, which the batch would have to wait for.
Kept in memory only: another function, or a cold one, finds out for itself.
"""

from collections.abc import Iterable
from typing import NamedTuple

from functions.gateway import POST_LIMIT_S

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
        self._full: dict[str, _Pause] = {}

    def split(
        self, connection_ids: Iterable[str], now_s: float
    ) -> tuple[set[str], dict[str, float]]:
        """Those to leave out now, and the limit in seconds of those that are on probation.

        A throttled one on probation has the usual limit.
        """
        ids = set(connection_ids)
        known = self._pauses.keys() & ids
        paused = {one for one in known if self._pauses[one].until_s > now_s}
        full = {one for one in self._full.keys() & ids if self._full[one].until_s > now_s}
        limits_s = dict.fromkeys(full - known, POST_LIMIT_S)
        return paused, limits_s | dict.fromkeys(known - paused, PROBE_LIMIT_S)

    def timed_out(self, connection_id: str, now_s: float) -> None:
        """Leave it out from now on, each time twice as long, a minute at most."""
        _lengthen(self._pauses, connection_id, now_s, self._pauses.get(connection_id))

    def throttled(self, connection_id: str, now_s: float) -> None:
        """Give it no second try for a while; twice as long when that was over not long ago."""
        self.answered(connection_id)
        before = self._full.get(connection_id)
        if before is None or before.until_s <= now_s:
            # A reader that takes a message now and then is full again soon: the posts that it
            # takes in between do not clear it.
            is_old = before is not None and before.until_s + before.length_s <= now_s
            _lengthen(self._full, connection_id, now_s, None if is_old else before)

    def answered(self, connection_id: str) -> None:
        """It took the time that it may: it is not left out any more."""
        self._pauses.pop(connection_id, None)


def _lengthen(
    pauses: dict[str, _Pause], connection_id: str, now_s: float, before: _Pause | None
) -> None:
    length_s = min(MAX_PAUSE_S, before.length_s * 2) if before else FIRST_PAUSE_S
    pauses.pop(connection_id, None)
    pauses[connection_id] = _Pause(now_s + length_s, length_s)
    while len(pauses) > MAX_REMEMBERED:
        del pauses[next(iter(pauses))]
