"""Late subscribers: who missed a value because its client was throttled (rule 22).

LATE items ─► the newest value, as that subscriber would get it ─► post ─► item deleted
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from container_worker.keep.connections import Connections
from container_worker.keep.newest import Newest, Wish
from container_worker.keep.store_errors import store_errors
from marketdata.connection_items import LATE
from marketdata.errors import StoreConflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_ITEMS = 2_000
"""Late items of one sweep; the others have their turn in the next, or expire."""
RATE = "1s"
INTERVAL = "1m"

Item = Mapping[str, Any]


class Late(NamedTuple):
    """One late item; `item` is all of it, as it was read."""

    connection_id: str
    stage: str
    feed: str
    name: str
    item: Item

    def wish(self, served: Item) -> Wish:
        """What is wanted, as the subscription says, or for a registration the item."""
        return Wish(
            feed=self.feed,
            name=self.name,
            rate=_text(served, "rate") or RATE,
            interval=_text(served, "interval") or INTERVAL,
            bare=served.get("bare", {}).get("BOOL", False),
            source=_text(served, "source"),
        )


class LateItems:
    """The late items of the connections table; methods may be called from several threads.

    Every method raises StoreUnavailable where another try may help, and StoreError.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._after: Item | None = None

    def read(self, now_s: int) -> list[Late]:
        """The next that have not expired, by connection; needs `dynamodb:Query`.

        At most `MAX_ITEMS` are looked at. Each call goes on where the last one ended, and after
        the last item begins anew, so that nobody keeps those behind from their turn. For one
        thread.
        """
        found: list[Item] = []
        looked_at, after = 0, self._after
        with store_errors("reading late items"):
            while looked_at < MAX_ITEMS:
                page = self._page(now_s, MAX_ITEMS - looked_at, after)
                found += page["Items"]
                looked_at += page["ScannedCount"]
                after = page.get("LastEvaluatedKey")
                if not after:
                    break
        self._after = after
        return [one for one in map(_late, found) if one is not None]

    def _page(self, now_s: int, most: int, after: Item | None) -> Any:
        begin: Any = {"ExclusiveStartKey": after} if after else {}
        return self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            FilterExpression="#exp > :now",
            ExpressionAttributeNames={"#exp": "exp"},
            ExpressionAttributeValues={":pk": {"S": LATE}, ":now": {"N": str(now_s)}},
            Limit=most,
            **begin,
        )

    def delete(self, late: Late) -> None:
        """Deletes an item that still is as it was read; needs `dynamodb:DeleteItem`."""
        more = {name: value for name, value in late.item.items() if name not in ("pk", "sk")}
        labels = {f"#a{number}": name for number, name in enumerate(more)}
        values = {f":a{number}": value for number, value in enumerate(more.values())}
        same = [f"#a{number} = :a{number}" for number in range(len(more))]
        try:
            with store_errors("deleting a late item"):
                self._client.delete_item(
                    TableName=self._table,
                    Key={"pk": late.item["pk"], "sk": late.item["sk"]},
                    ConditionExpression=" AND ".join(same),
                    ExpressionAttributeNames=labels,
                    ExpressionAttributeValues=values,
                )
        except StoreConflict:
            return  # it was late once more meanwhile, and has its turn in the next sweep


def texts(late: Late, connections: Connections, newest: Newest) -> list[bytes] | None:
    """What the subscriber is owed now; nothing while that is not known.

    None when it is subscribed no more. Raises StoreError, and DecodeError for a value that is
    none.
    """
    served: Item | None = connections.subscription(late.feed, late.name, late.connection_id)
    if served is None:
        registered = connections.registration(late.feed, late.connection_id) or {}
        # One whose filters want nothing of this feed any more stays with none.
        served = late.item if _text(registered, "filters") else None
    return None if served is None else newest.texts(late.wish(served))


def _late(item: Item) -> Late | None:
    connection_id, _, rest = item["sk"]["S"].partition("#")
    feed, _, name = rest.partition("#")
    if not name:
        return None
    return Late(connection_id, _text(item, "stage"), feed, name, item)


def _text(item: Item, name: str) -> str:
    return str(item.get(name, {}).get("S", ""))
