"""Connections that hold a batch up: left out, or tried briefly, for a while.

One that did not take a post in time is left out: each batch would wait three seconds for it,
and all others with it. One that was throttled twice, as its buffer is full, still has its turn
in each batch, but no second try, which the batch would have to wait for.
When everybody timed out, it may be the management API that hangs: then they are not left out at
once, and the delivery may come again for them, for `STALL_LIMIT_S`. After that they are slow
like any other, and what they miss is lost to them: so long, and once, may clients that are all
dead hold up what comes after them.
Kept in memory only: another function, or a cold one, finds out for itself.
"""

import threading
from collections.abc import Collection, Iterable
from typing import NamedTuple

from functions.gateway import POST_LIMIT_S

FIRST_PAUSE_S = 2.0
MAX_PAUSE_S = 60.0
PROBE_LIMIT_S = 0.25
STALL_LIMIT_S = 15.0
MAX_REMEMBERED = 10_000


class _Pause(NamedTuple):
    until_s: float
    length_s: float


class SlowConnections:
    """Which connections to leave out; times are of a monotonic clock.

    Its methods may be called from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pauses: dict[str, _Pause] = {}
        self._full: dict[str, _Pause] = {}
        self._stalled: dict[str, float] = {}

    def split(
        self, connection_ids: Iterable[str], now_s: float
    ) -> tuple[set[str], dict[str, float]]:
        """Those to leave out now, and the limit in seconds of those that are on probation.

        A throttled one on probation has the usual limit.
        """
        ids = set(connection_ids)
        with self._lock:
            known = self._pauses.keys() & ids
            paused = {one for one in known if self._pauses[one].until_s > now_s}
            full = {one for one in self._full.keys() & ids if self._full[one].until_s > now_s}
        limits_s = dict.fromkeys(full - known, POST_LIMIT_S)
        return paused, limits_s | dict.fromkeys(known - paused, PROBE_LIMIT_S)

    def stalled(
        self, connection_ids: Collection[str], since_s: float, now_s: float
    ) -> set[str]:
        """Of those that timed out together, whose time-out may be the management API's.

        `since_s` is when their posts began. It is no longer that of one which has timed out
        alone, or for too long, until it answers again.
        """
        with self._lock:
            fresh = [one for one in connection_ids if one not in self._pauses]
            begun_s = {one: self._stalled.setdefault(one, since_s) for one in fresh}
            _bound(self._stalled)
        return {one for one, at_s in begun_s.items() if now_s - at_s < STALL_LIMIT_S}

    def timed_out(self, connection_id: str, now_s: float) -> None:
        """Leave it out from now on, each time twice as long, a minute at most."""
        with self._lock:
            self._stalled.pop(connection_id, None)
            before = self._pauses.get(connection_id)
            _lengthen(self._pauses, connection_id, now_s, before)

    def throttled(self, connection_id: str, now_s: float) -> None:
        """Give it no second try for a while; twice as long when that was over not long ago."""
        self.answered(connection_id)
        with self._lock:
            before = self._full.get(connection_id)
            if before is None or before.until_s <= now_s:
                # A reader that takes a message now and then is full again soon: the posts that
                # it takes in between do not clear it.
                is_old = before is not None and before.until_s + before.length_s <= now_s
                _lengthen(self._full, connection_id, now_s, None if is_old else before)

    def answered(self, connection_id: str) -> None:
        """It took the time that it may: it is not left out any more."""
        with self._lock:
            self._pauses.pop(connection_id, None)
            self._stalled.pop(connection_id, None)


def _lengthen(
    pauses: dict[str, _Pause], connection_id: str, now_s: float, before: _Pause | None
) -> None:
    length_s = min(MAX_PAUSE_S, before.length_s * 2) if before else FIRST_PAUSE_S
    pauses.pop(connection_id, None)
    pauses[connection_id] = _Pause(now_s + length_s, length_s)
    _bound(pauses)


def _bound(remembered: dict[str, _Pause] | dict[str, float]) -> None:
    while len(remembered) > MAX_REMEMBERED:
        del remembered[next(iter(remembered))]
