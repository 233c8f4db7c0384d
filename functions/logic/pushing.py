"""One batch of ticks to everybody who is subscribed (rules 22, 23).

    batch ─► names ─► subscribers, read now ─► messages per connection ─► posts ─► report

What concerns one client stays with that client: it is gone, slow or throttled, and the others
have their prices. What concerns the management API or DynamoDB as a whole is raised, and the
batch comes again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.gateway import OF_THE_SERVICE, Delivery, Outcome
from functions.logic.slow_connections import SlowConnections
from functions.logic.ticks import Batch, read_batch
from marketdata.errors import GatewayUnavailable

if TYPE_CHECKING:
    from functions.connections import ConnectionsTable
    from functions.posting import ClientPosts

YOUNG_MS = 30_000
"""A 410 on a connection younger than this is not a goodbye (rule 23)."""

Report = dict[str, int | str]


@dataclass(slots=True)
class Audience:
    """Who gets what of a batch."""

    messages: dict[str, list[bytes]]
    connected_ms: dict[str, int]
    names: dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Pushing:
    """Pushes batches; `clock` is monotonic, in seconds."""

    connections: "ConnectionsTable"
    posts: "ClientPosts"
    readers: Executor
    slow: SlowConnections
    clock: Callable[[], float]

    def push(self, event: Mapping[str, Any], *, now_ms: int, until_s: float) -> Report:
        """Send a batch's prices; the report has counts and durations for one log line.

        No post begins after `until_s` of the clock.

        Raises:
            StoreError: the subscriptions cannot be read.
            GatewayUnavailable: nobody could be sent to, for a reason that is no client's.
        """
        started = self.clock()
        batch = read_batch(event, now_ms)
        audience = self._audience(batch, now_ms)
        read = self.clock()
        paused, limits_s = self.slow.split(audience.messages, read)
        messages = _slow_ones_last(audience.messages, paused, limits_s)
        deliveries = self.posts.post_many(messages, limits_s=limits_s, until_s=until_s)
        posted = self.clock()
        self._remember(deliveries, posted)
        forgotten = self._forget(audience, deliveries, now_ms)
        report = {
            **_of_batch(batch, now_ms),
            **_of_posts(deliveries),
            "connections": len(audience.messages),
            "paused": len(paused),
            "forgotten": forgotten,
            "read_ms": round((read - started) * 1000),
            "post_ms": round((posted - read) * 1000),
        }
        _refuse_failure_of_all(deliveries, report)
        return report

    def _audience(self, batch: Batch, now_ms: int) -> Audience:
        subscribers = self._subscribers(batch.names, now_ms)
        audience = Audience({}, {}, {})
        for price in batch.prices:
            for name, text in price.texts.items():
                for connection_id, connected_ms in subscribers[name].items():
                    audience.messages.setdefault(connection_id, []).append(text)
                    audience.connected_ms[connection_id] = connected_ms
                    audience.names.setdefault(connection_id, set()).add(name)
        return audience

    def _subscribers(self, names: Iterable[str], now_ms: int) -> dict[str, dict[str, int]]:
        shards = [shard for name in names for shard in self.connections.shards(name)]
        parts = self.readers.map(
            lambda shard: self.connections.subscribers(shard, now_ms // 1000), shards
        )
        found: dict[str, dict[str, int]] = {}
        for shard, part in zip(shards, parts, strict=True):
            found.setdefault(shard.name, {}).update(part)
        return found

    def _remember(self, deliveries: Mapping[str, Delivery], now_s: float) -> None:
        for connection_id, delivery in deliveries.items():
            if delivery.last is Outcome.TIMED_OUT:
                self.slow.timed_out(connection_id, now_s)
            elif delivery.last is not Outcome.NOT_TRIED:
                self.slow.answered(connection_id)

    def _forget(
        self, audience: Audience, deliveries: Mapping[str, Delivery], now_ms: int
    ) -> int:
        gone = [
            connection_id
            for connection_id, delivery in deliveries.items()
            if delivery.last is Outcome.GONE
            and now_ms - audience.connected_ms[connection_id] >= YOUNG_MS
        ]
        done = self.readers.map(
            lambda one: self.connections.forget(one, audience.names[one]), gone
        )
        return len(list(done))


def _slow_ones_last(
    messages: Mapping[str, list[bytes]], paused: set[str], limits_s: Mapping[str, float]
) -> dict[str, list[bytes]]:
    taken = {one: texts for one, texts in messages.items() if one not in paused}
    return dict(sorted(taken.items(), key=lambda item: item[0] in limits_s))


def _of_batch(batch: Batch, now_ms: int) -> Report:
    return {
        "records": batch.records,
        "poison": batch.poison,
        "other_pace": batch.other_pace,
        "cut": batch.cut,
        "prices": len(batch.prices),
        "age_ms": 0 if batch.oldest_ms is None else now_ms - batch.oldest_ms,
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


def _refuse_failure_of_all(deliveries: Mapping[str, Delivery], report: Report) -> None:
    tried = {one.last for one in deliveries.values()} - {Outcome.NOT_TRIED}
    if tried and tried <= OF_THE_SERVICE and not report["sent"]:
        reasons = ", ".join(sorted(outcome.value for outcome in tried))
        raise GatewayUnavailable(f"no client could be sent to: {reasons}")
