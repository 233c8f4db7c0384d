"""Waits until clients can subscribe: capture tells the table of instruments what it takes.

streams file ─► tickers ─► in the table
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from container_worker import streams_file
from local.stack_settings import INSTRUMENTS_TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PATIENCE_S = 20.0
"""An exchange that does not answer must not keep a stack from being ready."""
PAUSE_S = 0.1
WITHOUT_INSTRUMENTS = frozenset({"stellar"})
MOST = 100
"""DynamoDB's most in one question; so many known names are as good as all."""


def wait_for_symbols(client: "DynamoDBClient", streams: Path) -> None:
    """Returns when the table has the streams' tickers, or has not got them in time."""
    missing = {
        (ticker, wish.exchange)
        for wish in streams_file.read(streams)
        if wish.exchange not in WITHOUT_INSTRUMENTS
        for ticker in wish.tickers
    }
    until_s = time.monotonic() + PATIENCE_S
    while missing and time.monotonic() < until_s:
        missing -= _known(client, sorted(missing)[:MOST])
        if missing:
            time.sleep(PAUSE_S)


def _known(client: "DynamoDBClient", asked: list[tuple[str, str]]) -> set[tuple[str, str]]:
    keys: list[Any] = [
        {"pk": {"S": f"NAME#{ticker}"}, "sk": {"S": exchange}} for ticker, exchange in asked
    ]
    try:
        answer = client.batch_get_item(
            RequestItems={INSTRUMENTS_TABLE: {"Keys": keys, "ProjectionExpression": "pk, sk"}}
        )
    except (BotoCoreError, ClientError):
        return set()  # DynamoDB is being started again
    return {
        (item["pk"]["S"].removeprefix("NAME#"), item["sk"]["S"])
        for item in answer["Responses"].get(INSTRUMENTS_TABLE, [])
    }
