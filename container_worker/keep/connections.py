"""The connections table as the keeper reads and clears it (marketdata/connection_items.py).

CONN#<stage>#<shard> ─► Connection      a connection's end ─► all its items deleted
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from container_worker.keep.connection import Connection, read_connection
from container_worker.keep.store_errors import store_errors
from marketdata.connection_items import (
    LATE,
    connections_pk,
    registrations_pk,
    shard_of,
    subscriptions_pk,
)
from marketdata.errors import StoreConflict, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SUBSCRIBED = ("ticks", "candles", "depth", "prices")
REGISTERED = ("events", "ticks", "candles", "depth")
READ = (
    *("connected_ms", "key_id", "last_in_ms", "symbols"),
    *("registered", "register_until_ms", "resume", "told"),
)
BATCH = 25
MAX_ROUNDS = 5

Item = dict[str, Any]


class Connections:
    """One table of connections; every method may be called from several threads.

    Every method raises StoreUnavailable where another try may help, and StoreError.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def of_shard(self, stage: str, shard: int) -> list[Connection]:
        """The connections of one shard, eventually consistent; needs `dynamodb:Query`."""
        names = {f"#{name}": name for name in READ}
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ProjectionExpression=", ".join(["sk", *names]),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":pk": {"S": connections_pk(stage, shard)}},
        )
        with store_errors("reading the connections"):
            return [
                read_connection(stage, item["sk"]["S"], item)
                for page in pages
                for item in page["Items"]
            ]

    def get(self, connection: Connection) -> Connection | None:
        """The connection as it is now; None: no more. Needs `dynamodb:GetItem`."""
        item = self._strong(_key_of(connection), "reading a connection")
        return read_connection(connection.stage, connection.id, item) if item else None

    def subscription(self, feed: str, name: str, connection_id: str) -> Item | None:
        """A subscription as it is now; None: no more. Needs `dynamodb:GetItem`."""
        pk = subscriptions_pk(feed, name, shard_of(connection_id))
        return self._strong(_key(pk, connection_id), "reading a subscription")

    def registration(self, feed: str, connection_id: str) -> Item | None:
        """A registration as it is now; None: no more. Needs `dynamodb:GetItem`."""
        pk = registrations_pk(feed, shard_of(connection_id))
        return self._strong(_key(pk, connection_id), "reading a registration")

    def claim_notice(self, connection: Connection) -> bool:
        """Whether its end is ours to announce: true for the first who asks.

        Needs `dynamodb:UpdateItem`.
        """
        return self._change(
            connection, "SET told = :yes", "attribute_exists(pk) AND attribute_not_exists(told)"
        )

    def give_notice_back(self, connection: Connection) -> None:
        """Its end was not announced after all; needs `dynamodb:UpdateItem`."""
        self._change(connection, "REMOVE told", "told = :yes")

    def forget(self, connection: Connection) -> None:
        """Deletes everything that belongs to a connection; repeating it changes nothing.

        Needs `dynamodb:DeleteItem`, `dynamodb:Query` and `dynamodb:BatchWriteItem`.
        """
        with store_errors("forgetting a connection"):
            answer = self._client.delete_item(
                TableName=self._table, Key=_key_of(connection), ReturnValues="ALL_OLD"
            )
        # META first: after that no subscribe that is under way can begin to serve.
        symbols = answer.get("Attributes", {}).get("symbols", {}).get("M", {})
        self._delete(_keys_of(connection.id, {*symbols, *connection.names}))
        self._delete(self._late_keys(connection.id))

    def _late_keys(self, connection_id: str) -> Iterator[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :id)",
            ProjectionExpression="pk, sk",
            ExpressionAttributeValues={":pk": {"S": LATE}, ":id": {"S": f"{connection_id}#"}},
        )
        with store_errors("reading late items"):
            for page in pages:
                yield from page["Items"]

    def _strong(self, key: Item, what: str) -> Item | None:
        with store_errors(what):
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _change(self, connection: Connection, update: str, condition: str) -> bool:
        try:
            with store_errors("noting an announcement"):
                self._client.update_item(
                    TableName=self._table,
                    Key=_key_of(connection),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues={":yes": {"BOOL": True}},
                )
        except StoreConflict:
            return False
        return True

    def _delete(self, keys: Iterable[Item]) -> None:
        left = [{"DeleteRequest": {"Key": key}} for key in keys]
        for start in range(0, len(left), BATCH):
            self._write(left[start : start + BATCH])

    def _write(self, requests: list[Item]) -> None:
        wanted: Mapping[str, Any] = {self._table: requests}
        for _ in range(MAX_ROUNDS):
            with store_errors("forgetting a connection"):
                wanted = self._client.batch_write_item(RequestItems=wanted)["UnprocessedItems"]
            if not wanted:
                return
        raise StoreUnavailable("forgetting a connection failed: DynamoDB left some items")


def _keys_of(connection_id: str, names: Iterable[str]) -> list[Item]:
    shard = shard_of(connection_id)
    served = [subscriptions_pk(feed, name, shard) for name in names for feed in SUBSCRIBED]
    registered = [registrations_pk(feed, shard) for feed in REGISTERED]
    return [_key(pk, connection_id) for pk in (*served, *registered)]


def _key_of(connection: Connection) -> Item:
    return _key(connections_pk(connection.stage, shard_of(connection.id)), connection.id)


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
