"""A Stellar RPC node's own answers, by its own field names (protocols 4.2-4.5).

https://developers.stellar.org/docs/data/apis/rpc/api-reference/methods/getEvents
The shapes of older nodes are members of their own: `pagingToken`, `opIndex`, `eventType`, a
ledger as text, a value in an object.
"""

# ruff: noqa: N815 - the node's own names
import re
from typing import NamedTuple

import msgspec

from marketdata.errors import DecodeError

Raw = msgspec.Raw
_POSITION = re.compile(r"([0-9]{19})-([0-9]{10})", re.ASCII)
_TX_BITS, _OP_BITS = 20, 12


class RpcError(msgspec.Struct, frozen=True):
    """The member `error` of a JSON-RPC answer."""

    code: int
    message: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """A JSON-RPC answer: `result` or `error`."""

    result: Raw = Raw()
    error: RpcError | None = None


class Health(msgspec.Struct, frozen=True):
    """The result of `getHealth`."""

    latestLedger: int
    oldestLedger: int


class Events(msgspec.Struct, frozen=True):
    """The result of `getEvents`; protocol 22 has only the events, cursor and latest ledger.

    Close times are Unix seconds, as texts.
    """

    latestLedger: int
    events: list[Raw] | None = None
    cursor: str | None = None
    oldestLedger: int = 0
    latestLedgerCloseTime: int | str | None = None


class WrappedValue(msgspec.Struct, frozen=True):
    """How the first nodes wrote `value`."""

    xdr: str


class Event(msgspec.Struct, frozen=True):
    """One element of `events`: with `topic` and `value`, or `topicJson` and `valueJson`."""

    id: str
    ledger: int | str
    ledgerClosedAt: str
    type: str | None = None
    eventType: str | None = None
    contractId: str | None = None
    txHash: str | None = None
    transactionIndex: int | None = None
    txIndex: int | None = None
    operationIndex: int | None = None
    opIndex: int | None = None
    inSuccessfulContractCall: bool | None = None
    topic: list[str] | None = None
    value: str | WrappedValue | None = None
    topicJson: Raw = Raw()
    valueJson: Raw = Raw()


class Position(NamedTuple):
    """Where an event stands in the chain: what its id and a cursor say (protocols 4.4)."""

    ledger: int
    transaction: int
    operation: int
    event: int


def position(id_: str) -> Position:
    """What an event's id or a cursor stands for. Raises DecodeError."""
    found = _POSITION.fullmatch(id_)
    if found is None:
        raise DecodeError(f"{id_[:40]!r} is not an event id: <19 digits>-<10 digits>")
    toid = int(found[1])
    ledger, rest = divmod(toid, 1 << (_TX_BITS + _OP_BITS))
    return Position(ledger, rest >> _OP_BITS, rest & ((1 << _OP_BITS) - 1), int(found[2]))
