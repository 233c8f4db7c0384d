"""Connections and their subscriptions: the only file that knows the table's keys (rule 25).

`CONN#<id>`/`META` says who is connected and reserves up to ten names, each with the token of
the subscribe that asked for it. `SYM#<name>#<shard>`/`<id>` is one subscription that is served.
`rev` counts the changes of an item `META`; every change is conditional on the `rev` that it
was computed from, so that messages of one connection may run at the same time.
"""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from functions.dynamodb import store_errors
from marketdata.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHARDS = 4
"""Each is one partition of DynamoDB: 1,000 writes and 3,000 reads a second a name and shard."""
LIFE_S = 7_500
"""How long an item is believed: API Gateway ends a connection after 2 h; some margin."""
BATCH = 25
MAX_ROUNDS = 5
CONTENTION = frozenset({"ConditionalCheckFailed", "TransactionConflict"})

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Connection:
    """The item `META` as it was read."""

    id: str
    connected_ms: int
    exp_s: int
    rev: int
    names: Mapping[str, int] = field(default_factory=dict)


class Subscriber(NamedTuple):
    """A connection that a name's prices go to."""

    connection_id: str
    connected_ms: int


class Shard(NamedTuple):
    """One of the parts in which a name's subscribers are kept."""

    name: str
    number: int


class ConnectionsTable:
    """Reads and changes connections; methods that return a bool change nothing when False."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def open(self, connection_id: str, *, key_id: str, stage: str, connected_ms: int) -> None:
        """Remember a new connection; needs `dynamodb:PutItem`. Raises StoreError."""
        item = {
            **_meta_key(connection_id),
            "key_id": {"S": key_id},
            "stage": {"S": stage},
            "connected_ms": {"N": str(connected_ms)},
            "exp": {"N": str(connected_ms // 1000 + LIFE_S)},
            "rev": {"N": "0"},
            "symbols": {"M": {}},
        }
        with store_errors("remembering a connection"):
            self._client.put_item(TableName=self._table, Item=item)

    def get(self, connection_id: str) -> Connection | None:
        """The connection as it is now; needs `dynamodb:GetItem`. Raises StoreError."""
        with store_errors("reading a connection"):
            answer = self._client.get_item(
                TableName=self._table, Key=_meta_key(connection_id), ConsistentRead=True
            )
        item = answer.get("Item")
        return _connection(connection_id, item) if item else None

    def reserve(self, connection: Connection, names: Mapping[str, int]) -> bool:
        """Write all reservations of a connection, unless it changed since it was read.

        Needs `dynamodb:UpdateItem`. Raises StoreError.
        """
        change = self._change_of_names(connection, names)
        with store_errors("reserving subscriptions"):
            try:
                self._client.update_item(**change)
            except ClientError as error:
                if error.response["Error"]["Code"] in {
                    "ConditionalCheckFailedException",
                    "TransactionConflictException",
                }:
                    return False
                raise
        return True

    def serve(self, connection: Connection, names: Collection[str], token: int) -> bool:
        """Begin to serve names, if each is still reserved with this token.

        Needs `dynamodb:ConditionCheckItem` and `dynamodb:PutItem`. Raises StoreError.
        """
        labels = {f"#n{number}": name for number, name in enumerate(names)}
        check = {
            "TableName": self._table,
            "Key": _meta_key(connection.id),
            "ConditionExpression": " AND ".join(
                f"#symbols.{label} = :token" for label in labels
            ),
            "ExpressionAttributeNames": {"#symbols": "symbols", **labels},
            "ExpressionAttributeValues": {":token": {"N": str(token)}},
        }
        attributes = {
            "connected_ms": {"N": str(connection.connected_ms)},
            "exp": {"N": str(connection.exp_s)},
        }
        puts = [
            {"Put": {"TableName": self._table, "Item": {**key, **attributes}}}
            for key in (_symbol_key(name, connection.id) for name in names)
        ]
        return self._together("beginning subscriptions", [{"ConditionCheck": check}, *puts])

    def release(
        self, connection: Connection, remaining: Mapping[str, int], ended: Collection[str]
    ) -> bool:
        """End subscriptions and their reservations together, unless something changed.

        Needs `dynamodb:UpdateItem` and `dynamodb:DeleteItem`. Raises StoreError.
        """
        update = self._change_of_names(connection, remaining)
        deletes = [
            {"Delete": {"TableName": self._table, "Key": _symbol_key(name, connection.id)}}
            for name in ended
        ]
        return self._together("ending subscriptions", [{"Update": update}, *deletes])

    def forget(self, connection_id: str, seen: Iterable[str] = ()) -> None:
        """Remove a connection, its subscriptions, and those under the names `seen`.

        Needs `dynamodb:DeleteItem` and `dynamodb:BatchWriteItem`. Raises StoreError.
        """
        with store_errors("forgetting a connection"):
            answer = self._client.delete_item(
                TableName=self._table, Key=_meta_key(connection_id), ReturnValues="ALL_OLD"
            )
        # META first: after that no subscribe that is under way can begin to serve (`serve`).
        symbols = answer.get("Attributes", {}).get("symbols", {}).get("M", {})
        keys = [_symbol_key(name, connection_id) for name in {*symbols, *seen}]
        for start in range(0, len(keys), BATCH):
            self._delete(keys[start : start + BATCH])

    def shards(self, name: str) -> list[Shard]:
        """The parts that have to be read to know all subscribers of a name."""
        return [Shard(name, number) for number in range(SHARDS)]

    def subscribers(self, shard: Shard, now_s: int) -> list[Subscriber]:
        """Who is served a name, from one of its parts, strongly consistent.

        Needs `dynamodb:Query`. Raises StoreError.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            FilterExpression="#exp > :now",
            ProjectionExpression="sk, connected_ms",
            ExpressionAttributeNames={"#exp": "exp"},
            ExpressionAttributeValues={
                ":pk": {"S": _symbol_pk(shard)},
                ":now": {"N": str(now_s)},
            },
        )
        with store_errors("reading the subscribers"):
            return [
                Subscriber(item["sk"]["S"], int(item["connected_ms"]["N"]))
                for page in pages
                for item in page["Items"]
            ]

    def _change_of_names(self, connection: Connection, names: Mapping[str, int]) -> Item:
        return {
            "TableName": self._table,
            "Key": _meta_key(connection.id),
            "UpdateExpression": "SET #symbols = :symbols, #rev = :next",
            "ConditionExpression": "#rev = :rev",
            "ExpressionAttributeNames": {"#symbols": "symbols", "#rev": "rev"},
            "ExpressionAttributeValues": {
                ":symbols": {"M": {name: {"N": str(token)} for name, token in names.items()}},
                ":rev": {"N": str(connection.rev)},
                ":next": {"N": str(connection.rev + 1)},
            },
        }

    def _together(self, what: str, actions: Sequence[Item]) -> bool:
        with store_errors(what):
            try:
                self._client.transact_write_items(TransactItems=list(actions))  # type: ignore[arg-type]
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = error.response.get("CancellationReasons", [])
                codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
                if codes and codes <= CONTENTION:
                    return False
                raise
        return True

    def _delete(self, keys: Sequence[Item]) -> None:
        wanted: Any = {self._table: [{"DeleteRequest": {"Key": key}} for key in keys]}
        for _ in range(MAX_ROUNDS):
            with store_errors("forgetting subscriptions"):
                wanted = self._client.batch_write_item(RequestItems=wanted)["UnprocessedItems"]
            if not wanted:
                return
        raise StoreUnavailable("forgetting subscriptions failed: DynamoDB left some")


def _meta_key(connection_id: str) -> Item:
    return {"pk": {"S": f"CONN#{connection_id}"}, "sk": {"S": "META"}}


def _symbol_key(name: str, connection_id: str) -> Item:
    shard = Shard(name, zlib.crc32(connection_id.encode()) % SHARDS)
    return {"pk": {"S": _symbol_pk(shard)}, "sk": {"S": connection_id}}


def _symbol_pk(shard: Shard) -> str:
    return f"SYM#{shard.name}#{shard.number}"


def _connection(connection_id: str, item: Mapping[str, Any]) -> Connection:
    return Connection(
        id=connection_id,
        connected_ms=int(item["connected_ms"]["N"]),
        exp_s=int(item["exp"]["N"]),
        rev=int(item["rev"]["N"]),
        names={name: int(token["N"]) for name, token in item["symbols"]["M"].items()},
    )
