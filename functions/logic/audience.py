"""Who gets what of a delivery: subscribers of the updates' names, and registrations.

updates ─► names ─► subscribers, read now ┐
feeds ─► registrations, read now ─────────┴► messages of each connection, in order

While few listen, they are all read at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from functions.logic.matching import PACE, WANTS, due, offers
from functions.logic.updates import CUT_TOPICS, Form, Update
from marketdata.connection_items import SHARDS, Feed
from marketdata.event_filters import FEEDS
from marketdata.ring_items import Cursor
from marketdata.subscriptions import CHANNEL_FEEDS, Want
from marketdata.topics import TICKS

if TYPE_CHECKING:
    from functions.listeners import ListenersTable
    from functions.logic.batches import Batch
    from functions.registrations import Registration, RegistrationsTable
    from functions.ring_blobs import RingRecord
    from functions.subscriptions import Subscriber, SubscriptionsTable

    Subscribers = Mapping[tuple[Feed, str], Sequence[Subscriber]]
    Registrations = Mapping[Feed, Sequence[Registration]]

A = TypeVar("A")
B = TypeVar("B")

LATE_FEEDS = frozenset({"ticks", "candles", "depth"})
"""Feeds of which the newest value stands for those that were missed (rule 22)."""


class Message(NamedTuple):
    """A text for a connection, its place, and what of which name it was wanted for.

    A registration's name is the canonical symbol; of a chain's event it is empty.
    """

    text: bytes
    cursor: Cursor
    name: str
    want: Want
    is_registered: bool = False


@dataclass(slots=True)
class Listener:
    """A connection that is sent something, and what, in order."""

    stage: str
    connected_ms: int
    messages: list[Message] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """The names that the messages' subscriptions are of."""
        return {message.name for message in self.messages if not message.is_registered}

    def missed(self, done: int) -> dict[tuple[Feed, str], Want]:
        """What of which name has its newest value among the messages after the first `done`.

        Who has subscribed to what it is registered for as well is told by the subscription.
        """
        # Subscriptions come last: theirs is the want that counts.
        left = sorted(self.messages[done:], key=lambda one: not one.is_registered)
        return {
            (one.want.feed, one.name): one.want for one in left if one.want.feed in LATE_FEEDS
        }


class Part(NamedTuple):
    """What is to be sent of one source; `is_old` leaves out what is outdated (rule 22)."""

    batch: "Batch"
    topic_id: str
    updates: Sequence[Update]
    is_old: bool

    @property
    def feed(self) -> Feed:
        """The feed that the source is of: it has its topic's name."""
        return cast("Feed", self.batch.source.topic)

    @property
    def cuts_off(self) -> bool:
        """Whether only the newest of each instrument is sent."""
        return self.is_old and self.feed in CUT_TOPICS


Audience = dict[str, Listener]


@dataclass(frozen=True, slots=True)
class Audiences:
    """Finds audiences; `readers` read side by side."""

    listeners: "ListenersTable"
    subscriptions: "SubscriptionsTable"
    registrations: "RegistrationsTable"
    readers: Executor

    def of(self, parts: Sequence[Part], now_s: int) -> Audience:
        """The audience of a delivery, as of now. Raises StoreError."""
        audience: Audience = {}
        everybody = self.listeners.all(now_s)
        if everybody is None:
            subscribers = self._subscribers(parts, now_s)
            registrations = self._registrations(parts, now_s)
        else:
            subscribers, registrations = everybody.subscribers, everybody.registrations
        _subscribed(audience, parts, subscribers)
        _registered(audience, parts, registrations)
        return audience

    def _subscribers(self, parts: Sequence[Part], now_s: int) -> "Subscribers":
        wanted = dict.fromkeys(
            (part.feed, name)
            for part in parts
            if part.feed in CHANNEL_FEEDS
            for update in part.updates
            for name in update.names
        )
        shards = [shard for one in wanted for shard in self.subscriptions.shards(*one)]
        found: dict[tuple[Feed, str], list[Subscriber]] = {}
        for shard, read in self._read(
            lambda shard: self.subscriptions.subscribers(shard, now_s), shards
        ):
            found.setdefault((shard.feed, shard.name), []).extend(read)
        return found

    def _registrations(self, parts: Sequence[Part], now_s: int) -> "Registrations":
        feeds = dict.fromkeys(part.feed for part in parts if _can_register(part))
        shards = [(feed, number) for feed in feeds for number in range(SHARDS)]
        found: dict[Feed, list[Registration]] = {}
        for (feed, _), read in self._read(
            lambda shard: self.registrations.of_feed(*shard, now_s), shards
        ):
            found.setdefault(feed, []).extend(read)
        return found

    def _read(self, read: Callable[[A], B], shards: Sequence[A]) -> Iterable[tuple[A, B]]:
        return zip(shards, self.readers.map(read, shards), strict=True)


def _can_register(part: Part) -> bool:
    return part.feed in FEEDS and bool(part.batch.records)


def _subscribed(audience: Audience, parts: Sequence[Part], subscribers: "Subscribers") -> None:
    for part in parts:
        for update in part.updates:
            for name in update.names:
                for one in subscribers.get((part.feed, name), ()):
                    _offer(audience, part, update, name, one)


def _registered(
    audience: Audience, parts: Sequence[Part], registrations: "Registrations"
) -> None:
    for part in parts:
        registered = registrations.get(part.feed, ()) if _can_register(part) else ()
        if not registered:
            continue
        given = offers(part.batch.source, part.topic_id, _records(part))
        want = WANTS[part.feed]
        for one in registered:
            messages = [
                Message(text, offer.cursor, offer.symbol, want, is_registered=True)
                for offer, text in due(one, given)
            ]
            if messages:
                _listener(audience, one).messages += messages


def _offer(
    audience: Audience, part: Part, update: Update, name: str, one: "Subscriber"
) -> None:
    due = one.is_due(update.cursor.source, update.cursor.offset)
    if due and update.suits(one.want, only_newest=part.cuts_off):
        text = update.text(Form(name, one.cursors, one.want.bare))
        message = Message(text, update.cursor, name, one.want)
        _listener(audience, one).messages.append(message)


def _listener(audience: Audience, one: "Subscriber | Registration") -> Listener:
    if one.connection_id not in audience:
        audience[one.connection_id] = Listener(one.stage, one.connected_ms)
    return audience[one.connection_id]


def _records(part: Part) -> Sequence["RingRecord"]:
    if not part.cuts_off:
        return part.batch.records
    pace = frozenset({PACE}) if part.feed == TICKS.name else None
    kept = {
        update.cursor.offset
        for update in part.updates
        if (update.newest if pace is None else update.newest & pace)
    }
    return [record for record in part.batch.records if record.offset in kept]
