"""What the keeper reads of a connection, and what it may do about one. Pure.

item META ─► Connection ─► decisions ─► Action
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple


class Connection(NamedTuple):
    """A connection as its item says; `last_in_ms` is 0 where no message was noted.

    `resume`: it wants to be told before its end; `told`: it has been.
    """

    id: str
    stage: str
    connected_ms: int
    key_id: str = ""
    last_in_ms: int = 0
    names: tuple[str, ...] = ()
    registered: bool = False
    registering_until_ms: int = 0
    resume: bool = False
    told: bool = False


class Reason(Enum):
    """Why a connection is closed."""

    UNREGISTERED = "unregistered"
    IDLE = "idle"
    REVOKED = "revoked"


class Pong(NamedTuple):
    """The automatic heartbeat is to be sent."""

    connection: Connection


class Ask(NamedTuple):
    """The gateway is to be asked whether the connection lives (rule 26)."""

    connection: Connection


class Announce(NamedTuple):
    """The client is to be told that its connection ends at `deadline_ms`."""

    connection: Connection
    deadline_ms: int


class Close(NamedTuple):
    """The connection is to be closed, unless it changed since it was read."""

    connection: Connection
    reason: Reason

    def stands(self, now: Connection, now_ms: int) -> bool:
        """Whether the reason still holds at `now_ms` for what the item says now."""
        read = self.connection
        if self.reason is Reason.UNREGISTERED:
            is_registering = now.registering_until_ms > now_ms
            is_heard = now.last_in_ms != read.last_in_ms  # the next sweep decides
            return not (now.registered or is_registering or is_heard)
        if self.reason is Reason.IDLE:
            return (now.last_in_ms, now.names) == (read.last_in_ms, read.names)
        return True


class Forget(NamedTuple):
    """The connection is gone: its items are to be deleted."""

    connection: Connection


Action = Pong | Ask | Announce | Close | Forget


class Outcome(Enum):
    """What became of an action."""

    DONE = "done"
    CHANGED = "changed"
    GONE = "gone"
    THROTTLED = "throttled"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    NOT_TRIED = "not_tried"


def read_connection(stage: str, connection_id: str, item: Mapping[str, Any]) -> Connection:
    """The connection in an item of DynamoDB's form (marketdata/connection_items.py).

    An item that does not say when it was connected counts as very old: nobody needs it.
    """
    return Connection(
        id=connection_id,
        stage=stage,
        connected_ms=int(item.get("connected_ms", {}).get("N", "0")),
        key_id=item.get("key_id", {}).get("S", ""),
        last_in_ms=int(item.get("last_in_ms", {}).get("N", "0")),
        names=tuple(sorted(item.get("symbols", {}).get("M", {}))),
        registered=item.get("registered", {}).get("BOOL", False),
        registering_until_ms=int(item.get("register_until_ms", {}).get("N", "0")),
        resume=item.get("resume", {}).get("BOOL", False),
        told=item.get("told", {}).get("BOOL", False),
    )
