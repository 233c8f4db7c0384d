"""`getEvents`: from a request's parameters to its page (protocols 4.2-4.5). Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from local.exchanges.stellar.chain import ChainEvent, Position
from local.exchanges.stellar.filters import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    RpcError,
    read_filters,
)
from local.exchanges.stellar.ledgers import Ledgers

DEFAULT_LIMIT = 100
_FORMATS = ("", "base64", "json")
_LAST = 2**32 - 1


class Bounds(NamedTuple):
    """The server's own options."""

    most_events: int
    scanned_ledgers: int


class _Asked(NamedTuple):
    start: Position
    end_ledger: int
    limit: int
    is_json: bool


def get_events(chain: Ledgers, bounds: Bounds, params: Mapping[str, Any]) -> dict[str, Any]:
    """The result of one request.

    Raises:
        RpcError: with the server's code and text.
    """
    asked = _read(params, bounds)
    filters = read_filters(params.get("filters"))
    oldest, latest = chain.oldest, chain.latest
    if not oldest <= asked.start.ledger <= latest:
        text = f"startLedger must be within the ledger range: {oldest} - {latest}"
        raise RpcError(INVALID_REQUEST, text)
    end = min(asked.start.ledger + bounds.scanned_ledgers, latest + 1)
    if asked.end_ledger:
        end = min(end, asked.end_ledger)
    found: list[ChainEvent] = []
    for event in _between(chain, asked.start, end):
        if not filters or any(each.matches(event) for each in filters):
            found.append(event)
            if len(found) == asked.limit:
                break
    full = len(found) == asked.limit
    return {
        "events": [event_object(chain, event, is_json=asked.is_json) for event in found],
        "cursor": str(found[-1].at if full else Position.end(end - 1)),
        "latestLedger": latest,
        "oldestLedger": oldest,
        "latestLedgerCloseTime": str(chain.close_ms(latest) // 1000),
        "oldestLedgerCloseTime": str(chain.close_ms(oldest) // 1000),
    }


def event_object(chain: Ledgers, event: ChainEvent, *, is_json: bool) -> dict[str, Any]:
    """An event as a node of protocol 23 writes it; empty topics are left away."""
    at, what = event.at, event.what
    members = {
        "type": what.kind,
        "ledger": at.ledger,
        "ledgerClosedAt": chain.closed_at(at.ledger),
        "contractId": what.contract_id,
        "id": str(at),
        "operationIndex": at.operation,
        "transactionIndex": at.transaction,
        "txHash": event.transaction_hash,
        "inSuccessfulContractCall": True,
    }
    if is_json:
        topics = {"topicJson": [topic.json for topic in what.topics]}
        return members | topics | {"valueJson": what.value.json}
    return members | {
        "topic": [topic.base64 for topic in what.topics],
        "value": what.value.base64,
    }


def _between(chain: Ledgers, start: Position, end_ledger: int) -> Iterator[ChainEvent]:
    for ledger in range(start.ledger, end_ledger):
        for event in chain.events(ledger):
            if event.at >= start:
                yield event


def _read(params: Mapping[str, Any], bounds: Bounds) -> _Asked:
    is_format = params.get("xdrFormat") or ""
    if is_format not in _FORMATS:
        text = f"expected base64 or json for optional 'xdrFormat', got: {is_format}"
        raise RpcError(INVALID_PARAMS, text)
    start_ledger, end_ledger = _uint(params.get("startLedger")), _uint(params.get("endLedger"))
    pagination = params.get("pagination") or {}
    if not isinstance(pagination, dict):
        raise RpcError(INVALID_PARAMS, "invalid parameters")
    cursor, limit = pagination.get("cursor"), _uint(pagination.get("limit"))
    if cursor is not None:
        start = _after(cursor)
        if start_ledger or end_ledger:
            raise RpcError(INVALID_PARAMS, "ledger ranges and cursor cannot both be set")
    elif not start_ledger:
        raise RpcError(INVALID_PARAMS, "startLedger must be positive")
    else:
        start = Position(start_ledger)
    if limit > bounds.most_events:
        raise RpcError(INVALID_PARAMS, f"limit must not exceed {bounds.most_events}")
    limit = limit or min(DEFAULT_LIMIT, bounds.most_events)
    return _Asked(start, end_ledger, limit, is_format == "json")


def _after(cursor: Any) -> Position:
    """The place right after a cursor; its last number wraps, as the server's does."""
    try:
        place = Position.of(cursor if isinstance(cursor, str) else "")
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, "invalid parameters") from error
    return place._replace(event=(place.event + 1) % (_LAST + 1))


def _uint(given: Any) -> int:
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= _LAST:
        raise RpcError(INVALID_PARAMS, "invalid parameters")
    return given
