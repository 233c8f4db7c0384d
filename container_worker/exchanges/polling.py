"""The side of an exchange that is asked again and again instead of listened to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from marketdata.messages import ContractEvent

if TYPE_CHECKING:
    from container_worker.exchanges.adapter import RestRequest


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for, as the user configured it (sources/save-to-websocket.md).

    `filters` is the JSON text of the list, passed on as written. `start_ledger` is 0 for the
    newest. `auth_header` goes into `Authorization` and into no log.
    """

    filters: bytes = b"[]"
    start_ledger: int = 0
    limit: int = 1000
    xdr_format: str = "json"
    auth_header: str = field(default="", repr=False)


class Window(NamedTuple):
    """The ledgers that the node has, both in; `latest_ms`: when the last one closed, or 0."""

    oldest: int
    latest: int
    latest_ms: int = 0


class BadEvent(msgspec.Struct, frozen=True):
    """An event that cannot be used, as it came; the rest of its page can."""

    raw: msgspec.Raw
    reason: str


class Page(NamedTuple):
    """Events by rising id, and the cursor at which the next request goes on."""

    events: list[ContractEvent | BadEvent]
    cursor: str
    window: Window


@dataclass(frozen=True, slots=True)
class Polling:
    """Functions without state, socket or clock.

    `page` asks from a ledger (cursor empty) or after a cursor. `decode_page` raises
    OutOfWindow when the node has not, or not yet, what was asked for, other ExchangeErrors for
    the node's errors, DecodeError for what is no answer. `notes` are sentences about what the
    query will not bring, for whoever wrote it.
    """

    window: "Callable[[Query], RestRequest]"
    decode_window: Callable[[bytes], Window]
    page: "Callable[[Query, int, str], RestRequest]"
    decode_page: Callable[[bytes, Query], Page]
    notes: Callable[[Query], Sequence[str]]
