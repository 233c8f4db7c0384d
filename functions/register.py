"""`register`: the events that a client wants (sources/save-to-websocket.md; rules 20, 23).

Everything is said through the management API, so that `welcome` and `registered` come first:
the route needs no response of its own. Needs on the connections `dynamodb:UpdateItem`,
`PutItem` and `BatchGetItem`, on the ring `GetItem`, `BatchGetItem`, `Query` and
`ConditionCheckItem`, on the limits `UpdateItem`, and `execute-api:ManageConnections`. It works
for at most 25 s.
"""

from collections.abc import Mapping
from typing import Any

from functions import limiting
from functions.events import WebSocketEvent, read
from functions.logic.answering import OK, Response, answer, now_ms
from functions.logic.registering import Registering
from functions.logic.welcoming import Welcoming
from functions.posting import ClientPosts, posts
from functions.settings import settings
from functions.tables import connections_table, newcomers_table, registrations_table, ring_table
from marketdata.client_protocol import Register


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """Answers by itself; returns nothing for the client."""
    asked = read(event, WebSocketEvent)
    about = asked.request_context
    to_clients = posts(about.stage)

    def respond(connection_id: str, message: Register, now: int) -> None:
        connections_table().touch(about.stage, connection_id, now)
        limiting.spend(str(about.authorizer.get("key_id", "")), about.authorizer)
        _registering(about.stage, to_clients).register(connection_id, message)

    refusal = answer(asked, Register, respond)
    if refusal is not None:
        to_clients.post(about.connection_id, refusal)
    return OK


def _registering(stage: str, to_clients: ClientPosts) -> Registering:
    known = settings()
    return Registering(
        stage=stage,
        newcomers=newcomers_table(),
        registrations=registrations_table(),
        ring=ring_table(),
        posts=to_clients,
        welcoming=Welcoming(newcomers_table(), to_clients.post, now_ms),
        ring_topics=frozenset(known.ring_topics),
        max_queue_size=known.max_queue_size,
        clock_ms=now_ms,
    )
