"""`$disconnect`: forgets the connection; best effort, as API Gateway's sending of it is.

Needs `dynamodb:DeleteItem` and `dynamodb:BatchWriteItem` on the connections;
`execute-api:ManageConnections` to refuse a message of type `$disconnect` (rule 24).
"""

from collections.abc import Mapping
from typing import Any

from functions.events import WebSocketEvent, read
from functions.logic.answering import OK, Response, refuse
from functions.posting import stream_posts
from functions.tables import connections_table
from functions.telemetry import logger


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """Harmless when repeated. Raises StoreError."""
    closed = read(event, WebSocketEvent)
    connection_id = closed.request_context.connection_id
    if closed.request_context.event_type != "DISCONNECT":
        stream_posts().post(connection_id, refuse(closed))
        return OK
    connections_table().forget(connection_id)
    logger.info("disconnected", extra={"connection": connection_id})
    return OK
