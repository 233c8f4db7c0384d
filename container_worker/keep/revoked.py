"""Which keys have been revoked, so that their connections are closed (marketdata/api_keys.py).

REVOKED / <key id> in the keys table ─► key id ─► the last moment at which it let anyone in
"""

from typing import TYPE_CHECKING

from container_worker.keep.store_errors import store_errors
from marketdata.api_keys import AUTHORIZED_MS, REVOKED

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class RevokedKeys:
    """The revocations in the keys table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, now_s: int) -> dict[str, int]:
        """Key ids; a connection that was made before the time (UTC ms) is to be closed.

        Needs `dynamodb:Query`. Raises StoreUnavailable, StoreError.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            FilterExpression="#exp > :now",
            ExpressionAttributeNames={"#exp": "exp"},
            ExpressionAttributeValues={":pk": {"S": REVOKED}, ":now": {"N": str(now_s)}},
        )
        with store_errors("reading the revoked keys"):
            return {
                item["sk"]["S"]: int(item["at_ms"]["N"]) + AUTHORIZED_MS
                for page in pages
                for item in page["Items"]
            }
