"""The lease that makes two keepers harmless: one of them acts, the others stand by (rule 28).

    KEEP#LEASE / LEASE    `holder`, `renewals`, `swept_ms` (the last sweep's time)

Expired means unchanged for so long by one's own monotonic clock, never a compared timestamp.
"""

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from container_worker.keep.store_errors import store_errors
from marketdata.errors import StoreConflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY: dict[str, Any] = {"pk": {"S": "KEEP#LEASE"}, "sk": {"S": "LEASE"}}
ACTS_FOR = 2 / 3
"""The part of the patience of others for which a holder acts without having renewed."""


class _State(NamedTuple):
    holder: str
    renewals: int
    swept_ms: int


class Lease:
    """One keeper's view of the lease; `hold` belongs to one thread, `acts` to any.

    Args:
        client: DynamoDB.
        table: The connections table.
        patience_s: How long a silent holder is waited for.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        patience_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._id = uuid.uuid4().hex
        self._seen: _State | None = None
        self._seen_s = 0.0
        self._renewed_s: float | None = None
        self.from_ms = 0
        """Up to here an earlier holder had swept when this one took over; 0: there was none."""

    @property
    def held(self) -> bool:
        """Whether it was ours when we last looked."""
        return self._renewed_s is not None

    def acts(self) -> bool:
        """Whether nobody else can have it yet."""
        renewed_s = self._renewed_s
        left_s = self._patience_s * ACTS_FOR
        return renewed_s is not None and self._monotonic() - renewed_s < left_s

    def hold(self, now_ms: int) -> bool:
        """Renews the lease for a sweep at `now_ms`, or takes it when it is free.

        Needs `dynamodb:GetItem` and `dynamodb:UpdateItem`. Raises StoreError.
        """
        if self.held and self._renew(now_ms):
            return True
        self._renewed_s = None
        state = self._read()
        if state != self._seen:
            self._seen, self._seen_s = state, self._monotonic()
        if state is None or not state.holder or state.holder == self._id:
            return self._take(state, now_ms)
        waited_s = self._monotonic() - self._seen_s
        return waited_s >= self._patience_s and self._take(state, now_ms)

    def release(self) -> None:
        """Lets the next one have it at once. Raises StoreError."""
        if not self.held:
            return
        self._renewed_s = None
        self._update("SET holder = :to", "holder = :own", {":to": {"S": ""}})

    def _renew(self, now_ms: int) -> bool:
        begun_s = self._monotonic()
        renewed = self._update(
            "SET renewals = renewals + :one, swept_ms = :now", "holder = :own", _step(now_ms)
        )
        self._renewed_s = begun_s if renewed else None
        return renewed

    def _take(self, state: _State | None, now_ms: int) -> bool:
        begun_s = self._monotonic()
        if state is None:
            condition, more = "attribute_not_exists(pk)", {":zero": {"N": "0"}}
            update = "SET holder = :own, renewals = :zero + :one, swept_ms = :now"
        else:
            condition = "holder = :seen AND renewals = :renewals"
            more = {":seen": {"S": state.holder}, ":renewals": {"N": str(state.renewals)}}
            update = "SET holder = :own, renewals = renewals + :one, swept_ms = :now"
        if not self._update(update, condition, _step(now_ms) | more):
            return False
        self._renewed_s = begun_s
        self.from_ms = state.swept_ms if state else 0
        return True

    def _read(self) -> _State | None:
        with store_errors("reading the keeper's lease"):
            answer = self._client.get_item(TableName=self._table, Key=KEY, ConsistentRead=True)
        item = answer.get("Item")
        if not item:
            return None
        return _State(
            item["holder"]["S"], int(item["renewals"]["N"]), int(item["swept_ms"]["N"])
        )

    def _update(self, update: str, condition: str, values: dict[str, Any]) -> bool:
        own = {":own": {"S": self._id}}
        try:
            with store_errors("renewing the keeper's lease"):
                self._client.update_item(
                    TableName=self._table,
                    Key=KEY,
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=own | values,
                )
        except StoreConflict:
            return False
        return True


def _step(now_ms: int) -> dict[str, Any]:
    return {":one": {"N": "1"}, ":now": {"N": str(now_ms)}}
