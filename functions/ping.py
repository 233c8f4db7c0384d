"""`ping`: answered with `pong` by the route's own response.

Needs `dynamodb:UpdateItem` on the connections.
"""

from collections.abc import Mapping
from typing import Any

from functions.events import WebSocketEvent, read
from functions.incoming import touch
from functions.logic.answering import Response, answer, response
from marketdata.client_protocol import Ping, pong


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """`pong`, or `error`."""
    asked = read(event, WebSocketEvent)
    touch(asked.request_context)
    return response(answer(asked, Ping, lambda _id, _ping, now: pong(now)))
