"""Reservations: what makes subscriptions safe when messages of one connection overtake others.

    reserve on the connection ─► tell the client ─► serve, if the reservation still stands

Whatever dies in between leaves a reservation that a repeated subscribe puts right. It carries
the token of the subscribe that made it: one that was overtaken by an unsubscribe, a disconnect
or a newer subscribe finds another token and serves nothing (rules 20, 25).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from functions.logic.attempts import attempts
from marketdata.client_protocol import INTERNAL, client_error
from marketdata.errors import StoreError, StoreUnavailable
from marketdata.subscriptions import CHANNEL_FEEDS, Want, Wants, reserve

if TYPE_CHECKING:
    from functions.connections import Connection, ConnectionsTable, Item
    from functions.subscriptions import Subscriber, SubscriptionsTable, Terms
    from marketdata.connection_items import Feed

T = TypeVar("T")


@dataclass(slots=True)
class Reserved:
    """What one subscribe has reserved; `connection` is as it was before.

    `wants` loses the names that others have taken over meanwhile. `served` is what the names
    had before; `began`, whether anything was served by this one.
    """

    connection: "Connection"
    token: int
    wants: dict[str, Wants]
    served: "Mapping[tuple[str, Feed], Subscriber]" = field(default_factory=dict)
    began: bool = False


@dataclass(frozen=True, slots=True)
class Reserving:
    """Reserves, serves and gives back."""

    connections: "ConnectionsTable"
    subscriptions: "SubscriptionsTable"

    def reserve(
        self,
        stage: str,
        connection_id: str,
        names: Sequence[str],
        wants_of: Callable[[str, Wants], Wants],
    ) -> Reserved:
        """Reserve all names; `wants_of(name, what it has)` is what is wanted of it from now on.

        Raises:
            ClientError: SUBSCRIPTION_LIMIT, or INTERNAL for a connection that is not known.
            StoreError: DynamoDB failed.
        """
        for _ in attempts():
            before = self.connections.get(stage, connection_id)
            if before is None:
                raise client_error(
                    INTERNAL, "this connection is not known any more: connect again"
                )
            token = before.rev + 1
            tokens = reserve(before.names, names, token)
            wants = {name: wants_of(name, before.wants.get(name, ())) for name in names}
            if self.subscriptions.reserve(before, tokens, {**before.wants, **wants}):
                return self._with_served(Reserved(before, token, wants))
        raise contended()

    def serve(
        self, reserved: Reserved, terms: "Terms", conditions: Iterable["Item"] = ()
    ) -> bool:
        """Serve what is still reserved; False when it, or a condition, changed meanwhile.

        True also when others have taken over every name.
        """
        if not reserved.wants:
            return True
        if self.subscriptions.serve(
            reserved.connection, reserved.wants, reserved.token, terms, conditions
        ):
            reserved.began = True
            return True
        reserved.wants = self._still_mine(reserved)
        return not reserved.wants

    def give_back(self, reserved: Reserved) -> None:
        """Make everything as it was before, where nobody has changed it since."""
        before = reserved.connection
        for _ in attempts():
            current = self.connections.get(before.stage, before.id)
            mine = current and self._still_mine(reserved, current)
            if not current or not mine:
                return
            names, wants = dict(current.names), dict(current.wants)
            for name in mine:
                _restore(names, before.names, name)
                _restore(wants, before.wants, name)
            ended, restored = _undone(reserved, mine)
            if self.subscriptions.release(current, names, wants, ended, restored):
                return

    def end(
        self,
        stage: str,
        connection_id: str,
        names: Collection[str] | None,
        ends: Callable[[Want], bool],
    ) -> list[str]:
        """End what `ends` says of names, or of all for None; returns the names that had some.

        Raises:
            StoreError: DynamoDB failed.
        """
        for _ in attempts():
            current = self.connections.get(stage, connection_id)
            if current is None:
                return []
            left = _left(current, names, ends)
            if not left or self._release(current, left):
                return sorted(left)
        raise contended()

    def _with_served(self, reserved: Reserved) -> Reserved:
        before = reserved.connection
        names = [name for name in reserved.wants if name in before.names]
        try:
            reserved.served = self.subscriptions.served(before, names)
        except StoreError:
            self.give_back(reserved)
            raise
        return reserved

    def _release(self, current: "Connection", left: Mapping[str, Wants]) -> bool:
        wants = {**current.wants, **left}
        gone = {name for name, own in left.items() if not own}
        ended: list[tuple[str, Feed]] = [
            (name, feed)
            for name, own in left.items()
            for feed in CHANNEL_FEEDS
            if not own or all(one.feed != feed for one in own)
        ]
        return self.subscriptions.release(
            current,
            {name: token for name, token in current.names.items() if name not in gone},
            {name: own for name, own in wants.items() if name not in gone},
            ended,
        )

    def _still_mine(
        self, reserved: Reserved, current: "Connection | None" = None
    ) -> dict[str, Wants]:
        before = reserved.connection
        current = current or self.connections.get(before.stage, before.id)
        if current is None:
            return {}
        return {
            name: current.wants[name]
            for name in reserved.wants
            if current.names.get(name) == reserved.token
        }


def contended() -> StoreUnavailable:
    """The error when the attempts were not enough."""
    return StoreUnavailable("the connection changed too often meanwhile")


def _left(
    current: "Connection", names: Collection[str] | None, ends: Callable[[Want], bool]
) -> dict[str, Wants]:
    """What is left of each name that loses something."""
    asked = current.names if names is None else [one for one in names if one in current.names]
    left = {
        name: tuple(want for want in current.wants.get(name, ()) if not ends(want))
        for name in asked
    }
    return {
        name: own for name, own in left.items() if own != current.wants.get(name) or not own
    }


def _undone(
    reserved: Reserved, mine: Collection[str]
) -> "tuple[list[tuple[str, Feed]], Mapping[tuple[str, Feed], Subscriber]]":
    """What of the names is to end, and what to be served as before; nothing if none began."""
    if not reserved.began:
        return [], {}
    before = {at: one for at, one in reserved.served.items() if at[0] in mine}
    every = ((name, feed) for name in mine for feed in CHANNEL_FEEDS)
    return [at for at in every if at not in before], before


def _restore(current: dict[str, T], before: Mapping[str, T], name: str) -> None:
    if name in before:
        current[name] = before[name]
    else:
        del current[name]
