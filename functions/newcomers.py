"""What is kept of a connection until it is registered: `welcome`, and one `register` at a time.

All of it is in the connection's own item `CONN#<stage>#<shard>`/`<id>`:
    welcomed                            `welcome` was said (rule 23)
    welcome_ms, welcome_token           or is being said, since then and by whom
    register_token, register_until_ms   the `register` that is being worked on
    start, from_now                     what is still to be replayed (rule 20)
    queued, dropped, holes              what was, by a `register` that broke off
    registered                          the deadline for registering is off
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.connections import meta_key
from functions.dynamodb import store_errors
from functions.logic.attempts import attempts
from functions.offsets_by_source import offsets_map, offsets_of
from marketdata.errors import StoreUnavailable
from marketdata.ring_items import Source

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WELCOME_CLAIM_MS = 7_000
"""A post with its second try takes less; whoever claimed longer ago has died over it."""
REGISTER_CLAIM_MS = 30_000
"""No invocation of `register` works longer."""
REFUSED = "ConditionalCheckFailedException"
CONFLICT = "TransactionConflictException"

Item = dict[str, Any]


class Claim(enum.Enum):
    """What became of the wish to say `welcome`."""

    MINE = "mine"
    TAKEN = "taken"
    SAID = "said"
    UNKNOWN = "unknown"


class Busy(enum.Enum):
    """Why a registration cannot begin."""

    ANOTHER = "another"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A connection whose `register` is being worked on.

    `start` is where its replay begins; None where nothing waits: it has had its events, or
    connected where none are kept for it. A source that is not in it had nothing yet when the
    client connected, and begins at the beginning; `from_now`: where `start` is not from then,
    it begins now.
    `broke_off`: an earlier `register` came to nothing, and `start` is how far it came.
    """

    connection_id: str
    stage: str
    connected_ms: int
    exp_s: int
    token: str
    start: Mapping[Source, int] | None = None
    from_now: bool = True
    broke_off: bool = False
    queued: int = 0
    dropped: int = 0
    holes: bool = False

    @property
    def key(self) -> Item:
        """Its item."""
        return meta_key(self.stage, self.connection_id)


class NewcomersTable:
    """Reads and changes these attributes; needs `dynamodb:UpdateItem`. Raises StoreError."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def claim_welcome(self, stage: str, connection_id: str, token: str, now_ms: int) -> Claim:
        """Take it upon oneself to say `welcome`: to be followed by one of the next two.

        `token` is the claimant's own; a claim that was answered too late is known by it.
        """
        known = self._update(
            meta_key(stage, connection_id),
            "SET welcome_ms = :now, welcome_token = :token",
            "attribute_exists(pk) AND NOT welcomed = :yes AND "
            "(attribute_not_exists(welcome_ms) OR welcome_ms < :stale)",
            {
                ":now": _n(now_ms),
                ":stale": _n(now_ms - WELCOME_CLAIM_MS),
                ":token": {"S": token},
                ":yes": _YES,
            },
        )
        if known.changed:
            return Claim.MINE
        if not known.item:
            return Claim.UNKNOWN
        if known.item.get("welcomed") == _YES:
            return Claim.SAID
        return Claim.MINE if known.item.get("welcome_token") == {"S": token} else Claim.TAKEN

    def welcome_said(self, stage: str, connection_id: str) -> None:
        """The client has it: nobody says it again."""
        self._update(
            meta_key(stage, connection_id),
            "SET welcomed = :yes REMOVE welcome_ms, welcome_token",
            "attribute_exists(pk)",
            {":yes": _YES},
        )

    def welcome_not_said(self, stage: str, connection_id: str, token: str) -> None:
        """It could not be said: somebody else may."""
        self._update(
            meta_key(stage, connection_id),
            "REMOVE welcome_ms, welcome_token",
            "welcome_token = :token",
            {":token": {"S": token}},
        )

    def begin(
        self, stage: str, connection_id: str, token: str, now_ms: int
    ) -> "Newcomer | Busy":
        """Make `token` the only registration that is being worked on, for at most 30 s."""
        known = self._update(
            meta_key(stage, connection_id),
            "SET register_token = :token, register_until_ms = :until",
            "attribute_exists(pk) AND "
            "(attribute_not_exists(register_until_ms) OR register_until_ms < :now)",
            {
                ":token": {"S": token},
                ":now": _n(now_ms),
                ":until": _n(now_ms + REGISTER_CLAIM_MS),
            },
        )
        if known.changed or known.item.get("register_token") == {"S": token}:
            return _newcomer(stage, connection_id, token, known.item)
        return Busy.ANOTHER if known.item else Busy.UNKNOWN

    def break_off(
        self,
        newcomer: Newcomer,
        start: Mapping[Source, int],
        *,
        queued: int,
        dropped: int,
        holes: bool,
    ) -> None:
        """End a first registration that came to nothing, keeping how far its replay came."""
        self._update(
            newcomer.key,
            "SET #start = :start, from_now = :from_now, queued = :queued, dropped = :dropped, "
            "holes = :holes REMOVE register_token, register_until_ms",
            "register_token = :token",
            {
                ":start": offsets_map({**(newcomer.start or {}), **start}),
                ":from_now": {"BOOL": newcomer.from_now},
                ":queued": _n(queued),
                ":dropped": _n(dropped),
                ":holes": {"BOOL": holes},
                ":token": {"S": newcomer.token},
            },
            {"#start": "start"},
        )

    def give_up(self, newcomer: Newcomer) -> None:
        """End a further registration that came to nothing."""
        self._update(
            newcomer.key,
            "REMOVE register_token, register_until_ms",
            "register_token = :token",
            {":token": {"S": newcomer.token}},
        )

    def _update(
        self,
        key: Item,
        change: str,
        condition: str,
        values: Item,
        names: Mapping[str, str] | None = None,
    ) -> "_Known":
        request: Any = {
            "TableName": self._table,
            "Key": key,
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **({"ExpressionAttributeNames": dict(names)} if names else {}),
        }
        for _ in attempts():
            with store_errors("changing a new connection"):
                try:
                    return _Known(True, self._client.update_item(**request)["Attributes"])
                except ClientError as error:
                    refused: Any = error.response
                    code = refused["Error"]["Code"]
                    if code == REFUSED:
                        return _Known(False, refused.get("Item", {}))
                    if code != CONFLICT:
                        raise
        raise StoreUnavailable("the connection changed too often meanwhile")


@dataclass(frozen=True, slots=True)
class _Known:
    changed: bool
    item: Item


def _newcomer(stage: str, connection_id: str, token: str, item: Item) -> Newcomer:
    broke_off = "queued" in item
    waits = "start" in item and (broke_off or item.get("registered") != _YES)
    return Newcomer(
        connection_id,
        stage,
        int(item["connected_ms"]["N"]),
        int(item["exp"]["N"]),
        token,
        offsets_of(item["start"]) if waits else None,
        from_now=not waits or item.get("from_now") == _YES,
        broke_off=broke_off,
        queued=int(item.get("queued", {}).get("N", "0")),
        dropped=int(item.get("dropped", {}).get("N", "0")),
        holes=item.get("holes") == _YES,
    )


def _n(number: int) -> Item:
    return {"N": str(number)}


_YES: Item = {"BOOL": True}
