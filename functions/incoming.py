"""What every message of a client is: a sign of life (rule 25)."""

from functions.events import WebSocketContext
from functions.logic.answering import now_ms
from functions.tables import connections_table
from functions.telemetry import logger
from marketdata.errors import StoreError


def touch(about: WebSocketContext) -> None:
    """Note that a message came; needs `dynamodb:UpdateItem` on the connections.

    A failure is logged only: nobody's message fails for it.
    """
    try:
        connections_table().touch(about.stage, about.connection_id, now_ms())
    except StoreError as error:
        logger.warning("a message was not noted", extra={"reason": str(error)})
