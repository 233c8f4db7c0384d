"""`unsubscribe`: the symbols of a message, or all; all of them, or some channels.

The answer is the function's body, sent by the route's own response. Needs on the connections
`dynamodb:GetItem`, `UpdateItem` and `DeleteItem`, on the limits `UpdateItem`.
"""

from collections.abc import Mapping
from typing import Any

from functions import limiting
from functions.events import WebSocketEvent, read
from functions.incoming import touch
from functions.logic.answering import Response, answer, response
from functions.logic.subscribing import end_subscriptions
from functions.subscribers import reserving
from marketdata.client_protocol import Unsubscribe


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """`unsubscribed`, or `error`."""
    asked = read(event, WebSocketEvent)
    about = asked.request_context
    touch(about)

    def respond(connection_id: str, message: Unsubscribe, now: int) -> bytes:
        limiting.spend(str(about.authorizer.get("key_id", "")), about.authorizer)
        return end_subscriptions(reserving(), about.stage, connection_id, message, now)

    return response(answer(asked, Unsubscribe, respond))
