"""`$connect`: remembers the connection, and takes the first subprotocol that a client offers.

Needs `dynamodb:PutItem` on the connections; `execute-api:ManageConnections` to refuse a
message of type `$connect`, which API Gateway sends here too (rule 24).
"""

from collections.abc import Mapping
from typing import Any

from functions.events import WebSocketEvent, header, read
from functions.logic.answering import OK, Response, refuse
from functions.posting import stream_posts
from functions.tables import connections_table
from functions.telemetry import logger

STAGES = frozenset({"stream"})
SUBPROTOCOL = "Sec-WebSocket-Protocol"


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """200 lets the client in, 403 is a stage that is none. Raises StoreError."""
    opened = read(event, WebSocketEvent)
    about = opened.request_context
    if about.event_type != "CONNECT":
        stream_posts().post(about.connection_id, refuse(opened))
        return OK
    if about.stage not in STAGES:
        return {"statusCode": 403}
    key_id = str(about.authorizer.get("key_id", ""))
    connections_table().open(
        about.connection_id, key_id=key_id, stage=about.stage, connected_ms=about.connected_at
    )
    logger.info("connected", extra={"connection": about.connection_id, "key_id": key_id})
    offered = header(opened.headers, SUBPROTOCOL.lower())
    if not offered:
        return OK
    # A browser breaks off when the answer names none of those that it offered.
    return {**OK, "headers": {SUBPROTOCOL: offered.split(",")[0].strip()}}
