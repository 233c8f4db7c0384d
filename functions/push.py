"""Kafka's `ticks` to clients: the event source's batches become posts to connections.

Needs on the connections `dynamodb:Query`, `DeleteItem` and `BatchWriteItem`, and
`execute-api:ManageConnections`. A raised error makes the event source send the batch again.
"""

import functools
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from functions.logic.answering import now_ms
from functions.logic.pushing import Pushing
from functions.logic.slow_connections import SlowConnections
from functions.posting import stream_posts
from functions.tables import connections_table
from functions.telemetry import logger

READERS = 16
MARGIN_S = 4.0
"""Left for the posts under way, the goodbyes and the log line, before Lambda's own limit."""


class LambdaContext(Protocol):
    """What we use of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """How long the invocation may still take."""
        ...


@functools.cache
def _pushing() -> Pushing:
    return Pushing(
        connections=connections_table(),
        posts=stream_posts(),
        readers=ThreadPoolExecutor(READERS, thread_name_prefix="subscribers"),
        slow=SlowConnections(),
        clock=time.monotonic,
    )


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Push one batch; one log line says what became of it.

    Raises:
        StoreError: DynamoDB failed.
        GatewayUnavailable: the management API failed as a whole.
    """
    left_s = context.get_remaining_time_in_millis() / 1000
    until_s = time.monotonic() + max(0.0, left_s - MARGIN_S)
    report = _pushing().push(event, now_ms=now_ms(), until_s=until_s)
    logger.info("pushed", extra=report)
