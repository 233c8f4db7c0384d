"""`unsubscribe`: the symbols of a message, or all.

The answer is the function's body, sent by the route's own response. Needs on the connections
`dynamodb:GetItem`, `UpdateItem` and `DeleteItem`.
"""

from collections.abc import Mapping
from typing import Any

from functions.events import WebSocketEvent, read
from functions.logic.answering import Response, answer, response
from functions.logic.subscribing import end_subscriptions
from functions.tables import connections_table
from marketdata.client_protocol import Unsubscribe


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """`unsubscribed`, or `error`."""
    connections = connections_table()
    return response(
        answer(
            read(event, WebSocketEvent),
            Unsubscribe,
            lambda connection_id, message, now: end_subscriptions(
                connections, connection_id, message, now
            ),
        )
    )
