"""Connections: the items `CONN#<stage>#<shard>`/`<id>` of the connections table (rule 25).

A connection reserves up to ten names (`symbols`), each with the token of the subscribe that
asked for it, and with what it asked for (`wants`). `rev` counts the changes of these two; every
change is conditional on the `rev` that it was computed from, so that messages of one connection
may run at the same time.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.dynamodb import store_errors
from functions.offsets_by_source import offsets_map
from marketdata.connection_items import (
    LIFE_S,
    connections_pk,
    registrations_pk,
    shard_of,
    subscriptions_pk,
)
from marketdata.errors import StoreUnavailable
from marketdata.ring_items import Source
from marketdata.subscriptions import CHANNEL_FEEDS, Wants, stored_wants

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGISTERED_FEEDS = ("events", "ticks", "candles", "depth")
BATCH = 25
MAX_ROUNDS = 5
TOUCH_MS = 60_000
MAX_TOUCHED = 10_000
CONTENTION = frozenset({"ConditionalCheckFailed", "TransactionConflict"})
REFUSED = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as it was read; `names` are reserved, each with its token."""

    stage: str
    id: str
    connected_ms: int
    exp_s: int
    rev: int
    names: Mapping[str, int] = field(default_factory=dict)
    wants: Mapping[str, Wants] = field(default_factory=dict)


class ConnectionsTable:
    """Reads and changes connections; methods that return a bool change nothing when False."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self.table = table
        self._touched: OrderedDict[str, int] = OrderedDict()

    def open(
        self,
        connection_id: str,
        *,
        key_id: str,
        stage: str,
        connected_ms: int,
        start: Mapping[Source, int] | None = None,
    ) -> None:
        """Remember a new connection; `start` is where the sources' heads stood.

        Needs `dynamodb:PutItem`. Raises StoreError.
        """
        item = {
            **meta_key(stage, connection_id),
            "key_id": {"S": key_id},
            "stage": {"S": stage},
            "connected_ms": {"N": str(connected_ms)},
            "exp": {"N": str(connected_ms // 1000 + LIFE_S)},
            "rev": {"N": "0"},
            "symbols": {"M": {}},
            "wants": {"M": {}},
            **({} if start is None else {"start": offsets_map(start)}),
        }
        with store_errors("remembering a connection"):
            self._client.put_item(TableName=self.table, Item=item)

    def get(self, stage: str, connection_id: str) -> Connection | None:
        """The connection as it is now; needs `dynamodb:GetItem`. Raises StoreError."""
        key = meta_key(stage, connection_id)
        with store_errors("reading a connection"):
            answer = self._client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        item = answer.get("Item")
        return _connection(stage, connection_id, item) if item else None

    def touch(self, stage: str, connection_id: str, now_ms: int) -> None:
        """Say that a message came in; written once a minute at most by each warm function.

        A connection that is not known stays unknown. Needs `dynamodb:UpdateItem`. Raises
        StoreError.
        """
        if now_ms - self._touched.get(connection_id, 0) < TOUCH_MS:
            return
        change: Any = {
            "TableName": self.table,
            "Key": meta_key(stage, connection_id),
            "UpdateExpression": "SET last_in_ms = :now",
            "ConditionExpression": "attribute_exists(pk) AND "
            "(attribute_not_exists(last_in_ms) OR last_in_ms < :stale)",
            "ExpressionAttributeValues": {
                ":now": {"N": str(now_ms)},
                ":stale": {"N": str(now_ms - TOUCH_MS)},
            },
        }
        if not self.update("noting a message", change):
            return  # another warm function has said so, less than a minute ago
        self._touched[connection_id] = now_ms
        self._touched.move_to_end(connection_id)
        if len(self._touched) > MAX_TOUCHED:
            self._touched.popitem(last=False)

    def forget(self, stage: str, connection_id: str, seen: Iterable[str] = ()) -> None:
        """Remove a connection, its registrations and subscriptions, those to `seen` too.

        Needs `dynamodb:DeleteItem` and `dynamodb:BatchWriteItem`. Raises StoreError.
        """
        key = meta_key(stage, connection_id)
        with store_errors("forgetting a connection"):
            answer = self._client.delete_item(
                TableName=self.table, Key=key, ReturnValues="ALL_OLD"
            )
        # META first: after that nothing that is under way can begin to be served.
        item = answer.get("Attributes", {})
        names = {*item.get("symbols", {}).get("M", {}), *seen}
        shard = shard_of(connection_id)
        pks = [subscriptions_pk(feed, name, shard) for name in names for feed in CHANNEL_FEEDS]
        if not item or item.get("registered", {}).get("BOOL"):
            pks += [registrations_pk(feed, shard) for feed in REGISTERED_FEEDS]
        keys = [{"pk": {"S": pk}, "sk": {"S": connection_id}} for pk in pks]
        for start in range(0, len(keys), BATCH):
            self._delete(keys[start : start + BATCH])

    def update(self, what: str, change: Item) -> bool:
        """One conditional UpdateItem; False when its condition or a transaction refused it."""
        with store_errors(what):
            try:
                self._client.update_item(**change)
            except ClientError as error:
                if error.response["Error"]["Code"] in REFUSED:
                    return False
                raise
        return True

    def transact(self, what: str, actions: Sequence[Item]) -> bool:
        """All actions or none; False when a condition or another transaction refused them.

        Raises StoreError for everything else.
        """
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
        wanted: Any = {self.table: [{"DeleteRequest": {"Key": key}} for key in keys]}
        for _ in range(MAX_ROUNDS):
            with store_errors("forgetting subscriptions"):
                wanted = self._client.batch_write_item(RequestItems=wanted)["UnprocessedItems"]
            if not wanted:
                return
        raise StoreUnavailable("forgetting subscriptions failed: DynamoDB left some")


def meta_key(stage: str, connection_id: str) -> Item:
    """The key of a connection's own item."""
    pk = connections_pk(stage, shard_of(connection_id))
    return {"pk": {"S": pk}, "sk": {"S": connection_id}}


def _connection(stage: str, connection_id: str, item: Mapping[str, Any]) -> Connection:
    wants = item.get("wants", {}).get("M", {})
    return Connection(
        stage=stage,
        id=connection_id,
        connected_ms=int(item["connected_ms"]["N"]),
        exp_s=int(item["exp"]["N"]),
        rev=int(item["rev"]["N"]),
        names={name: int(token["N"]) for name, token in item["symbols"]["M"].items()},
        wants={name: stored_wants(text["S"]) for name, text in wants.items()},
    )
