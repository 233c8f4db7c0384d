"""Where the command keeps API keys: the table of a local stack, or of a deployment.

--data DIR   ─► run file ─► DynamoDB Local          ─► KeyStore
--stack NAME ─► output `KeysTable` of CloudFormation ─► KeyStore
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local import run_file
from local.stack_settings import ACCESS_KEY_ID, KEYS_TABLE, REGION, SECRET_ACCESS_KEY
from marketdata.api_keys import (
    KEYS,
    META,
    StoredKey,
    key_hash,
    key_item,
    revoked_item,
    stored_key,
)
from marketdata.errors import InputError, StoreError, StoreUnavailable
from tapedeck.options import data_folder

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient

OUTPUT = "KeysTable"
STORAGE_STACK = "TapedeckStorage"
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard"})
_AWS = Config(read_timeout=10, retries={"mode": "standard"})


class KeyStore:
    """The keys of one stack; `place` names it in sentences."""

    def __init__(self, client: "DynamoDBClient", table: str, place: str) -> None:
        self._client = client
        self._table = table
        self.place = place

    def add(self, key: str, stored: StoredKey) -> None:
        """Let a new key in; only its hash is written. Raises StoreError."""
        with _errors(f"writing a key to {self.place}"):
            self._client.put_item(
                TableName=self._table,
                Item=key_item(key_hash(key), stored),
                ConditionExpression="attribute_not_exists(pk)",
            )

    def all(self) -> list[StoredKey]:
        """Every key, the oldest first. Raises StoreError and DecodeError."""
        found = [stored_key(item) for item in self._items()]
        return sorted(found, key=lambda one: (one.created_ms or 0, one.id))

    def revoke(self, key_id: str, now_ms: int) -> StoredKey | None:
        """Take the key of this id away and have its connections closed; None if there is none.

        Raises:
            StoreError: nothing was changed.
        """
        items = [item for item in self._items() if item.get("id", {}).get("S") == key_id]
        if not items:
            return None
        actions: list[Any] = [
            {"Put": {"TableName": self._table, "Item": revoked_item(key_id, now_ms)}}
        ]
        actions += [
            {
                "Delete": {
                    "TableName": self._table,
                    "Key": {"pk": item["pk"], "sk": item["sk"]},
                }
            }
            for item in items
        ]
        with _errors(f"revoking a key of {self.place}"):
            self._client.transact_write_items(TransactItems=actions)
        return stored_key(items[0])

    def _items(self) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :keys) AND sk = :meta",
            ExpressionAttributeValues={":keys": {"S": KEYS}, ":meta": {"S": META}},
        )
        with _errors(f"reading the keys of {self.place}"):
            for page in pages:
                yield from page["Items"]


def open_store(data: "Path", stack: str) -> KeyStore:
    """The keys of the deployed stack `stack`, or of the local one when that is empty.

    Raises:
        InputError: there is no such stack, or it is not the one with the table.
        StoreError: AWS cannot be asked.
    """
    return _deployed(stack) if stack else _local(data)


def _local(data: "Path") -> KeyStore:
    folder = data_folder(data)
    run = run_file.read(folder)
    url = run.urls.get("dynamodb") if run is not None else None
    if not url:
        raise InputError(
            f"no stack is up on {folder}: start one with `tapedeck up`, say with --data where "
            "it is, or name a deployed one with --stack"
        )
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=_CONFIG,
    )
    return KeyStore(client, KEYS_TABLE, f"the stack on {folder}")


def _deployed(stack: str) -> KeyStore:
    place = f"the stack {stack}"
    with _errors(f"asking CloudFormation for {place}"):
        described = boto3.client("cloudformation", config=_AWS).describe_stacks(StackName=stack)
        client = boto3.client("dynamodb", config=_AWS)
    outputs = described["Stacks"][0].get("Outputs", [])
    for output in outputs:
        if output.get("OutputKey") == OUTPUT:
            return KeyStore(client, str(output.get("OutputValue", "")), place)
    raise InputError(
        f"--stack {stack}: it has no output {OUTPUT}; the keys are those of {STORAGE_STACK}"
    )


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """What the SDK raises, as one sentence of ours."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        raise StoreError(
            f"{what} failed: {told.get('Code', 'unknown')}: {told.get('Message', '')}".rstrip()
        ) from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"{what} failed: {error}") from error
