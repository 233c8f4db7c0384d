"""`$connect`: lets a connection in and remembers it; takes the first subprotocol offered.

Needs `dynamodb:PutItem` on the connections, `BatchGetItem` on the ring, `UpdateItem`, `Query`,
`PutItem` and `DeleteItem` on the limits, `lambda:InvokeFunction` on `welcome`, and
`execute-api:ManageConnections` to ask whether a connection is still there, and to refuse a
message of type `$connect` (rule 24).
"""

import functools
import threading
from collections.abc import Mapping
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions import limiting
from functions.events import WebSocketContext, WebSocketEvent, header, read
from functions.logic.answering import OK, Response, now_ms, refuse
from functions.posting import posts
from functions.settings import settings
from functions.tables import connections_table, ring_table
from functions.telemetry import logger
from marketdata import client_protocol
from marketdata.connection_items import STAGES
from marketdata.errors import TapedeckError
from marketdata.ring_items import Source
from marketdata.topics import TOPICS

WELCOME_STAGE = "ws"
SUBPROTOCOL = "Sec-WebSocket-Protocol"

_making = threading.Lock()


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """200 lets the client in, 403 is a stage that is none, 429 a key that has enough.

    Raises:
        StoreError: DynamoDB failed; nothing is kept of the connection.
    """
    opened = read(event, WebSocketEvent)
    about = opened.request_context
    if about.event_type != "CONNECT":
        posts(about.stage).post(about.connection_id, refuse(opened))
        return OK
    if about.stage not in STAGES:
        return {"statusCode": 403}
    refused = _let_in(about)
    if refused is not None:
        return refused
    offered = (header(opened.headers, SUBPROTOCOL.lower()) or "").split(",")
    chosen = next((name.strip() for name in offered if name.strip()), "")
    # A browser breaks off when the answer names none of those that it offered.
    return {**OK, "headers": {SUBPROTOCOL: chosen}} if chosen else OK


def _let_in(about: WebSocketContext) -> Response | None:
    key_id = str(about.authorizer.get("key_id", ""))
    connection_id, stage = about.connection_id, about.stage
    refusal = limiting.admit(connection_id, stage, key_id, about.authorizer, now_ms())
    if refusal is not None:
        logger.info("refused", extra={"key_id": key_id, "stage": stage, "code": refusal.code})
        body = client_protocol.error(refusal, now_ms()).decode()
        return {
            "statusCode": 429,
            "headers": {"Content-Type": "application/json"},
            "body": body,
        }
    try:
        _remember(about, key_id)
    except TapedeckError:
        limiting.leave(connection_id, key_id)
        raise
    logger.info("connected", extra={"connection": connection_id, "key_id": key_id})
    return None


def _remember(about: WebSocketContext, key_id: str) -> None:
    is_welcomed = about.stage == WELCOME_STAGE
    connections_table().open(
        about.connection_id,
        key_id=key_id,
        stage=about.stage,
        connected_ms=about.connected_at,
        start=_heads() if is_welcomed else None,
    )
    if is_welcomed:
        _have_welcomed(about)


def _heads() -> dict[Source, int]:
    """Where every source stands that a registration may replay: one read (rule 20)."""
    sources = [
        Source(topic, partition)
        for topic in settings().ring_topics
        if topic in TOPICS
        for partition in range(TOPICS[topic].partitions)
    ]
    return {source: head.next for source, head in ring_table().heads(sources).items()}


def _have_welcomed(about: WebSocketContext) -> None:
    """Ask for `welcome`; where that fails, `register` says it."""
    about_it = {
        "connection_id": about.connection_id,
        "stage": about.stage,
        "connected_ms": about.connected_at,
    }
    try:
        _functions().invoke(
            FunctionName=settings().having("welcome_function").welcome_function,
            InvocationType="Event",
            Payload=msgspec.json.encode(about_it),
        )
    except (BotoCoreError, ClientError, TapedeckError) as error:
        reason = {"connection": about.connection_id, "reason": type(error).__name__}
        logger.warning("welcome not asked for", extra=reason)


def _functions() -> Any:
    with _making:
        return _functions_client()


@functools.cache
def _functions_client() -> Any:
    return boto3.client(
        "lambda",
        config=Config(
            connect_timeout=1,
            read_timeout=2,
            retries={"mode": "standard", "total_max_attempts": 2},
        ),
    )
