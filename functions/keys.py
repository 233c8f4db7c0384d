"""The table of API keys: only a key's SHA-256 is stored (design.md §7)."""

from typing import TYPE_CHECKING

from functions.dynamodb import store_errors
from marketdata.api_keys import KEYS, META, StoredKey, key_hash, stored_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_KEY_LENGTH = 256


class KeysTable:
    """Looks keys up; needs `dynamodb:GetItem`."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def find(self, key: str, now_s: int) -> StoredKey | None:
        """The key's item, or None when it is unknown, revoked or expired.

        A key that was revoked before the call is not found.

        Raises:
            StoreError: the table cannot be read.
            DecodeError: the key's item is none.
        """
        if not key or len(key) > MAX_KEY_LENGTH:
            return None
        with store_errors("looking up an API key"):
            answer = self._client.get_item(
                TableName=self._table,
                Key={"pk": {"S": f"{KEYS}{key_hash(key)}"}, "sk": {"S": META}},
                ConsistentRead=True,
            )
        item = answer.get("Item")
        if item is None:
            return None
        stored = stored_key(item)
        expired = stored.expires_s is not None and stored.expires_s <= now_s
        return None if expired else stored
