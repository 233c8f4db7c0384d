"""What a client has subscribed to, and how far it has come: what a new connection must be told.

    confirmed(request) ─► Wishes ─ requests() ─► the messages that restore it all
    updates ─► Progress ─ cursors() ─► `from`

A wish is kept a name and channel, so that whatever the order of subscribes and unsubscribes,
what is restored is what the server last confirmed.
"""

from collections.abc import Iterable, Sequence

import msgspec

from marketdata.client_messages import (
    MAX_CURSORS,
    Channel,
    ClientMessage,
    Filters,
    Register,
    Subscribe,
    Unsubscribe,
)
from marketdata.errors import DecodeError
from marketdata.ring_items import Cursor, Source, parse_cursor
from tapedeck.client_messages import Update

_DEFAULT = Subscribe(symbols=("",))


class Wishes:
    """The subscriptions and the registration that the server has confirmed."""

    def __init__(self) -> None:
        self._wished: dict[tuple[Channel, str], Subscribe] = {}
        self._filters: Filters | None = None

    def confirmed(self, message: ClientMessage) -> None:
        """Take over a message that the server has answered."""
        match message:
            case Subscribe():
                for channel in message.channels:
                    for name in message.names:
                        self._wished[channel, name] = message
            case Unsubscribe():
                self._forget(message)
            case Register():
                self._filters = message.filters
            case _:
                pass

    def requests(self, cursors: Sequence[str], *, resume: bool) -> list[ClientMessage]:
        """The messages that make a new connection what the last one was."""
        more = {"resume": resume, "from_": tuple(cursors) if resume and cursors else None}
        found: list[ClientMessage] = []
        if self._filters is not None:
            found.append(Register(self._filters, **more))  # type: ignore[arg-type]
        for (channel, rate, interval), names in self._groups().items():
            found.append(
                Subscribe(tuple(names), (channel,), rate, interval, **more)  # type: ignore[arg-type]
            )
        return found

    def _groups(self) -> dict[tuple[Channel, str, str], list[str]]:
        groups: dict[tuple[Channel, str, str], list[str]] = {}
        for (channel, name), wish in self._wished.items():
            rate = wish.rate if channel == "prices" else _DEFAULT.rate
            interval = wish.interval if channel == "candles" else _DEFAULT.interval
            groups.setdefault((channel, rate, interval), []).append(name)
        return groups

    def _forget(self, message: Unsubscribe) -> None:
        names, channels = message.names, message.channels
        for channel, name in list(self._wished):
            if (names is None or name in names) and (channels is None or channel in channels):
                del self._wished[channel, name]


class Progress:
    """The newest cursor of each source, and which updates have been seen already.

    A second copy (two connections for a moment, or a batch that the server delivered again) has
    a cursor that is not above the last one of the same name, and is told apart by it.
    """

    def __init__(self) -> None:
        self._newest: dict[Source, Cursor] = {}
        self._seen: dict[tuple[str, str, Source, str], int] = {}

    def cursors(self) -> list[str]:
        """For `from`: the place of the last update of each source."""
        return [str(one) for one in self._newest.values()][-MAX_CURSORS:]

    def begin(self, cursors: Iterable[str]) -> None:
        """Take over the HEAD vector of a confirmation, for sources not known yet."""
        for cursor in filter(None, map(_cursor, cursors)):
            self._newest.setdefault(cursor.source, cursor)

    def restart(self, cursors: Iterable[str]) -> None:
        """Forget every place: the server could not go on from there."""
        self._newest.clear()
        self._seen.clear()
        self.begin(cursors)

    def is_new(self, update: Update) -> bool:
        """Whether an update has not been seen; remembers its place."""
        cursor = _cursor(update.cursor)
        if cursor is None:
            return True
        kind = str(msgspec.structs.asdict(update).get("interval", ""))
        name = str(getattr(update, "symbol", ""))
        key = (f"{type(update).__name__}{kind}", name, cursor.source, cursor.topic_id)
        if cursor.offset <= self._seen.get(key, -1):
            return False
        self._seen[key] = cursor.offset
        last = self._newest.get(cursor.source)
        if last is None or last.topic_id != cursor.topic_id or last.offset < cursor.offset:
            self._newest[cursor.source] = cursor
        return True


def _cursor(text: str) -> Cursor | None:
    try:
        return parse_cursor(text)
    except DecodeError:
        return None
