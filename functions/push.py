"""Kafka's topics to clients: the event sources' batches become posts to connections.

One function for all topics that are pushed; each has an event source of its own. Needs on the
connections `dynamodb:Scan`, `Query`, `PutItem`, `DeleteItem` and `BatchWriteItem`, on the
ring `GetItem`, `PutItem` and `UpdateItem`, and `execute-api:ManageConnections`. A raised error
makes the event source send the batch again.
"""

import functools
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from functions.logic.answering import now_ms
from functions.logic.audience import Audiences
from functions.logic.pushing import Pushing, Ringing
from functions.logic.slow_connections import SlowConnections
from functions.posting import posts
from functions.settings import settings
from functions.tables import (
    connections_table,
    listeners_table,
    registrations_table,
    ring_table,
    subscriptions_table,
)
from functions.telemetry import logger

WORKERS = 16
MARGIN_S = 4.0
"""Left for the posts under way, the goodbyes and the log line, before Lambda's own limit."""


class LambdaContext(Protocol):
    """What we use of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """How long the invocation may still take."""
        ...


@functools.cache
def _pushing() -> Pushing:
    known = settings()
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="push")
    return Pushing(
        ringing=Ringing(ring_table(), frozenset(known.ring_topics), known.ring_seconds),
        connections=connections_table(),
        audiences=Audiences(
            listeners_table(), subscriptions_table(), registrations_table(), workers
        ),
        posts=posts,
        workers=workers,
        slow=SlowConnections(),
        clock=time.monotonic,
    )


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Push one batch; one log line says what became of it.

    Raises:
        StoreError: DynamoDB failed.
        GatewayUnavailable: the management API failed as a whole, or the time was over before
            every client had its turn.
    """
    left_s = context.get_remaining_time_in_millis() / 1000
    until_s = time.monotonic() + max(0.0, left_s - MARGIN_S)
    report = _pushing().push(event, now_ms=now_ms(), until_s=until_s)
    logger.info("pushed", extra=report)
