"""Subscriptions that are served: `SUB#<feed>#<name>#<shard>`/`<id>`, and LATE (rules 20, 22).

A change of what a connection has goes together with its own item (see
`functions.connections`): nothing is served that is not reserved.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from functions.connections import Connection, ConnectionsTable, Item, meta_key
from functions.dynamodb import store_errors
from functions.offsets_by_source import offsets_in, offsets_text
from marketdata.connection_items import LATE, SHARDS, Feed, late_sk, shard_of, subscriptions_pk
from marketdata.errors import StoreUnavailable
from marketdata.ring_items import Source
from marketdata.subscriptions import CHANNEL_FEEDS, Want, Wants, wants_text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_ROUNDS = 5
LATE_LIFE_S = 300


class Shard(NamedTuple):
    """One of the parts in which a feed's subscribers to a name are kept."""

    feed: Feed
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A connection that is served a name from a feed.

    `cuts` says from which offset on; a source that is not in it has nothing for the
    subscriber yet, and None is everything: of a topic that is not in the ring.
    """

    connection_id: str
    stage: str
    connected_ms: int
    want: Want
    cursors: bool = False
    cuts: Mapping[Source, int] | None = None

    def is_due(self, source: Source, offset: int) -> bool:
        """Whether an update is for the push, and not replayed (rule 20)."""
        return self.cuts is None or self.cuts.get(source, offset + 1) <= offset


@dataclass(frozen=True, slots=True)
class Terms:
    """How a subscribe is to be served: whether with cursors, and from where on."""

    cursors: bool = False
    cuts: Mapping[str, Mapping[Source, int]] = field(default_factory=dict)
    """By topic; one that is not there is served from now on."""
    kept: Mapping[tuple[str, Feed], Subscriber] | None = None
    """What is served already keeps its own of both."""


class SubscriptionsTable:
    """Reads and changes subscriptions; methods that return a bool change nothing when False.

    Every method may raise StoreError.
    """

    def __init__(self, client: "DynamoDBClient", connections: ConnectionsTable) -> None:
        self._client = client
        self._connections = connections
        self._table = connections.table

    def reserve(
        self, connection: Connection, names: Mapping[str, int], wants: Mapping[str, Wants]
    ) -> bool:
        """Write all reservations of a connection, unless it changed since it was read.

        On `ws` a connection that wants something is registered. Needs `dynamodb:UpdateItem`.
        """
        if connection.stage == "ws":
            change = self._change(connection, names, wants, "SET registered = :yes, ")
            change["ExpressionAttributeValues"][":yes"] = {"BOOL": True}
        else:
            change = self._change(connection, names, wants)
        return self._connections.update("reserving subscriptions", change)

    def serve(
        self,
        connection: Connection,
        wants: Mapping[str, Wants],
        token: int,
        terms: Terms,
        conditions: Iterable[Item] = (),
    ) -> bool:
        """Begin to serve names, if each is still reserved with this token and these wants.

        What a name had from another feed before ends. Needs `dynamodb:ConditionCheckItem`,
        `PutItem` and `DeleteItem`.
        """
        names = {f"#n{number}": name for number, name in enumerate(wants)}
        texts = {f":w{number}": wants_text(one) for number, one in enumerate(wants.values())}
        check = {
            "TableName": self._table,
            "Key": meta_key(connection.stage, connection.id),
            "ConditionExpression": " AND ".join(
                f"#symbols.#n{number} = :token AND wants.#n{number} = :w{number}"
                for number in range(len(wants))
            ),
            "ExpressionAttributeNames": {"#symbols": "symbols", **names},
            "ExpressionAttributeValues": {
                ":token": {"N": str(token)},
                **{label: {"S": text} for label, text in texts.items()},
            },
        }
        changes = [
            action
            for name, own in wants.items()
            for action in self._serving(connection, name, own, terms)
        ]
        actions = [{"ConditionCheck": check}, *changes, *conditions]
        return self._connections.transact("beginning subscriptions", actions)

    def release(
        self,
        connection: Connection,
        names: Mapping[str, int],
        wants: Mapping[str, Wants],
        ended: Collection[tuple[str, Feed]],
        restored: Mapping[tuple[str, Feed], Subscriber] | None = None,
    ) -> bool:
        """End subscriptions and their reservations together, unless something changed.

        `restored` are served again as they were. Needs `dynamodb:UpdateItem`, `PutItem` and
        `DeleteItem`.
        """
        update = self._change(connection, names, wants)
        deletes = [
            {"Delete": {"TableName": self._table, "Key": _key(feed, name, connection.id)}}
            for name, feed in ended
        ]
        puts = [
            self._put(connection, name, one.want, cursors=one.cursors, cuts=one.cuts)
            for (name, _), one in (restored or {}).items()
        ]
        return self._connections.transact(
            "ending subscriptions", [{"Update": update}, *deletes, *puts]
        )

    def served(
        self, connection: Connection, names: Collection[str]
    ) -> dict[tuple[str, Feed], Subscriber]:
        """What a connection is served of at most ten names; needs `dynamodb:BatchGetItem`."""
        asked = {
            (name, feed): _key(feed, name, connection.id)
            for name in names
            for feed in CHANNEL_FEEDS
        }
        if not asked:
            return {}
        by_pk = {key["pk"]["S"]: at for at, key in asked.items()}
        wanted: Any = {self._table: {"Keys": list(asked.values()), "ConsistentRead": True}}
        found: dict[tuple[str, Feed], Subscriber] = {}
        for _ in range(MAX_ROUNDS):
            with store_errors("reading subscriptions"):
                answer: Any = self._client.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, []):
                at = by_pk[item["pk"]["S"]]
                found[at] = subscriber_of(at[1], item)
            wanted = answer["UnprocessedKeys"]
            if not wanted:
                return found
        raise StoreUnavailable("reading subscriptions failed: DynamoDB left some")

    def shards(self, feed: Feed, name: str) -> list[Shard]:
        """The parts that have to be read to know all subscribers to a name."""
        return [Shard(feed, name, number) for number in range(SHARDS)]

    def subscribers(self, shard: Shard, now_s: int) -> list[Subscriber]:
        """Who is served a name, from one of its parts, strongly consistent.

        Needs `dynamodb:Query`.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            FilterExpression="#exp > :now",
            ExpressionAttributeNames={"#exp": "exp"},
            ExpressionAttributeValues={
                ":pk": {"S": subscriptions_pk(*shard)},
                ":now": {"N": str(now_s)},
            },
        )
        with store_errors("reading the subscribers"):
            return [subscriber_of(shard.feed, item) for page in pages for item in page["Items"]]

    def put_late(
        self, connection_id: str, stage: str, name: str, want: Want, now_s: int
    ) -> None:
        """Note that a client has missed the newest value; needs `dynamodb:PutItem`."""
        item = {
            "pk": {"S": LATE},
            "sk": {"S": late_sk(connection_id, want.feed, name)},
            "stage": {"S": stage},
            "exp": {"N": str(now_s + LATE_LIFE_S)},
            # Who deletes it compares all of it: two within one second must differ.
            "at_ns": {"N": str(time.time_ns())},
            **_of_want(want),
        }
        with store_errors("noting a late delivery"):
            self._client.put_item(TableName=self._table, Item=item)

    def _change(
        self,
        connection: Connection,
        names: Mapping[str, int],
        wants: Mapping[str, Wants],
        change: str = "SET ",
    ) -> Item:
        tokens = {name: {"N": str(token)} for name, token in names.items()}
        texts = {name: {"S": wants_text(one)} for name, one in wants.items()}
        return {
            "TableName": self._table,
            "Key": meta_key(connection.stage, connection.id),
            "UpdateExpression": f"{change}#symbols = :symbols, wants = :wants, #rev = :next",
            "ConditionExpression": "#rev = :rev",
            "ExpressionAttributeNames": {"#symbols": "symbols", "#rev": "rev"},
            "ExpressionAttributeValues": {
                ":symbols": {"M": tokens},
                ":wants": {"M": texts},
                ":rev": {"N": str(connection.rev)},
                ":next": {"N": str(connection.rev + 1)},
            },
        }

    def _serving(
        self, connection: Connection, name: str, wants: Wants, terms: Terms
    ) -> list[Item]:
        feeds = {want.feed: want for want in wants}
        # Nothing is served of a name that was not reserved before.
        others = [] if name not in connection.names else CHANNEL_FEEDS
        actions: list[Item] = [
            {"Delete": {"TableName": self._table, "Key": _key(feed, name, connection.id)}}
            for feed in others
            if feed not in feeds
        ]
        for want in wants:
            kept = (terms.kept or {}).get((name, want.feed))
            cuts = terms.cuts.get(want.feed) if kept is None else kept.cuts
            cursors = terms.cursors if kept is None else kept.cursors
            actions.append(self._put(connection, name, want, cursors=cursors, cuts=cuts))
        return actions

    def _put(
        self,
        connection: Connection,
        name: str,
        want: Want,
        *,
        cursors: bool,
        cuts: Mapping[Source, int] | None,
    ) -> Item:
        item = {
            **_key(want.feed, name, connection.id),
            "stage": {"S": connection.stage},
            "connected_ms": {"N": str(connection.connected_ms)},
            "exp": {"N": str(connection.exp_s)},
            "cursors": {"BOOL": cursors},
            **_of_want(want),
            **({} if cuts is None else {"cuts": offsets_text(cuts)}),
        }
        return {"Put": {"TableName": self._table, "Item": item}}


def _key(feed: Feed, name: str, connection_id: str) -> Item:
    pk = subscriptions_pk(feed, name, shard_of(connection_id))
    return {"pk": {"S": pk}, "sk": {"S": connection_id}}


def _of_want(want: Want) -> Item:
    given = {"rate": want.rate, "interval": want.interval, "source": want.source}
    texts = {name: {"S": text} for name, text in given.items() if text}
    return {**texts, **({"bare": {"BOOL": True}} if want.bare else {})}


def subscriber_of(feed: Feed, item: Mapping[str, Any]) -> Subscriber:
    """The subscriber that an item of a feed's is."""
    texts = {name: item.get(name, {}).get("S", "") for name in ("rate", "interval", "source")}
    return Subscriber(
        item["sk"]["S"],
        item["stage"]["S"],
        int(item["connected_ms"]["N"]),
        Want(feed, bare=item.get("bare", {}).get("BOOL", False), **texts),
        cursors=item.get("cursors", {}).get("BOOL", False),
        cuts=offsets_in(item["cuts"]) if "cuts" in item else None,
    )
