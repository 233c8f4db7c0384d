"""`$disconnect`: forgets the connection; best effort, as API Gateway's sending of it is.

Needs `dynamodb:DeleteItem` and `dynamodb:BatchWriteItem` on the connections, `Query` and
`DeleteItem` on the limits, and `execute-api:ManageConnections` to refuse a message of type
`$disconnect` (rule 24).
"""

from collections.abc import Mapping
from typing import Any

from functions import limiting
from functions.events import WebSocketEvent, read
from functions.logic.answering import OK, Response, refuse
from functions.posting import posts
from functions.tables import connections_table
from functions.telemetry import logger


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """Harmless when repeated. Raises StoreError."""
    closed = read(event, WebSocketEvent)
    about = closed.request_context
    if about.event_type != "DISCONNECT":
        posts(about.stage).post(about.connection_id, refuse(closed))
        return OK
    connections_table().forget(about.stage, about.connection_id)
    limiting.leave(about.connection_id, str(about.authorizer.get("key_id", "")))
    logger.info("disconnected", extra={"connection": about.connection_id})
    return OK
