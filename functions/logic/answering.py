"""From a client's message to the text of its answer: every error becomes an `error` message.

event ─ parse ─► message ─ respond ─► answer | ClientError ─► `error` | other ─► INTERNAL
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from functions.events import WebSocketEvent
from functions.telemetry import logger
from marketdata import client_protocol
from marketdata.client_protocol import INTERNAL, VALIDATION_ERROR, ClientMessage
from marketdata.errors import ClientError, TapedeckError

M = TypeVar("M", bound=ClientMessage)
Response = dict[str, Any]

OK: Response = {"statusCode": 200}


def now_ms() -> int:
    """The present, in UTC milliseconds."""
    return time.time_ns() // 1_000_000


def response(text: bytes | None = None) -> Response:
    """A handler's answer; its text is sent to the client where the route has two ways."""
    return OK if text is None else {**OK, "body": text.decode()}


def answer(
    event: WebSocketEvent,
    expected: type[M],
    respond: Callable[[str, M, int], bytes | None],
) -> bytes | None:
    """What the client is told: `respond(connection_id, message, now_ms)`, or an `error`.

    Nothing is raised for anything that a client can send, nor when a service fails.
    """
    now = now_ms()
    connection_id = event.request_context.connection_id
    return answered(lambda: respond(connection_id, message_of(event, expected), now), now)


def answered(respond: Callable[[], bytes | None], now: int) -> bytes | None:
    """What `respond` returns, or the `error` for what it raises."""
    try:
        return respond()
    except ClientError as error:
        return client_protocol.error(error, now)
    except TapedeckError as error:
        logger.error("message not served", extra={"reason": str(error)})
        failed = client_protocol.client_error(
            INTERNAL, "the message could not be served now: send it again"
        )
        return client_protocol.error(failed, now)


def message_of(event: WebSocketEvent, expected: type[M]) -> M:
    """The message in an event, which must be of the type that the function is for.

    API Gateway chooses the function by its own reading of the text. Where that differs from
    ours (a type of `$connect`, a member twice), ours decides and the message is refused.

    Raises:
        ClientError: VALIDATION_ERROR.
    """
    message = client_protocol.parse(event.body or "")
    if not isinstance(message, expected):
        raise _ambiguous()
    return message


def refuse(event: WebSocketEvent) -> bytes:
    """The error for a message that no function is there for; names what is wrong with it."""
    try:
        client_protocol.parse(event.body or "")
    except ClientError as error:
        return client_protocol.error(error, now_ms())
    return client_protocol.error(_ambiguous(), now_ms())


def _ambiguous() -> ClientError:
    return client_protocol.client_error(
        VALIDATION_ERROR, "the message's type can be read in two ways"
    )
