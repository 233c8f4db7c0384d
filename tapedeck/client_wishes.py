"""What a client has subscribed to, and how far it has come: what a new connection must be told.

    confirmed(request) ─► Wishes ─ requests() ─► the messages that restore it all ─► restored
    updates ─ takes ─► places ─► their `from`

A wish is kept a name and channel, so that whatever the order of subscribes and unsubscribes,
what is restored is what the server last confirmed. While the server replays what the wishes of
one message missed, it pushes newer updates of the others: these must not move its place.
"""

import math
from collections.abc import Collection, Iterable

from marketdata.client_messages import (
    MAX_CURSORS,
    ClientMessage,
    Filters,
    Register,
    Subscribe,
    Unsubscribe,
)
from marketdata.ring_items import Cursor
from marketdata.server_messages import Registered, Subscribed
from marketdata.subscriptions import Want, wants_of
from tapedeck.client_messages import Candle, Depth, Event, Price, Update
from tapedeck.client_place import Kind, Place, Seen, cursor_of, lowest

SETTLED_S = 60.0
"""So long after a confirmation its replay has ended: a function has 29 s."""

_Key = tuple[str, str]
"""Channel and name."""
_REGISTRATION: _Key = ("", "")
_CHANNELS = {Price: "prices", Candle: "candles", Depth: "depth", Event: "events"}
_TYPES = {"prices": "price_update", "candles": "candle", "depth": "depth"}
"""What a registration calls the channels."""
_DEFAULT = Subscribe(symbols=("",))


class Wishes:
    """The subscriptions and the registration that the server has confirmed.

    Settled subscriptions are sent in one order and move together, so that a quiet name stays
    where the server can go on from. A registration's updates come after the subscriptions' of
    the same batch: it never moves with them, and what may be of both moves neither.
    """

    def __init__(self) -> None:
        self._wants: dict[_Key, Want] = {}
        self._filters: Filters | None = None
        self._places: dict[_Key, Place] = {}
        self._seen = Seen()

    def confirmed(
        self, message: ClientMessage, cursors: Iterable[str] = (), now_s: float = 0.0
    ) -> None:
        """Take over a message that the server has answered, and the answer's cursors."""
        match message:
            case Subscribe():
                place = Place(_understood(cursors), now_s + SETTLED_S)
                for want in wants_of(message):
                    for name in message.names:
                        self._subscribed(want, name, place)
            case Unsubscribe():
                self._unsubscribed(message)
            case Register():
                before = self._places.get(_REGISTRATION, ())
                self._places[_REGISTRATION] = Place([*_understood(cursors), *before], math.inf)
                self._filters = message.filters
            case _:
                pass

    def requests(self, *, resume: bool) -> list[Subscribe | Register]:
        """The messages that make a new connection what the last one was.

        Until the answer to one is `restored`, only its own updates move its wishes.
        """
        for place in self._places.values():
            place.settled_s = math.inf
        found: list[Subscribe | Register] = []
        if self._filters is not None:
            cursors = _from([self._places[_REGISTRATION]]) if resume else None
            found.append(Register(self._filters, resume, cursors))
        groups: dict[Want, list[str]] = {}
        for (_, name), want in self._wants.items():
            groups.setdefault(want, []).append(name)
        for want, names in groups.items():
            places = [self._places[want.channel, name] for name in names]
            cursors = _from(places, want.feed) if resume else None
            found.append(_subscribe(names, want, resume=resume, cursors=cursors))
        return found

    def restored(
        self, message: Subscribe | Register, answer: Subscribed | Registered, now_s: float
    ) -> None:
        """Take over the answer to one of the requests."""
        begun = _understood(answer.cursors)
        if isinstance(message, Register):
            self._places[_REGISTRATION] = Place(begun, math.inf)
            return
        place = Place(begun, now_s + SETTLED_S)
        for want in wants_of(message):
            for name in message.names:
                self._places[want.channel, name] = place
                self._begin(want, name, message.from_ or ())

    def takes(self, update: Update, now_s: float) -> bool:
        """Whether an update has not come before; remembers how far its wish has come."""
        cursor = cursor_of(update.cursor)
        if cursor is None:
            return True
        interval, name = getattr(update, "interval", ""), getattr(update, "symbol", "")
        kind = Kind(_CHANNELS[type(update)], interval, name)
        self._move(kind, cursor, now_s)
        return self._seen.takes(kind, cursor)

    def _move(self, kind: Kind, cursor: Cursor, now_s: float) -> None:
        key = (kind.channel, kind.name)
        want = self._wants.get(key)
        if want is None or (want.feed, want.interval) != (cursor.topic, kind.interval):
            key = _REGISTRATION
        elif self._registers(kind.channel):
            return
        place = self._places.get(key)
        if place is None:  # it has ended meanwhile
            return
        place.move(cursor)
        if place.settled_s <= now_s:
            for other in self._places.values():
                if other.settled_s <= now_s:
                    other.move(cursor)

    def _registers(self, channel: str) -> bool:
        """Whether the registration may have the updates of a channel."""
        types = () if self._filters is None else self._filters.types or ()
        return _TYPES[channel] in types

    def _subscribed(self, want: Want, name: str, place: Place) -> None:
        """A name that had the feed before goes on from where it is."""
        key = (want.channel, name)
        before = self._wants.get(key)
        here = list(self._places[key]) if before and before.feed == want.feed else []
        self._wants[key] = want
        self._places[key] = Place([*place, *here], place.settled_s) if here else place
        self._begin(want, name, set(map(str, here)))

    def _begin(self, want: Want, name: str, known: Collection[str]) -> None:
        if not self._registers(want.channel):  # which may have begun further back
            kind = Kind(want.channel, want.interval, name)
            self._seen.begin(kind, self._places[want.channel, name], known)

    def _unsubscribed(self, message: Unsubscribe) -> None:
        names, channels = message.names, message.channels
        for key in list(self._wants):
            channel, name = key
            if (names is None or name in names) and (channels is None or channel in channels):
                del self._wants[key], self._places[key]


def _subscribe(
    names: list[str], want: Want, *, resume: bool, cursors: tuple[str, ...] | None
) -> Subscribe:
    rate = "all" if want.feed == "prices" else want.rate or _DEFAULT.rate
    interval = want.interval or _DEFAULT.interval
    return Subscribe(tuple(names), (want.channel,), rate, interval, resume, cursors)  # type: ignore[arg-type]


def _from(places: Iterable[Place], feed: str = "") -> tuple[str, ...] | None:
    """`from` for what is at these places; of the topic `feed` only, where one is named."""
    found = [str(one) for one in lowest(places) if feed in {"", one.topic}]
    return tuple(found[:MAX_CURSORS]) or None


def _understood(cursors: Iterable[str]) -> list[Cursor]:
    return [one for one in map(cursor_of, cursors) if one]
