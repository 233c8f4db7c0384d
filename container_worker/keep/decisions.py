"""What is to be done about every connection: decided from one sweep, in memory. Pure.

    connections, flows, now ─► Decisions.decide ─► actions ─► outcomes ─► Decisions.done

Time is an argument, in UTC ms. At most one action of a connection is under way at a time.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from container_worker.keep.connection import (
    Action,
    Announce,
    Ask,
    Close,
    Connection,
    Forget,
    Outcome,
    Pong,
    Reason,
)
from container_worker.keep_settings import KeepTimes

STREAM = "stream"
WS = "ws"
YOUNG_MS = 30_000
"""A 410 on a connection younger than this is not a goodbye (rule 23)."""
GOODBYE_MS = 10_000
"""How long a closed connection's own `$disconnect` has before the keeper clears up."""
HEARD_MS = 10_000
"""How long a message that came in time may take to become a registration: the function is
started, and waits for `welcome` before it says that it registers."""
SLOW_BEATS = 4
"""So many heartbeats are left out after one that was not taken in time."""

NONE_REVOKED: Mapping[str, int] = MappingProxyType({})
UNSENT = frozenset({Outcome.NOT_TRIED, Outcome.UNREACHABLE})
"""Outcomes after which a heartbeat has certainly not been sent: the next sweep sends it."""


@dataclass(frozen=True, slots=True)
class Flows:
    """When each name last had a message (UTC ms); `since_ms` is when watching began.

    `since_ms` is None while nobody watches: then nobody can be called idle for want of flow.
    """

    since_ms: int | None
    last_ms: Mapping[str, int]

    def last(self, names: Iterable[str]) -> int | None:
        """The latest time at which one of the names may have flowed; None: not known."""
        if self.since_ms is None:
            return None
        return max(self.since_ms, *(self.last_ms.get(name, 0) for name in names))


@dataclass(slots=True)
class _Kept:
    """What the keeper remembers of a connection between two sweeps."""

    beat: int
    alive_ms: int
    listed_ms: int = 0
    busy: bool = False
    gone: bool = False
    closed_ms: int | None = None
    quiet_until_ms: int = 0


class Decisions:
    """The keeper's memory and its rules; belongs to one thread.

    Args:
        times: The settings.
        from_ms: Up to here an earlier keeper has seen to the heartbeats.
    """

    def __init__(self, times: KeepTimes, from_ms: int) -> None:
        self._pong_ms = round(times.pong_s * 1000)
        self._register_ms = round(times.register_s * 1000)
        self._idle_ms = round(times.idle_s * 1000)
        self._touch_ms = round(times.touch_s * 1000)
        self._life_ms = round(times.life_s * 1000)
        self._whole_ms = round(times.connection_s * 1000)
        self._notice_ms = round(times.reconnect_s * 1000)
        self._from_ms = from_ms
        self._kept: dict[str, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def decide(
        self,
        connections: Iterable[Connection],
        now_ms: int,
        flows: Flows,
        revoked: Mapping[str, int] = NONE_REVOKED,
    ) -> list[Action]:
        """What is due at `now_ms`; tell what became of each action by `done`.

        `revoked` has key ids, each with a time: connections made before it are closed.
        """
        actions: list[Action] = []
        for connection in connections:
            kept = self._kept.get(connection.id) or self._meet(connection, now_ms)
            kept.listed_ms = now_ms
            if kept.busy:
                continue
            action = self._due(connection, kept, now_ms, flows, revoked)
            if action is not None:
                kept.busy = True
                actions.append(action)
        self._drop_unlisted(now_ms)
        return actions

    def done(self, action: Action, outcome: Outcome, now_ms: int) -> None:
        """Takes what became of an action at `now_ms`."""
        kept = self._kept.get(action.connection.id)
        if kept is None:
            return
        kept.busy = False
        if outcome is Outcome.GONE:
            kept.gone = now_ms - action.connection.connected_ms >= YOUNG_MS
        elif outcome is Outcome.DONE and isinstance(action, Close):
            kept.closed_ms = now_ms
        elif outcome is Outcome.DONE and not isinstance(action, Forget):
            kept.alive_ms = now_ms
        elif outcome is Outcome.TIMED_OUT:
            kept.quiet_until_ms = now_ms + SLOW_BEATS * self._pong_ms
        elif isinstance(action, Pong) and outcome in UNSENT:
            kept.beat -= 1
        elif isinstance(action, Ask):
            kept.alive_ms = now_ms - self._life_ms * 5 // 6

    def _meet(self, connection: Connection, now_ms: int) -> _Kept:
        """The memory of a connection that was not seen before by this keeper."""
        kept_to_ms = max(connection.connected_ms, self._from_ms)
        beat = (kept_to_ms - connection.connected_ms) // self._pong_ms
        alive_ms = connection.connected_ms
        if alive_ms < self._from_ms:
            # What another keeper knew is lost: they are asked, but not all at once.
            alive_ms = now_ms - zlib.crc32(connection.id.encode()) % self._life_ms
        return self._kept.setdefault(connection.id, _Kept(beat, alive_ms))

    def _drop_unlisted(self, now_ms: int) -> None:
        """A read may miss one for a moment: who comes back has a new beat due anyway."""
        before_ms = now_ms - self._pong_ms
        self._kept = {
            one: kept
            for one, kept in self._kept.items()
            if kept.busy or kept.listed_ms >= before_ms
        }

    def _due(
        self,
        connection: Connection,
        kept: _Kept,
        now_ms: int,
        flows: Flows,
        revoked: Mapping[str, int],
    ) -> Action | None:
        if kept.closed_ms is not None:
            late = now_ms - kept.closed_ms >= GOODBYE_MS
            return Forget(connection) if late else None
        if kept.gone:
            return Forget(connection)
        reason = self._reason_to_close(connection, now_ms, flows, revoked)
        if reason is not None:
            return Close(connection, reason)
        if connection.resume and not connection.told and kept.quiet_until_ms <= now_ms:
            deadline_ms = connection.connected_ms + self._whole_ms
            if deadline_ms - self._notice_ms <= now_ms < deadline_ms:
                return Announce(connection, deadline_ms)
        if self._takes_beat(connection, kept, now_ms):
            return Pong(connection)
        alive_ms = max(kept.alive_ms, connection.last_in_ms, kept.quiet_until_ms)
        return Ask(connection) if now_ms - alive_ms >= self._life_ms else None

    def _reason_to_close(
        self, connection: Connection, now_ms: int, flows: Flows, revoked: Mapping[str, int]
    ) -> Reason | None:
        if connection.connected_ms < revoked.get(connection.key_id, 0):
            return Reason.REVOKED
        if connection.stage == WS and not connection.registered:
            return Reason.UNREGISTERED if now_ms >= self._deadline_ms(connection) else None
        if connection.stage == STREAM and self._is_idle(connection, now_ms, flows):
            return Reason.IDLE
        return None

    def _deadline_ms(self, connection: Connection) -> int:
        """When a connection is to be registered; a message after its time moves nothing."""
        deadline_ms = connection.connected_ms + self._register_ms
        until_ms = max(deadline_ms, connection.registering_until_ms)
        if connection.last_in_ms > deadline_ms:
            return until_ms
        return max(until_ms, connection.last_in_ms + HEARD_MS)

    def _is_idle(self, connection: Connection, now_ms: int, flows: Flows) -> bool:
        if connection.registered:
            return False  # events come to it, of which nobody here knows
        last_ms = max(connection.connected_ms, connection.last_in_ms) + self._touch_ms
        if connection.names:
            flow_ms = flows.last(connection.names)
            if flow_ms is None:
                return False
            last_ms = max(last_ms, flow_ms)
        return now_ms - last_ms >= self._idle_ms

    def _takes_beat(self, connection: Connection, kept: _Kept, now_ms: int) -> bool:
        """Whether a heartbeat is due; one that is left out counts as taken."""
        beat = (now_ms - connection.connected_ms) // self._pong_ms
        if connection.stage != STREAM or beat <= kept.beat:
            return False
        kept.beat = beat
        return kept.quiet_until_ms <= now_ms
