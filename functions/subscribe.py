"""`subscribe`: all symbols of a message, or none (sources/chrono-stream.md; rule 20).

Everything is said through the management API, so that `subscribed` comes before the first
update: the route needs no response of its own. Needs on the connections `dynamodb:GetItem`,
`BatchGetItem`, `UpdateItem`, `PutItem`, `DeleteItem` and `ConditionCheckItem`, on the
instruments `BatchGetItem`, on the ring `GetItem`, `BatchGetItem`, `Query` and
`ConditionCheckItem`, on the limits `UpdateItem`, and `execute-api:ManageConnections`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from functions import limiting
from functions.events import WebSocketEvent, read
from functions.incoming import touch
from functions.logic.answering import OK, Response, answer
from functions.logic.subscribing import ECHOED
from functions.posting import posts
from functions.subscribers import subscribing
from marketdata.client_protocol import Subscribe


class _Members(msgspec.Struct):
    """The members that are confirmed where a client has written them."""

    channels: object = msgspec.UNSET
    rate: object = msgspec.UNSET
    interval: object = msgspec.UNSET


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """Answers by itself; returns nothing for the client."""
    asked = read(event, WebSocketEvent)
    about = asked.request_context
    touch(about)

    def respond(connection_id: str, message: Subscribe, now: int) -> None:
        limiting.spend(str(about.authorizer.get("key_id", "")), about.authorizer)
        subscribing(about.stage).subscribe(connection_id, message, now, _given(asked.body))

    refusal = answer(asked, Subscribe, respond)
    if refusal is not None:
        posts(about.stage).post(about.connection_id, refusal)
    return OK


def _given(body: str | None) -> list[str]:
    members = msgspec.json.decode(body or "{}", type=_Members)
    return [name for name in ECHOED if getattr(members, name) is not msgspec.UNSET]
