"""The DynamoDB client: made once when first needed; its errors become ours here.

botocore's errors ─► StoreUnavailable (worth another try) or StoreError
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from marketdata.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_CONNECTIONS = 32
PASSING = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""DynamoDB's error codes that another try may get over."""

_making = threading.Lock()


def dynamodb() -> "DynamoDBClient":
    """This process's client; safe to call and to use from several threads."""
    with _making:
        return _client()


@functools.cache
def _client() -> "DynamoDBClient":
    return boto3.client(
        "dynamodb",
        config=Config(
            connect_timeout=1,
            read_timeout=3,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=MAX_CONNECTIONS,
        ),
    )


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Translate what the SDK raises; `what` begins the sentence (`reading the keys`).

    Raises:
        StoreUnavailable: a network error, throttling or a failure of the service.
        StoreError: anything else that DynamoDB refuses.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        kind = StoreUnavailable if code in PASSING else StoreError
        raise kind(f"{what} failed: DynamoDB answered {code}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"{what} failed: {type(error).__name__}") from error
