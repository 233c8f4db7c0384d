"""`register`: from filters to a registration without a seam (rules 20, 21, 23).

first:  welcome ─► `registered` ─► what the ring has since the connection began ─► commit
again:  `registered` ─► commit: up to the cut the old filters count, from it on the new ones

One `register` of a connection is worked on at a time. One whose message is refused has changed
nothing. One that fails later may have begun in some of the sources, and keeps how far the
replay came: the next goes on from there, and in no source is anything lost or sent twice.
"""

import functools
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.gateway import Outcome
from functions.logic.attempts import attempts
from functions.logic.register_request import Asked, Beginning, beginning, understood
from functions.logic.renewing import Renewal
from functions.logic.replaying import Replay
from functions.logic.seam import TOGETHER, close_seam
from functions.newcomers import Busy, Newcomer
from functions.registrations import Registration
from marketdata import client_protocol
from marketdata.client_protocol import INTERNAL, REGISTERED, VALIDATION_ERROR, client_error
from marketdata.connection_items import Feed
from marketdata.errors import GatewayUnavailable, StoreUnavailable, TapedeckError
from marketdata.ring_items import Cursor, Source
from marketdata.server_messages import Registered
from marketdata.topics import TOPICS

if TYPE_CHECKING:
    from functions.logic.welcoming import Welcoming
    from functions.newcomers import NewcomersTable
    from functions.posting import ClientPosts
    from functions.registrations import RegistrationsTable
    from functions.ring import Head, RingTable
    from marketdata.client_messages import Register

WELCOME_STAGE = "ws"
WELCOME_LIMIT_S = 8.0
"""Longer than a dead claimant is waited for."""
TURN_LIMIT_S = 8.0
RUN_LIMIT_S = 25.0
"""No post begins later; less than the claim of a registration lasts."""
TOO_FAST = "the topics moved on too fast to begin a registration between two updates"

Heads = Mapping[Source, "Head"]


@dataclass(frozen=True, slots=True)
class Registering:
    """Makes and replaces registrations of one stage; `clock_ms` is UTC milliseconds."""

    stage: str
    newcomers: "NewcomersTable"
    registrations: "RegistrationsTable"
    ring: "RingTable"
    posts: "ClientPosts"
    welcoming: "Welcoming"
    ring_topics: frozenset[str]
    max_queue_size: int
    clock_ms: Callable[[], int]

    def register(self, connection_id: str, message: "Register") -> None:
        """Register with what `message` asks for; posts everything but an error by itself.

        Raises:
            ClientError: VALIDATION_ERROR for filters or cursors that are none; INTERNAL for a
                connection that is not known (any more), or is registering all the time.
            StoreError: DynamoDB failed.
            GatewayUnavailable: the client could not be sent what comes first.
        """
        asked = understood(message)
        until_s = time.monotonic() + RUN_LIMIT_S
        if self.stage == WELCOME_STAGE:
            welcomed = self.welcoming.until_said(
                self.stage, connection_id, WELCOME_LIMIT_S, maybe_young=False
            )
            _refuse_unless_sent("welcome", welcomed)
        newcomer = self._begin(connection_id)
        existing = self._existing(newcomer)
        renewal = Renewal(
            newcomer, asked, existing, self.registrations, self.ring, self.ring_topics
        )
        if existing and newcomer.start is None:
            self._again(renewal, until_s)
        else:
            self._first(renewal, self._replay(newcomer, asked, until_s))

    def _first(self, renewal: Renewal, replay: Replay) -> None:
        try:
            self._replay_and_commit(renewal, replay)
        except TapedeckError:
            self.newcomers.break_off(
                renewal.newcomer,
                replay.start,
                queued=replay.queued,
                dropped=replay.dropped,
                holes=replay.holes,
            )
            raise

    def _again(self, renewal: Renewal, until_s: float) -> None:
        try:
            if renewal.asked.cursors is not None:
                raise client_error(
                    VALIDATION_ERROR, "`from` is for the first `register` of a connection"
                )
            sources = self._sources(renewal.feeds)
            self._confirm(renewal, self._beginning(renewal, sources))
            self._commit_rest(renewal, sources, until_s)
        except TapedeckError:
            self.newcomers.give_up(renewal.newcomer)
            raise

    def _existing(self, newcomer: Newcomer) -> dict[Feed, Registration]:
        try:
            return self.registrations.of_connection(newcomer.connection_id)
        except TapedeckError:
            self.newcomers.give_up(newcomer)
            raise

    def _begin(self, connection_id: str) -> Newcomer:
        until_s = time.monotonic() + TURN_LIMIT_S
        token = uuid.uuid4().hex
        while time.monotonic() < until_s:
            for _ in attempts():
                begun = self.newcomers.begin(self.stage, connection_id, token, self.clock_ms())
                if isinstance(begun, Newcomer):
                    return begun
                if begun is Busy.UNKNOWN:
                    raise client_error(
                        INTERNAL, "this connection is not known any more: connect again"
                    )
        raise client_error(
            INTERNAL, "another `register` of this connection is still worked on: send it again"
        )

    def _replay(self, newcomer: Newcomer, asked: Asked, until_s: float) -> Replay:
        return Replay(
            connection_id=newcomer.connection_id,
            wanted=asked.wanted,
            with_cursors=asked.message.resume,
            posts=self.posts,
            topic_id=self.ring.topic_id,
            most=self.max_queue_size,
            until_s=until_s,
            start=dict(newcomer.start or {}),
            queued=newcomer.queued,
            dropped=newcomer.dropped,
            holes=newcomer.holes,
        )

    def _replay_and_commit(self, renewal: Renewal, replay: Replay) -> None:
        sources = self._sources(renewal.feeds)
        begins = self._beginning(renewal, sources)
        self._confirm(renewal, begins)
        waiting = [at for at in sources if not renewal.has_begun(at)]
        replay.start.update({at: begins.start[at] for at in waiting})
        while waiting:
            _refuse_when_over(replay.until_s)
            # Each round at least one of them begins.
            commit = functools.partial(renewal.commit_some, tuple(waiting))
            close_seam(self.ring, waiting, replay.start, replay.take, commit)
            waiting = [at for at in waiting if at not in renewal.cuts]
        self._complain(replay)
        rest = [at for at in sources if at not in renewal.cuts]
        self._commit_rest(renewal, rest, replay.until_s)

    def _complain(self, replay: Replay) -> None:
        """QUEUE_FULL before the last commit: one that is not sent is sent by the next try."""
        complaint = replay.complaint()
        if complaint is None:
            return
        text = client_protocol.error(complaint, self.clock_ms())
        _refuse_unless_sent("an error", self.posts.post(replay.connection_id, text))
        replay.complained()

    def _commit_rest(self, renewal: Renewal, sources: Sequence[Source], until_s: float) -> None:
        """Begin where nothing is replayed: everywhere together, or one after the other."""
        for _ in range(TOGETHER):
            if renewal.commit_rest(sources, self.ring.heads(sources)):
                return
        for source in sources:
            for _ in attempts():
                _refuse_when_over(until_s)
                if renewal.commit_some((source,), self.ring.heads([source])):
                    break
        for _ in attempts():
            _refuse_when_over(until_s)
            rest = [at for at in sources if at not in renewal.cuts]
            if renewal.commit_rest(rest, self.ring.heads(rest)):
                return
        raise StoreUnavailable(TOO_FAST)

    def _beginning(self, renewal: Renewal, sources: Sequence[Source]) -> Beginning:
        newcomer, cursors = renewal.newcomer, renewal.asked.cursors
        heads = self.ring.heads(sources)
        start = {at: heads[at].next if at in heads else 0 for at in sources}
        if newcomer.start is not None:
            since = start if newcomer.from_now else dict.fromkeys(start, 0)
            start = {at: newcomer.start.get(at, since[at]) for at in sources}
        found = beginning(start, cursors, lambda cursor: self._chains(cursor, heads))
        # What broke off has been behind the cursors already.
        return Beginning(start, found.recovered) if newcomer.broke_off else found

    def _chains(self, cursor: Cursor, heads: Heads) -> bool | None:
        head = heads.get(cursor.source)
        if head is None or head.topic_id != cursor.topic_id or cursor.offset >= head.next:
            return None
        first, now_s = cursor.offset + 1, self.clock_ms() // 1000
        return self.ring.read(cursor.source, head.topic_id, first, head.next, now_s).whole

    def _confirm(self, renewal: Renewal, begins: Beginning) -> None:
        asked = renewal.asked
        cursors: tuple[str, ...] = ()
        if asked.message.resume:
            cursors = tuple(
                str(Cursor(at.topic, self.ring.topic_id(at.topic), at.partition, offset - 1))
                for at, offset in begins.start.items()
                if offset
            )
        text = client_protocol.encode(
            Registered(REGISTERED, asked.filters, cursors, begins.recovered)
        )
        outcome = self.posts.post(renewal.newcomer.connection_id, text)
        _refuse_unless_sent("a confirmation", outcome)

    def _sources(self, feeds: Iterable[Feed]) -> list[Source]:
        return [
            Source(feed, partition)
            for feed in sorted(feeds)
            if feed in self.ring_topics
            for partition in range(TOPICS[feed].partitions)
        ]


def _refuse_when_over(until_s: float) -> None:
    if time.monotonic() > until_s:
        raise StoreUnavailable(TOO_FAST)


def _refuse_unless_sent(what: str, outcome: Outcome) -> None:
    if outcome is not Outcome.SENT:
        raise GatewayUnavailable(f"{what} was answered with {outcome.value}")
