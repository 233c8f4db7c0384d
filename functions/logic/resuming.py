"""Subscriptions without a seam: from a place of each source, through the ring, to the push.

    wish ─► heads ─► (cursors: what came since) ─► the client is told ─► that ─► close_seam

See rules 20 and 21, and `functions.logic.seam`. A topic that is not in the ring has neither
heads nor replay: its subscriptions begin with what is pushed after they are served.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from functions.gateway import Outcome
from functions.logic.seam import close_seam
from functions.logic.updates import Form, read_updates
from functions.ring_blobs import Kept
from functions.subscriptions import Subscriber, Terms
from marketdata.client_protocol import INTERNAL, VALIDATION_ERROR, client_error
from marketdata.connection_items import Feed
from marketdata.errors import DecodeError, GatewayUnavailable
from marketdata.instruments import Instrument
from marketdata.partitions import source_of
from marketdata.ring_items import Cursor, Source, parse_cursor
from marketdata.topics import TOPICS

if TYPE_CHECKING:
    from functions.logic.reserving import Reserved, Reserving
    from functions.posting import ClientPosts
    from functions.ring import Head, RingRecord, RingTable

RUN_LIMIT_S = 20.0
"""No post begins later; API Gateway waits 29 s for a function."""

Heads = Mapping[Source, "Head"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a subscription begins: behind `cursors`; `missed` is what comes first.

    `elsewhere` is where the topics' other partitions stand: an instrument that is listed later
    may bear a name that is subscribed to.
    """

    start: Mapping[Source, int]
    elsewhere: Mapping[Source, int]
    cursors: Sequence[str] = ()
    missed: Sequence[bytes] = ()
    recovered: bool | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be served without a seam, to whom, and from which sources.

    `kept` is served already, and neither replayed nor cut.
    """

    reserved: "Reserved"
    sources: tuple[Source, ...]
    cursors: bool
    kept: Mapping[tuple[str, Feed], Subscriber]

    @property
    def partitions(self) -> list[Source]:
        """All of the topics that the sources are of."""
        topics = dict.fromkeys(at.topic for at in self.sources)
        return [Source(one, at) for one in topics for at in range(TOPICS[one].partitions)]

    def texts(
        self, source: Source, topic_id: str, records: Sequence["RingRecord"]
    ) -> list[bytes]:
        """What of a source's records is wanted, in its order."""
        updates, _ = read_updates(source, topic_id, records)
        return [
            update.text(Form(name, self.cursors, want.bare))
            for update in updates
            for name in update.names
            for want in self.reserved.wants.get(name, ())
            if want.feed == source.topic
            and (name, want.feed) not in self.kept
            and update.suits(want, only_newest=False)
        ]


class Commit:
    """Serves a wish, all of its sources together or one after the other."""

    def __init__(
        self,
        ring: "RingTable",
        reserving: "Reserving",
        wish: Wish,
        elsewhere: Mapping[Source, int],
    ) -> None:
        self._ring = ring
        self._reserving = reserving
        self._wish = wish
        self._cuts = dict(elsewhere)

    def together(self, heads: Heads) -> bool:
        """Serve everything, unless one of the heads has moved."""
        return self._serve({at: heads.get(at) for at in self._wish.sources})

    def one(self, source: Source, head: "Head | None") -> bool:
        """Serve one source more, unless its head has moved."""
        return self._serve({source: head})

    def _serve(self, heads: "Mapping[Source, Head | None]") -> bool:
        new = {at: 0 if head is None else head.next for at, head in heads.items()}
        cuts = {**self._cuts, **new}
        topics = {at.topic for at in self._wish.sources}
        by_topic = {
            topic: {at: offset for at, offset in cuts.items() if at.topic == topic}
            for topic in topics
        }
        terms = Terms(self._wish.cursors, by_topic, self._wish.kept)
        unchanged = [self._ring.head_condition(at, head) for at, head in heads.items()]
        if not self._reserving.serve(self._wish.reserved, terms, unchanged):
            return False
        self._cuts = cuts
        return True


@dataclass(frozen=True, slots=True)
class Resuming:
    """Begins subscriptions of one stage's clients; `most` bounds what is replayed at first."""

    ring: "RingTable"
    ring_topics: frozenset[str]
    reserving: "Reserving"
    posts: "ClientPosts"
    most: int

    def wish(
        self,
        reserved: "Reserved",
        listed: Mapping[str, Iterable[Instrument]],
        *,
        cursors: bool,
        anew: bool = False,
    ) -> Wish:
        """What of a reservation is to begin.

        What is served as it is wanted goes on as it is, with cursors once they were asked for,
        unless everything is to begin `anew`.
        """
        kept = {
            at: replace(one, cursors=one.cursors or cursors)
            for at, one in reserved.served.items()
            if not anew and one.want in reserved.wants.get(at[0], ())
        }
        found = dict.fromkeys(
            source_of(want.feed, f"{one.exchange}:{one.ticker}".encode())
            for name, own in reserved.wants.items()
            for want in own
            if want.feed in self.ring_topics and (name, want.feed) not in kept
            for one in listed[name]
            if want.source in {"", one.exchange}
        )
        return Wish(reserved, tuple(found), cursors, kept)

    def heads(self, wish: Wish) -> Heads:
        """Where the topics of its sources stand, in all of their partitions."""
        return self.ring.heads(wish.partitions)

    def now(self, wish: Wish, heads: Heads) -> Beginning:
        """It begins where the heads are."""
        places = {at: heads[at].next if at in heads else 0 for at in wish.partitions}
        start = {at: places.pop(at) for at in wish.sources}
        return Beginning(start, places)

    def behind(self, wish: Wish, heads: Heads, given: Sequence[Cursor] | None) -> Beginning:
        """It begins now, or behind the cursors that a client has given; the client is told.

        When more than `most` updates were missed, or one source has no usable cursor, it is
        not recovered; what can be had of the other sources, and behind a hole, comes all the
        same.
        """
        now = self.now(wish, heads)
        if given is None:
            return replace(now, cursors=self._cursors(now.start))
        behind, missed = dict(now.start), []
        usable = set()
        for cursor in given:
            kept = self._since(cursor, heads) if cursor.source in now.start else None
            if kept is not None:
                missed += wish.texts(cursor.source, cursor.topic_id, kept.tail)
                behind[cursor.source] = kept.since
            if kept is not None and kept.whole:
                usable.add(cursor.source)
        if len(missed) > self.most:
            return replace(now, cursors=self._cursors(now.start), recovered=False)
        whole = usable == now.start.keys() and self._all_are_kept(wish)
        return Beginning(now.start, now.elsewhere, self._cursors(behind), missed, whole)

    def finish(self, wish: Wish, begins: Beginning) -> None:
        """Send what was missed, then serve from there on.

        Raises:
            ClientError: INTERNAL, when the ring lost something in the middle of it.
            GatewayUnavailable: not everything reached the client.
            StoreError: DynamoDB failed.
        """
        until_s = time.monotonic() + RUN_LIMIT_S
        holes: list[Source] = []
        self._post(wish, begins.missed, until_s)

        def replay(source: Source, kept: Kept) -> None:
            if not kept.whole:
                holes.append(source)
            topic_id = self.ring.topic_id(source.topic)
            self._post(wish, wish.texts(source, topic_id, kept.records), until_s)

        commit = Commit(self.ring, self.reserving, wish, begins.elsewhere)
        close_seam(
            self.ring,
            wish.sources,
            begins.start,
            replay,
            commit.together,
            commit_one=commit.one,
        )
        if holes:
            named = ", ".join(f"{one.topic}:{one.partition}" for one in holes)
            raise client_error(INTERNAL, f"updates were lost while subscribing, of {named}")

    def _since(self, cursor: Cursor, heads: Heads) -> Kept | None:
        head = heads.get(cursor.source)
        if head is None or head.topic_id != cursor.topic_id or cursor.offset >= head.next:
            return None
        first = cursor.offset + 1
        now_s = int(time.time())
        return self.ring.read(cursor.source, head.topic_id, first, head.next, now_s)

    def _all_are_kept(self, wish: Wish) -> bool:
        """Whether the ring has every topic that is wanted."""
        feeds = {want.feed for own in wish.reserved.wants.values() for want in own}
        return feeds <= self.ring_topics

    def _cursors(self, start: Mapping[Source, int]) -> list[str]:
        return [
            str(Cursor(at.topic, self.ring.topic_id(at.topic), at.partition, offset - 1))
            for at, offset in start.items()
            if offset
        ]

    def _post(self, wish: Wish, texts: Sequence[bytes], until_s: float) -> None:
        if not texts:
            return
        connection_id = wish.reserved.connection.id
        done = self.posts.post_many({connection_id: texts}, until_s=until_s)[connection_id]
        count = done.sent + done.too_large
        if count < len(texts):
            why = "the time was over" if done.last is Outcome.SENT else done.last.value
            raise GatewayUnavailable(f"{count} of {len(texts)} missed updates were sent: {why}")


def given_cursors(given: Collection[str] | None) -> list[Cursor] | None:
    """The cursors of `from`, the first of each source and topic id; None without a `from`.

    Which id counts is for the source's head to say.

    Raises:
        ClientError: VALIDATION_ERROR that names the one which is none.
    """
    if given is None:
        return None
    found: dict[tuple[Source, str], Cursor] = {}
    for text in given:
        try:
            cursor = parse_cursor(text)
        except (DecodeError, ValueError):
            raise client_error(
                VALIDATION_ERROR, f"`from`: not a cursor: {text[:80]!r}"
            ) from None
        found.setdefault((cursor.source, cursor.topic_id), cursor)
    return list(found.values())
