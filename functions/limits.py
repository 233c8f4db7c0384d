"""The table of limits: what a key uses now (rule 25); the only file that knows its keys.

    RATE#<key id> / BUCKET     full_us: when the key may be used in a burst again
    SLOT#<key id> / <00…>      the connection that has the slot, its stage, since when

Items expire when they say nothing any more; every change is conditional.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.dynamodb import dynamodb, store_errors
from functions.logic.limit_rate import Rate
from functions.settings import settings
from marketdata.connection_items import LIFE_S
from marketdata.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROUNDS = 4
"""A use needs one round, two where uses meet, three when the item goes away meanwhile."""
MAX_HINTS = 1000
REFUSED = "ConditionalCheckFailedException"

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Holder:
    """The connection that has a slot."""

    connection_id: str
    stage: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One of a key's slots, taken."""

    number: int
    holder: Holder


class LimitsTable:
    """Uses of keys, and slots for their connections; safe to use from several threads."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._hints: dict[str, int] = {}

    def spend(self, key_id: str, rate: Rate, now_us: int, cost: int = 1) -> int:
        """Use the key; 0, or how many microseconds to wait for (then nothing was used).

        Exact however many use it at once. Needs `dynamodb:UpdateItem`. Raises StoreError.
        """
        full_us = self._hints.get(key_id, 0)
        for _ in range(ROUNDS):
            found_us = self._use(key_id, rate, now_us, cost, is_full=full_us <= now_us)
            if found_us is None:
                return 0
            full_us = found_us
            wait_us = rate.wait_us(full_us, now_us, cost)
            if wait_us:
                return wait_us
        raise StoreUnavailable("counting the uses of a key failed: its item keeps changing")

    def held(self, key_id: str, now_s: int) -> list[Slot]:
        """The slots that are taken and have not expired, strongly consistent.

        Needs `dynamodb:Query`. Raises StoreError.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            FilterExpression="#exp > :now",
            ExpressionAttributeNames={"#exp": "exp"},
            ExpressionAttributeValues={
                ":pk": {"S": _slots_pk(key_id)},
                ":now": {"N": str(now_s)},
            },
        )
        with store_errors("reading the connections of a key"):
            return [_slot(item) for page in pages for item in page["Items"]]

    def claim(self, key_id: str, number: int, holder: Holder, instead_of: str = "") -> bool:
        """Take a slot that is free, has expired, or is held by `instead_of`.

        Needs `dynamodb:PutItem`. Raises StoreError.
        """
        now_s = holder.since_ms // 1000
        item = {
            **_slot_key(key_id, number),
            "connection": {"S": holder.connection_id},
            "stage": {"S": holder.stage},
            "since_ms": {"N": str(holder.since_ms)},
            "exp": {"N": str(now_s + LIFE_S)},
        }
        return self._changed(
            "taking a connection of a key",
            self._client.put_item,
            Item=item,
            ConditionExpression=(
                "attribute_not_exists(pk) OR #exp <= :now OR #connection IN (:own, :old)"
            ),
            ExpressionAttributeNames={"#exp": "exp", "#connection": "connection"},
            ExpressionAttributeValues={
                ":now": {"N": str(now_s)},
                ":own": {"S": holder.connection_id},
                ":old": {"S": instead_of},
            },
        )

    def release(self, key_id: str, number: int, connection_id: str) -> bool:
        """Free a slot, if it is this connection's. Needs `dynamodb:DeleteItem`.

        Raises:
            StoreError: DynamoDB failed.
        """
        return self._changed(
            "freeing a connection of a key",
            self._client.delete_item,
            Key=_slot_key(key_id, number),
            ConditionExpression="#connection = :own",
            ExpressionAttributeNames={"#connection": "connection"},
            ExpressionAttributeValues={":own": {"S": connection_id}},
        )

    def _use(
        self, key_id: str, rate: Rate, now_us: int, cost: int, *, is_full: bool
    ) -> int | None:
        """One attempt; None when it succeeded, else `full_us` as it is (0: no item)."""
        step_us = cost * rate.interval_us
        latest_us = rate.latest_us(now_us, cost)
        values = {":now": now_us, ":to": now_us + step_us} if is_full else {":now": now_us}
        values |= {} if is_full else {":step": step_us, ":latest": latest_us}
        change = "full_us = :to" if is_full else "full_us = full_us + :step"
        condition = (
            "attribute_not_exists(full_us) OR full_us <= :now"
            if is_full
            else "full_us > :now AND full_us <= :latest"
        )
        values[":exp"] = (now_us + rate.burst * rate.interval_us) // 1_000_000 + 60
        with store_errors("counting the uses of a key"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key={"pk": {"S": f"RATE#{key_id}"}, "sk": {"S": "BUCKET"}},
                    UpdateExpression=f"SET {change}, #exp = :exp",
                    ConditionExpression=condition,
                    ExpressionAttributeNames={"#exp": "exp"},
                    ExpressionAttributeValues={
                        name: {"N": str(number)} for name, number in values.items()
                    },
                    ReturnValues="UPDATED_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != REFUSED:
                    raise
                old: Any = error.response.get("Item", {})
                return _full_us(old)
        self._remember(key_id, _full_us(answer["Attributes"]))
        return None

    def _remember(self, key_id: str, full_us: int) -> None:
        """Only a hint at which change to try first; forgotten all at once when too many."""
        if len(self._hints) >= MAX_HINTS:
            self._hints.clear()
        self._hints[key_id] = full_us

    def _changed(self, what: str, change: Any, **arguments: Any) -> bool:
        with store_errors(what):
            try:
                change(TableName=self._table, **arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] != REFUSED:
                    raise
                return False
        return True


@functools.cache
def limits_table() -> LimitsTable:
    """This process's table, made when first needed."""
    return LimitsTable(dynamodb(), settings().having("limits_table").limits_table)


def _slots_pk(key_id: str) -> str:
    return f"SLOT#{key_id}"


def _slot_key(key_id: str, number: int) -> Item:
    return {"pk": {"S": _slots_pk(key_id)}, "sk": {"S": f"{number:02d}"}}


def _slot(item: Mapping[str, Any]) -> Slot:
    holder = Holder(item["connection"]["S"], item["stage"]["S"], int(item["since_ms"]["N"]))
    return Slot(int(item["sk"]["S"]), holder)


def _full_us(item: Mapping[str, Any]) -> int:
    return int(item.get("full_us", {}).get("N", 0))
