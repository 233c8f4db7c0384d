"""One delivery of an event source to everybody who is to have it (rules 20, 22, 23).

    event ─► batches ─► ring, HEAD ─► who listens, read now ─► posts ─► report

What concerns one client stays with that client: it is gone, slow or throttled, and the others
have their updates. What concerns the management API, DynamoDB or the time as a whole is raised,
and the event comes again (`functions.logic.verdict`). Then clients that have had its messages
are not sent them again by this function; by another one they may be, where their cut is not
above the offset, and the cursor tells.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from functions.gateway import GO_ON, Delivery, Outcome
from functions.logic.audience import Audience, Audiences, Part
from functions.logic.batches import Batch, Delivered, read_batches
from functions.logic.slow_connections import SlowConnections
from functions.logic.unfinished import Unfinished
from functions.logic.updates import read_updates
from functions.logic.verdict import Verdict, verdict
from marketdata.errors import GatewayUnavailable, SettingsError, TapedeckError

if TYPE_CHECKING:
    from functions.connections import ConnectionsTable
    from functions.posting import ClientPosts
    from functions.ring import RingTable

YOUNG_MS = 30_000
"""A 410 on a connection younger than this is not a goodbye (rule 23)."""
OLD_MS = 5_000
"""Of a batch whose oldest record is older, only the newest ticks and tops are sent."""

Report = dict[str, int | str]
Posts = Callable[[str], "ClientPosts"]


@dataclass(frozen=True, slots=True)
class Ringing:
    """Where batches are kept, which topics' are, and for how long."""

    ring: "RingTable"
    topics: frozenset[str]
    seconds: int


@dataclass(frozen=True, slots=True)
class Pushing:
    """Pushes deliveries; `posts` gives a stage's clients, `clock` is monotonic, in seconds."""

    ringing: Ringing
    connections: "ConnectionsTable"
    audiences: Audiences
    posts: Posts
    workers: Executor
    slow: SlowConnections
    clock: Callable[[], float]
    unfinished: Unfinished = field(default_factory=Unfinished)

    def push(self, event: Mapping[str, Any], *, now_ms: int, until_s: float) -> Report:
        """Send a delivery's updates; the report has counts and durations for one log line.

        No post begins after `until_s` of the clock.

        Raises:
            StoreError: the ring, the subscriptions or the registrations cannot be reached.
            GatewayUnavailable: nobody could be sent to, for a reason that is no client's, or
                the time was over before everybody had a turn.
        """
        started = self.clock()
        delivered = read_batches(event)
        parts, poison = self._parts(delivered, now_ms)
        audience = self.unfinished.left(self.audiences.of(parts, now_ms // 1000))
        read = self.clock()
        paused, limits_s = self.slow.split(audience, read)
        deliveries = self._post(audience, paused, limits_s, until_s)
        posted = self.clock()
        found = verdict(
            deliveries, limits_s.keys(), lambda ids: self.slow.stalled(ids, read, posted)
        )
        self._remember(deliveries, found, posted)
        try:
            seen_to = self._see_to(audience, paused, deliveries, found, now_ms)
        except TapedeckError:
            self.unfinished.note(audience, deliveries)
            raise
        self.unfinished.done(batch.source for batch in delivered.batches)
        return {
            **_of_delivered(delivered, parts, now_ms),
            **_of_posts(deliveries),
            "poison": delivered.poison + poison,
            "connections": len(audience),
            "paused": len(paused),
            **seen_to,
            "read_ms": round((read - started) * 1000),
            "post_ms": round((posted - read) * 1000),
        }

    def _parts(self, delivered: Delivered, now_ms: int) -> tuple[list[Part], int]:
        """The sources' parts, after all of them are in the ring (rule 20, steps 1 and 2)."""
        oldest_ms = delivered.oldest_ms
        is_old = oldest_ms is not None and now_ms - oldest_ms > OLD_MS
        expires_s = now_ms // 1000 + self.ringing.seconds
        ids = list(self.workers.map(lambda one: self._keep(one, expires_s), delivered.batches))
        parts, poison = [], 0
        for batch, topic_id in zip(delivered.batches, ids, strict=True):
            updates, broken = read_updates(batch.source, topic_id, batch.records)
            parts.append(Part(batch, topic_id, updates, is_old))
            poison += broken
        return parts, poison

    def _keep(self, batch: Batch, expires_s: int) -> str:
        ring, source = self.ringing.ring, batch.source
        topic_id = ring.topic_id(source.topic)
        if source.topic in self.ringing.topics:
            ring.append(source, topic_id, batch.first, batch.next, batch.records, expires_s)
            ring.advance(source, topic_id, batch.next)
        return topic_id

    def _post(
        self,
        audience: Audience,
        paused: set[str],
        limits_s: Mapping[str, float],
        until_s: float,
    ) -> dict[str, Delivery]:
        stages: dict[str, dict[str, list[bytes]]] = {}
        taken = [one for one in audience if one not in paused]
        for one in sorted(taken, key=lambda one: one in limits_s):  # the slow ones last
            listener = audience[one]
            texts = [message.text for message in listener.messages]
            stages.setdefault(listener.stage, {})[one] = texts

        def post(stage: str) -> dict[str, Delivery]:
            try:
                posts = self.posts(stage)
            except SettingsError:  # the stage was taken away, its clients are left
                return {}
            return posts.post_many(stages[stage], limits_s=limits_s, until_s=until_s)

        # Nothing is gained by a thread for the usual one.
        done = map(post, stages) if len(stages) == 1 else self.workers.map(post, stages)
        return {one: delivery for part in done for one, delivery in part.items()}

    def _see_to(
        self,
        audience: Audience,
        paused: set[str],
        deliveries: Mapping[str, Delivery],
        found: Verdict,
        now_ms: int,
    ) -> Report:
        """What follows from the posts; GatewayUnavailable where the delivery comes again."""
        done = {
            one: delivery.sent + delivery.too_large
            for one, delivery in deliveries.items()
            if one not in found.again and delivery.last is not Outcome.GONE
        }
        report: Report = {
            "forgotten": self._forget(audience, deliveries, now_ms),
            "late": self._note_late(audience, dict.fromkeys(paused, 0) | done, now_ms),
        }
        if found.again:
            raise GatewayUnavailable(found.why)
        return report

    def _remember(
        self, deliveries: Mapping[str, Delivery], found: Verdict, now_s: float
    ) -> None:
        for connection_id, delivery in deliveries.items():
            last = delivery.last
            if connection_id in found.again or last is Outcome.NOT_TRIED:
                continue
            if last is Outcome.TIMED_OUT or (delivery.skipped and last in GO_ON):
                self.slow.timed_out(connection_id, now_s)
            elif last is Outcome.THROTTLED:
                self.slow.throttled(connection_id, now_s)
            else:
                self.slow.answered(connection_id)

    def _forget(
        self, audience: Audience, deliveries: Mapping[str, Delivery], now_ms: int
    ) -> int:
        gone = [
            one
            for one, delivery in deliveries.items()
            if delivery.last is Outcome.GONE and now_ms - audience[one].connected_ms >= YOUNG_MS
        ]
        done = self.workers.map(
            lambda one: self.connections.forget(audience[one].stage, one, audience[one].names),
            gone,
        )
        return len(list(done))

    def _note_late(self, audience: Audience, left: Mapping[str, int], now_ms: int) -> int:
        """Have the keeper send the newest of what is behind the first so many messages."""
        late = [
            (one, audience[one].stage, name, want)
            for one, done in left.items()
            for (_, name), want in audience[one].missed(done).items()
        ]
        put = self.audiences.subscriptions.put_late
        now_s = now_ms // 1000
        noted = self.workers.map(lambda at: put(at[0], at[1], at[2], at[3], now_s), late)
        return len(list(noted))


def _of_delivered(delivered: Delivered, parts: Sequence[Part], now_ms: int) -> Report:
    oldest_ms = delivered.oldest_ms
    return {
        "topic": ",".join(dict.fromkeys(part.feed for part in parts)),
        "records": delivered.records,
        "passed_over": delivered.passed_over,
        "updates": sum(len(part.updates) for part in parts),
        "cut": sum(
            not update.newest for part in parts if part.cuts_off for update in part.updates
        ),
        "age_ms": 0 if oldest_ms is None else now_ms - oldest_ms,
    }


def _of_posts(deliveries: Mapping[str, Delivery]) -> Report:
    ended = Counter(delivery.last for delivery in deliveries.values())
    return {
        "sent": sum(delivery.sent for delivery in deliveries.values()),
        "skipped": sum(delivery.skipped for delivery in deliveries.values()),
        "retried": sum(delivery.retried for delivery in deliveries.values()),
        "too_large": sum(delivery.too_large for delivery in deliveries.values()),
        **{
            outcome.value: ended[outcome]
            for outcome in Outcome
            if ended[outcome] and outcome not in {Outcome.SENT, Outcome.TOO_LARGE}
        },
    }
