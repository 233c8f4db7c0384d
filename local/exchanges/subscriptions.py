"""Who wants which stream."""

import asyncio
from collections.abc import Callable, Mapping

from local.exchanges.connection import Connection


class Subscriptions:
    """The streams of every connection, and the connections of every stream.

    `known` tells whether the server has a stream; `listened` is set while somebody is
    subscribed to one of those.
    """

    def __init__(self, known: Callable[[str], bool]) -> None:
        self.listened = asyncio.Event()
        self._known = known
        self._subscribers: dict[str, dict[int, Connection]] = {}
        self._streams: dict[int, frozenset[str]] = {}
        self._known_subscriptions = 0
        self._newly_wanted: set[str] = set()

    def put(self, connection: Connection, streams: frozenset[str]) -> None:
        """From now on the connection wants these streams and no others."""
        before = self._streams.get(connection.number, frozenset())
        for stream in before - streams:
            subscribers = self._subscribers[stream]
            del subscribers[connection.number]
            if not subscribers:
                del self._subscribers[stream]
        for stream in streams - before:
            if stream not in self._subscribers and self._known(stream):
                self._newly_wanted.add(stream)
            self._subscribers.setdefault(stream, {})[connection.number] = connection
        self._streams[connection.number] = streams
        self._known_subscriptions += sum(map(self._known, streams))
        self._known_subscriptions -= sum(map(self._known, before))
        if self._known_subscriptions:
            self.listened.set()
        else:
            self.listened.clear()

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self.put(connection, frozenset())
        del self._streams[connection.number]

    def take_newly_wanted(self) -> set[str]:
        """The known streams that nobody had and somebody has, since the last call."""
        streams, self._newly_wanted = self._newly_wanted, set()
        return streams

    def of(self, stream: str) -> Mapping[int, Connection]:
        """The connections that want a stream, by their numbers."""
        return self._subscribers.get(stream, {})
