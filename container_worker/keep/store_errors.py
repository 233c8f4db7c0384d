"""The keeper's DynamoDB client, and what its errors mean to us (rule 22's and 26's items).

botocore's errors ─► StoreUnavailable (worth another try) or StoreError
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from marketdata.errors import StoreConflict, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARALLEL = 40
_PERMANENT = frozenset(
    {
        "AccessDeniedException",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
        "ValidationException",
    }
)
_CONFLICT = "ConditionalCheckFailedException"


def dynamodb() -> "DynamoDBClient":
    """A client for all threads of the keeper."""
    config = Config(
        connect_timeout=1,
        read_timeout=3,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=PARALLEL,
    )
    return boto3.client("dynamodb", config=config)


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Translates what the SDK raises; `what` begins the sentence.

    Raises:
        StoreConflict: a condition did not hold.
        StoreError: DynamoDB refuses, for example because there is no such table.
        StoreUnavailable: everything else; worth another try.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code == _CONFLICT:
            raise StoreConflict(f"{what}: a condition did not hold") from error
        kind = StoreError if code in _PERMANENT else StoreUnavailable
        raise kind(f"{what} failed: DynamoDB answered {code}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"{what} failed: {type(error).__name__}") from error
