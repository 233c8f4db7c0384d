"""`$default`: whatever has no route: no JSON, no type, an unknown type. Needs nothing.

The answer is the function's body, sent by the route's own response.
"""

from collections.abc import Mapping
from typing import Any

from functions.events import WebSocketEvent, read
from functions.logic.answering import Response, refuse, response


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """An `error` that names what is wrong."""
    return response(refuse(read(event, WebSocketEvent)))
