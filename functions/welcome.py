"""`welcome` to a new connection of `ws`, invoked asynchronously by `$connect` (rule 23).

`$connect` cannot post to its own connection: it is none until `$connect` has answered, and a
post before that is answered with 410. Needs `dynamodb:UpdateItem` on the connections and
`execute-api:ManageConnections`. Lambda's own second tries are harmless.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from functions.events import read
from functions.gateway import Outcome
from functions.logic.answering import now_ms
from functions.logic.welcoming import Welcoming
from functions.posting import posts
from functions.tables import newcomers_table
from functions.telemetry import logger

LIMIT_S = 5.0
"""How long a 410 is believed to come from a connection that is not there yet."""


class NewConnection(msgspec.Struct, frozen=True):
    """What `$connect` passes on."""

    connection_id: str
    stage: str
    connected_ms: int


def handler(event: Mapping[str, Any], context: object) -> None:  # noqa: ARG001
    """Says it once, unless `register` has. Raises StoreError."""
    new = read(event, NewConnection)
    welcoming = Welcoming(newcomers_table(), posts(new.stage).post, now_ms)
    outcome = welcoming.until_said(new.stage, new.connection_id, LIMIT_S, maybe_young=True)
    if outcome is not Outcome.SENT:
        about = {"connection": new.connection_id, "outcome": outcome.value}
        logger.info("not welcomed", extra=about)
