"""`$default`: what has no route: no JSON, no type, an unknown one; and `subscribe,BTC-USD`.

An error, and `unsubscribed`, are the function's body, sent by the route's own response; candles
go through the management API. Needs on the connections `dynamodb:GetItem`, `BatchGetItem`,
`UpdateItem`, `PutItem`, `DeleteItem` and `ConditionCheckItem`, on the instruments
`BatchGetItem`, on the ring `GetItem`, `BatchGetItem`, `Query` and `ConditionCheckItem`, on the
limits `UpdateItem`, on the candles `Query`, and `execute-api:ManageConnections`.
"""

from collections.abc import Mapping
from typing import Any

from functions import limiting
from functions.events import WebSocketContext, WebSocketEvent, read
from functions.incoming import touch
from functions.logic.answering import Response, answered, now_ms, refuse, response
from functions.logic.bare_candles import command_of
from functions.subscribers import bare_candles
from marketdata.client_protocol import unsubscribed


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """An `error` that names what is wrong, unless it is a bare command."""
    asked = read(event, WebSocketEvent)
    touch(asked.request_context)
    return response(answered(lambda: _respond(asked, now_ms()), now_ms()))


def _respond(asked: WebSocketEvent, now: int) -> bytes | None:
    command = command_of(asked.body or "")
    if command is None:
        return refuse(asked)
    about: WebSocketContext = asked.request_context
    limiting.spend(str(about.authorizer.get("key_id", "")), about.authorizer)
    candles = bare_candles(about.stage)
    if command.verb == "subscribe":
        candles.subscribe(about.connection_id, command.pairs)
        return None
    return unsubscribed(candles.end(about.connection_id, command.pairs), now)
