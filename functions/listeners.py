"""Everybody who listens, by one read, while the connections table is small.

    a page, strongly consistent ─┬─► it is all there is: subscribers and registrations
                                 └─► there is more: the parts of each name are asked for, and
                                     the next page after a minute

Asking for the parts is four reads a name in each batch, though mostly nobody listens.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.dynamodb import store_errors
from functions.registrations import Registration, registration_of
from functions.subscriptions import Subscriber, subscriber_of
from marketdata.connection_items import (
    REGISTRATIONS,
    SUBSCRIPTIONS,
    Feed,
    feed_and_name,
    feed_of_registrations,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_ITEMS = 500
"""Items of any kind: reading so many costs what the parts of about twenty names do."""
LARGE_S = 60.0


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who listens to what, as of one read."""

    subscribers: Mapping[tuple[Feed, str], Sequence[Subscriber]]
    registrations: Mapping[Feed, Sequence[Registration]]


class ListenersTable:
    """Reads the connections table; `clock` is monotonic, in seconds."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        most_items: int = MOST_ITEMS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._most_items = most_items
        self._clock = clock
        self._large_until_s = 0.0

    def all(self, now_s: int) -> Listeners | None:
        """Everybody whose items were written before this call; None when there are too many.

        Needs `dynamodb:Scan`.

        Raises:
            StoreError: DynamoDB failed.
        """
        if self._clock() < self._large_until_s:
            return None
        with store_errors("reading who listens"):
            page = self._client.scan(
                TableName=self._table,
                ConsistentRead=True,
                Limit=self._most_items,
                FilterExpression=(
                    "(begins_with(pk, :sub) OR begins_with(pk, :reg)) AND #exp > :now"
                ),
                ExpressionAttributeNames={"#exp": "exp"},
                ExpressionAttributeValues={
                    ":sub": {"S": SUBSCRIPTIONS},
                    ":reg": {"S": REGISTRATIONS},
                    ":now": {"N": str(now_s)},
                },
            )
        if "LastEvaluatedKey" in page:
            self._large_until_s = self._clock() + LARGE_S
            return None
        return _listeners(page["Items"])


def _listeners(items: Sequence[Mapping[str, Any]]) -> Listeners:
    subscribers: dict[tuple[Feed, str], list[Subscriber]] = {}
    registrations: dict[Feed, list[Registration]] = {}
    for item in items:
        pk = item["pk"]["S"]
        if pk.startswith(REGISTRATIONS):
            one = registration_of(item)
            registrations.setdefault(feed_of_registrations(pk), []).append(one)
        else:
            at = feed_and_name(pk)
            subscribers.setdefault(at, []).append(subscriber_of(at[0], item))
    return Listeners(subscribers, registrations)
