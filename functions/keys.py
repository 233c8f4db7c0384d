"""The table of API keys: only a key's SHA-256 is stored (design.md §7)."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.dynamodb import store_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_KEY_LENGTH = 256


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that may be used now."""

    id: str
    scope: str


class KeysTable:
    """Looks keys up; needs `dynamodb:GetItem`."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def find(self, key: str, now_s: int) -> ApiKey | None:
        """The key's id and scope, or None when it is unknown or expired.

        Raises:
            StoreError: the table cannot be read.
        """
        if not key or len(key) > MAX_KEY_LENGTH:
            return None
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        with store_errors("looking up an API key"):
            answer = self._client.get_item(
                TableName=self._table,
                Key={"pk": {"S": f"KEY#{digest}"}, "sk": {"S": "META"}},
            )
        item = answer.get("Item")
        if item is None or int(item.get("exp", {}).get("N", now_s + 1)) <= now_s:
            return None
        return ApiKey(item["id"]["S"], item.get("scope", {}).get("S", "read"))
