"""`subscribe`: all symbols of a message, or none (sources/chrono-stream.md; rule 20).

Everything is said through the management API, so that `subscribed` comes before the first
update: the route needs no response of its own. Needs on the connections `dynamodb:GetItem`,
`UpdateItem`, `PutItem`, `DeleteItem` and `ConditionCheckItem`, on the instruments
`dynamodb:BatchGetItem`, and `execute-api:ManageConnections`.
"""

from collections.abc import Mapping
from typing import Any

from functions.events import WebSocketEvent, read
from functions.logic.answering import OK, Response, answer
from functions.logic.subscribing import Subscribing
from functions.posting import stream_posts
from functions.tables import connections_table, instruments_table
from marketdata.client_protocol import Subscribe


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """Answers by itself; returns nothing for the client."""
    asked = read(event, WebSocketEvent)
    posts = stream_posts()
    refusal = answer(
        asked,
        Subscribe,
        Subscribing(connections_table(), instruments_table(), posts.post).subscribe,
    )
    if refusal is not None:
        posts.post(asked.request_context.connection_id, refusal)
    return OK
