"""One action from beginning to end: what the gateway is asked and which items change.

action or late item ─► management API, connections table ─► Outcome
"""

from collections.abc import Callable

from container_worker.keep.connection import (
    Action,
    Announce,
    Ask,
    Close,
    Connection,
    Forget,
    Outcome,
    Pong,
)
from container_worker.keep.connections import Connections
from container_worker.keep.decisions import YOUNG_MS
from container_worker.keep.late import Late, LateItems, texts
from container_worker.keep.management import Management
from container_worker.keep.newest import Newest
from marketdata import client_protocol
from marketdata.errors import DecodeError, StoreError
from marketdata.server_messages import Reconnect
from marketdata.times import iso_ms

REASON = "the connection is near the end of its time: connect again and resume"


class Deeds:
    """What the keeper can do; every method may be called from several threads.

    Args:
        connections: The table of connections; `late` its late items.
        management: The gateway.
        newest: What is posted to late subscribers.
        clock_ms: UTC milliseconds.
    """

    def __init__(
        self,
        *,
        connections: Connections,
        late: LateItems,
        management: Management,
        newest: Newest,
        clock_ms: Callable[[], int],
    ) -> None:
        self._connections = connections
        self._late = late
        self._management = management
        self._newest = newest
        self._clock_ms = clock_ms

    def do(self, action: Action) -> Outcome:
        """Does an action; a failure of the table is FAILED."""
        one = action.connection
        try:
            match action:
                case Pong():
                    text = client_protocol.pong(self._clock_ms())
                    return self._management.post(one.stage, one.id, text)
                case Ask():
                    return self._management.ask(one.stage, one.id)
                case Announce(_, deadline_ms):
                    return self._announce(one, deadline_ms)
                case Close():
                    return self._close(action)
                case Forget():
                    self._connections.forget(one)
                    return Outcome.DONE
        except StoreError:
            return Outcome.FAILED

    def deliver(self, late: Late) -> Outcome:
        """Posts a late subscriber's newest value; NOT_TRIED while none is known.

        The item goes when all was taken, and when nobody waits for it any more.
        """
        try:
            owed = texts(late, self._connections, self._newest)
            if owed is None:
                self._late.delete(late)
                return Outcome.CHANGED
            outcome = Outcome.NOT_TRIED
            for text in owed:
                outcome = self._management.post(late.stage, late.connection_id, text)
                if outcome is not Outcome.DONE:
                    break
            if outcome is Outcome.DONE:
                self._late.delete(late)
            elif outcome is Outcome.GONE:
                self._take_leave(late)
        except (StoreError, DecodeError):
            return Outcome.FAILED
        return outcome

    def _take_leave(self, late: Late) -> None:
        """A 410: an older connection is forgotten, a young one waits (rule 23)."""
        found = self._connections.get(Connection(late.connection_id, late.stage, 0))
        if found is None:
            self._late.delete(late)
        elif self._clock_ms() - found.connected_ms >= YOUNG_MS:
            self._connections.forget(found)

    def _announce(self, one: Connection, deadline_ms: int) -> Outcome:
        """Tells a client once, whatever keepers there are: who claims it posts it."""
        if not self._connections.claim_notice(one):
            return Outcome.CHANGED
        notice = Reconnect(REASON, iso_ms(deadline_ms), iso_ms(self._clock_ms()))
        outcome = self._management.post(one.stage, one.id, client_protocol.encode(notice))
        if outcome not in (Outcome.DONE, Outcome.GONE):
            self._connections.give_notice_back(one)
        return outcome

    def _close(self, action: Close) -> Outcome:
        """Looks once more, since the sweep's reading may be a moment old."""
        one = action.connection
        now = self._connections.get(one)
        if now is None or not action.stands(now, self._clock_ms()):
            return Outcome.CHANGED
        return self._management.close(one.stage, one.id)
