"""The local DynamoDB tables and the development key (design.md §7, §9).

endpoint ─► tables, key
"""

import hashlib
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local.stack_settings import (
    CANDLES_TABLE,
    CONNECTIONS_TABLE,
    DEVELOPMENT_KEY,
    INSTRUMENTS_TABLE,
    KEYS_TABLE,
    LIMITS_TABLE,
    RING_TABLE,
)
from marketdata.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLES = (
    CONNECTIONS_TABLE,
    KEYS_TABLE,
    INSTRUMENTS_TABLE,
    LIMITS_TABLE,
    RING_TABLE,
    CANDLES_TABLE,
)
PASSING = frozenset({CONNECTIONS_TABLE, LIMITS_TABLE})
"""Connections of an earlier start are gone with their sockets, and what they took with them."""
EXPIRY_ATTRIBUTE = "exp"


def create_table(client: "DynamoDBClient", name: str) -> None:
    """Create one table as the stacks in the account do: keys `pk` and `sk`, expiry in `exp`.

    Raises:
        StoreUnavailable: the server does not answer, or there is such a table.
    """
    try:
        client.create_table(
            TableName=name,
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        client.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRY_ATTRIBUTE},
        )
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"the table {name} could not be created: {error}") from error


def create_tables(client: "DynamoDBClient") -> None:
    """Create the tables that are missing, and the development key of the local stack.

    The tables `PASSING` start empty.

    Raises:
        StoreUnavailable: the server does not answer.
    """
    try:
        there = set(client.list_tables()["TableNames"])
        for name in PASSING & there:
            client.delete_table(TableName=name)
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"DynamoDB Local does not answer: {error}") from error
    for name in TABLES:
        if name not in there - PASSING:
            create_table(client, name)
    _insert_key(client)


def _insert_key(client: "DynamoDBClient") -> None:
    digest = hashlib.sha256(DEVELOPMENT_KEY.encode()).hexdigest()
    try:
        client.put_item(
            TableName=KEYS_TABLE,
            Item={
                "pk": {"S": f"KEY#{digest}"},
                "sk": {"S": "META"},
                "id": {"S": "development"},
                "name": {"S": "development key of the local stack"},
                "scope": {"S": "read"},
            },
        )
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"the development key could not be written: {error}") from error
