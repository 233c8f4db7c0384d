"""Who gets what of a delivery: subscribers of the updates' names, and registrations.

updates ─► names ─► subscribers, read now ┐
feeds ─► registrations, read now ─────────┴► messages of each connection, in order
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from functions.logic.matching import PACE, offers, texts_for
from functions.logic.updates import CUT_TOPICS, Form, Update
from marketdata.connection_items import SHARDS, Feed
from marketdata.event_filters import FEEDS
from marketdata.subscriptions import CHANNEL_FEEDS
from marketdata.topics import TICKS

if TYPE_CHECKING:
    from functions.logic.batches import Batch
    from functions.registrations import Registration, RegistrationsTable
    from functions.ring_blobs import RingRecord
    from functions.subscriptions import Subscriber, SubscriptionsTable

A = TypeVar("A")
B = TypeVar("B")

LATE_FEEDS = frozenset({"ticks", "candles", "depth"})
"""Feeds of which the newest value stands for those that were missed (rule 22)."""


class Message(NamedTuple):
    """A text for a connection, and which subscription it is of; None is a registration's."""

    text: bytes
    name: str = ""
    subscriber: "Subscriber | None" = None


@dataclass(slots=True)
class Listener:
    """A connection that is sent something, and what, in order."""

    stage: str
    connected_ms: int
    messages: list[Message] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """The names that the messages are of."""
        return {message.name for message in self.messages if message.name}

    def missed(self, done: int) -> "dict[tuple[Feed, str], Subscriber]":
        """The subscriptions whose newest value is among the messages after the first `done`."""
        return {
            (one.subscriber.want.feed, one.name): one.subscriber
            for one in self.messages[done:]
            if one.subscriber and one.subscriber.want.feed in LATE_FEEDS
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

    subscriptions: "SubscriptionsTable"
    registrations: "RegistrationsTable"
    readers: Executor

    def of(self, parts: Sequence[Part], now_s: int) -> Audience:
        """The audience of a delivery, as of now. Raises StoreError."""
        audience: Audience = {}
        self._subscribed(audience, parts, now_s)
        self._registered(audience, parts, now_s)
        return audience

    def _subscribed(self, audience: Audience, parts: Sequence[Part], now_s: int) -> None:
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
        for part in parts:
            for update in part.updates:
                for name in update.names:
                    for one in found.get((part.feed, name), ()):
                        _offer(audience, part, update, name, one)

    def _registered(self, audience: Audience, parts: Sequence[Part], now_s: int) -> None:
        feeds = dict.fromkeys(
            part.feed for part in parts if part.feed in FEEDS and part.batch.records
        )
        shards = [(feed, number) for feed in feeds for number in range(SHARDS)]
        found: dict[Feed, list[Registration]] = {}
        for (feed, _), read in self._read(
            lambda shard: self.registrations.of_feed(*shard, now_s), shards
        ):
            found.setdefault(feed, []).extend(read)
        for part in parts:
            if not found.get(part.feed):
                continue
            given = offers(part.batch.source, part.topic_id, _records(part))
            for one in found[part.feed]:
                texts = texts_for(one, given)
                if texts:
                    listener = _listener(audience, one)
                    listener.messages += [Message(text) for text in texts]

    def _read(self, read: Callable[[A], B], shards: Sequence[A]) -> Iterable[tuple[A, B]]:
        return zip(shards, self.readers.map(read, shards), strict=True)


def _offer(
    audience: Audience, part: Part, update: Update, name: str, one: "Subscriber"
) -> None:
    due = one.is_due(update.cursor.source, update.cursor.offset)
    if due and update.suits(one.want, only_newest=part.cuts_off):
        text = update.text(Form(name, one.cursors, one.want.bare))
        _listener(audience, one).messages.append(Message(text, name, one))


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
