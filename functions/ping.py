"""`ping`: answered with `pong` by the route's own response. Needs nothing."""

from collections.abc import Mapping
from typing import Any

from functions.events import WebSocketEvent, read
from functions.logic.answering import Response, answer, response
from marketdata.client_protocol import Ping, pong


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """`pong`, or `error`."""
    return response(
        answer(read(event, WebSocketEvent), Ping, lambda _id, _ping, now: pong(now))
    )
