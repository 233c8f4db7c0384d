"""Subscribe and unsubscribe, safe when messages of one connection run at the same time.

subscribe:   reserve on META ─► post `subscribed` ─► serve, if the reservation still stands
unsubscribe: end reservation and subscription in one transaction ─► answer `unsubscribed`

So `subscribed` always comes before the first update, and whatever dies in between leaves a
reservation that a repeated subscribe puts right. A reservation carries the token of the
subscribe that made it: one that was overtaken by an unsubscribe, a disconnect or a newer
subscribe finds another token and serves nothing (rules 20, 25).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.gateway import Outcome
from functions.logic.attempts import attempts
from marketdata import client_protocol
from marketdata.client_protocol import INTERNAL, UNKNOWN_SYMBOL, Subscribe, Unsubscribe
from marketdata.errors import GatewayUnavailable, StoreUnavailable
from marketdata.subscriptions import Reservations, refuse_too_many, release, reserve

if TYPE_CHECKING:
    from functions.connections import Connection, ConnectionsTable
    from functions.instruments import InstrumentsTable

Post = Callable[[str, bytes], Outcome]


@dataclass(frozen=True, slots=True)
class Reserved:
    """What one subscribe has reserved, and what was there before it."""

    connection: "Connection"
    names: tuple[str, ...]
    token: int
    before: Reservations


@dataclass(frozen=True, slots=True)
class Subscribing:
    """Makes subscriptions."""

    connections: "ConnectionsTable"
    instruments: "InstrumentsTable"
    post: Post

    def subscribe(self, connection_id: str, message: Subscribe, now_ms: int) -> None:
        """Subscribe to all names of the message or to none; posts `subscribed` itself.

        Raises:
            ClientError: SUBSCRIPTION_LIMIT, UNKNOWN_SYMBOL, or INTERNAL for a connection that
                is not known (any more).
            StoreError: DynamoDB failed.
            GatewayUnavailable: the confirmation could not be sent; nothing has changed.
        """
        names = message.names
        refuse_too_many(names)
        self._refuse_unknown(names)
        reserved = self._reserve(connection_id, names)
        outcome = self.post(connection_id, client_protocol.subscribed(names, now_ms))
        if outcome is Outcome.SENT:
            self._serve(reserved)
            return
        self._give_back(reserved)
        if outcome is not Outcome.GONE:
            raise GatewayUnavailable(f"a confirmation was answered with {outcome.value}")

    def _refuse_unknown(self, names: Sequence[str]) -> None:
        unknown = self.instruments.unknown(names)
        if not unknown:
            return
        raised = {name.upper(): name for name in unknown if name != name.upper()}
        missing = set(self.instruments.unknown(list(raised)))
        meant = [
            f"{upper} for {name}" for upper, name in raised.items() if upper not in missing
        ]
        hint = f"; names are case sensitive, try {', '.join(meant)}" if meant else ""
        raise client_protocol.client_error(
            UNKNOWN_SYMBOL, f"not a symbol or ticker here: {', '.join(unknown)}{hint}", unknown
        )

    def _reserve(self, connection_id: str, names: tuple[str, ...]) -> Reserved:
        for _ in attempts():
            connection = self.connections.get(connection_id)
            if connection is None:
                raise client_protocol.client_error(
                    INTERNAL, "this connection is not known any more: connect again"
                )
            token = connection.rev + 1
            wanted = reserve(connection.names, names, token)
            if self.connections.reserve(connection, wanted):
                return Reserved(connection, names, token, connection.names)
        raise _contended()

    def _serve(self, reserved: Reserved) -> None:
        names: Sequence[str] = reserved.names
        for _ in attempts():
            if self.connections.serve(reserved.connection, names, reserved.token):
                return
            names = self._still_mine(reserved)
            if not names:
                return
        raise _contended()

    def _still_mine(self, reserved: Reserved) -> list[str]:
        current = self.connections.get(reserved.connection.id)
        if current is None:
            return []
        return [name for name in reserved.names if current.names.get(name) == reserved.token]

    def _give_back(self, reserved: Reserved) -> None:
        for _ in attempts():
            current = self.connections.get(reserved.connection.id)
            mine = current and [
                name
                for name, token in current.names.items()
                if token == reserved.token and name not in reserved.before
            ]
            if not current or not mine:
                return
            if self.connections.release(current, release(current.names, mine), mine):
                return


def end_subscriptions(
    connections: "ConnectionsTable", connection_id: str, message: Unsubscribe, now_ms: int
) -> bytes:
    """End the subscriptions to the message's names, or all; returns `unsubscribed`.

    A name that is not subscribed is confirmed like the others.

    Raises:
        StoreError: DynamoDB failed.
    """
    names = message.names
    for _ in attempts():
        connection = connections.get(connection_id)
        current = connection.names if connection else {}
        remaining = release(current, names)
        ended = sorted(current.keys() - remaining.keys())
        if not connection or not ended or connections.release(connection, remaining, ended):
            return client_protocol.unsubscribed(names or ended, now_ms)
    raise _contended()


def _contended() -> StoreUnavailable:
    return StoreUnavailable("the connection changed too often meanwhile")
