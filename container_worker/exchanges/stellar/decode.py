"""A Stellar RPC node's answers to contract events; pure (protocols 4.3-4.5).

answer ─► error, or result ─► each event: id against its members, topics and value as JSON

Any bytes give a page or one of our errors. An event that cannot be used does not spoil its
page: it stands among the events as `BadEvent`.
"""

import re
from typing import TypeVar

import msgspec

from container_worker.exchanges.polling import BadEvent, Page, Query, Window
from container_worker.exchanges.stellar import wire
from container_worker.exchanges.stellar.xdr_json import scval_json
from marketdata.errors import DecodeError, ExchangeError, ExchangeUnavailable, OutOfWindow
from marketdata.messages import ContractEvent
from marketdata.times import parse_iso_ms

T = TypeVar("T")

_INVALID_REQUEST, _NO_METHOD, _INVALID = -32600, -32601, -32602
_WORTH_ANOTHER_TRY = frozenset({-32001, -32003, -32603})
_OUT_OF_WINDOW = re.compile(
    r"startLedger must be within the ledger range: ([0-9]{1,10}) - ([0-9]{1,10})", re.ASCII
)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z", re.ASCII
)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTRACT = re.compile(r"C[A-Z2-7]{55}", re.ASCII)
_LEDGER = re.compile(r"[0-9]{1,10}", re.ASCII)
_EVENT_TYPES = frozenset({"contract", "system", "diagnostic"})
_LATEST_S = 10**11

_answer = msgspec.json.Decoder(wire.Answer)
_health = msgspec.json.Decoder(wire.Health)
_events = msgspec.json.Decoder(wire.Events)
_event = msgspec.json.Decoder(wire.Event)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder()


def decode_window(body: bytes) -> Window:
    """The answer of `getHealth`. Raises as `decode_page` does, but never OutOfWindow."""
    health = _read(_health, _result(body))
    if not 0 <= health.oldestLedger <= health.latestLedger:
        raise DecodeError(f"{health.oldestLedger} to {health.latestLedger} is no window")
    return Window(health.oldestLedger, health.latestLedger)


def decode_page(body: bytes, _query: Query) -> Page:
    """The answer of `getEvents`, its events by rising id.

    Raises:
        OutOfWindow: the node has not, or not yet, the ledger that was asked for.
        ExchangeUnavailable, ExchangeError: the node's other errors.
        DecodeError: not an answer, or one whose cursor contradicts its events.
    """
    result = _read(_events, _result(body))
    events = _in_order([_event_of(raw) for raw in result.events or ()])
    good = [event for event in events if isinstance(event, ContractEvent)]
    close_ms = _milliseconds(result.latestLedgerCloseTime)
    window = Window(result.oldestLedger, result.latestLedger, close_ms)
    return Page(events, _cursor(result, good), window)


def _read(decoder: "msgspec.json.Decoder[T]", raw: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(str(error)) from error


def _result(body: bytes) -> msgspec.Raw:
    answer = _read(_answer, body)
    if answer.error is not None:
        raise _refusal(answer.error)
    if not answer.result:
        raise DecodeError("neither a result nor an error: this is no JSON-RPC answer")
    return answer.result


def _refusal(error: wire.RpcError) -> ExchangeError:
    said = f"{' '.join((error.message or '').split())[:200]} ({error.code})"
    outside = _OUT_OF_WINDOW.search(error.message or "")
    if error.code == _INVALID_REQUEST and outside is not None:
        oldest, latest = int(outside[1]), int(outside[2])
        return OutOfWindow(f"the Stellar node: {said}", oldest=oldest, latest=latest)
    if error.code in _WORTH_ANOTHER_TRY:
        return ExchangeUnavailable(f"the Stellar node could not answer: {said}")
    if error.code == _NO_METHOD:
        return ExchangeError(f"STELLAR_RPC_URL names no Stellar RPC node: {said}")
    hint = ": see STELLAR_FILTERS and STELLAR_PAGE_LIMIT" if error.code == _INVALID else ""
    return ExchangeError(f"the Stellar node refuses the request: {said}{hint}")


def _in_order(
    events: list[ContractEvent | BadEvent],
) -> list[ContractEvent | BadEvent]:
    """By rising id; one that cannot be used stays behind its neighbour."""
    ids, last = [], ""
    for event in events:
        last = event.id if isinstance(event, ContractEvent) else last
        ids.append(last)
    order = sorted(range(len(events)), key=ids.__getitem__)
    return [events[at] for at in order]


def _cursor(result: wire.Events, good: list[ContractEvent]) -> str:
    last = good[-1].id if good else ""
    cursor = result.cursor or last
    if not cursor:
        raise DecodeError("the node gives no cursor: it is older than protocol 22")
    wire.position(cursor)
    if cursor < last:
        raise DecodeError(f"the cursor {cursor} lies before the event {last}")
    return cursor


def _milliseconds(seconds: int | str | None) -> int:
    if seconds is None:
        return 0
    if isinstance(seconds, str):
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 13):
            raise DecodeError(f"{seconds[:20]!r} is not a close time in seconds")
        seconds = int(seconds)
    if not 0 <= seconds < _LATEST_S:
        raise DecodeError(f"{seconds} is not a close time in seconds")
    return seconds * 1000


def _event_of(raw: msgspec.Raw) -> ContractEvent | BadEvent:
    try:
        return _contract_event(_read(_event, raw))
    except DecodeError as error:
        return BadEvent(raw.copy(), error.reason)


def _contract_event(event: wire.Event) -> ContractEvent:
    at = wire.position(event.id)
    _check_place(event, at)
    if _TIME.fullmatch(event.ledgerClosedAt) is None:
        raise DecodeError(f"ledgerClosedAt {event.ledgerClosedAt[:40]!r} is not a UTC time")
    try:
        parse_iso_ms(event.ledgerClosedAt)
    except ValueError as error:
        raise DecodeError(f"ledgerClosedAt: {error}") from error
    event_type = event.type or event.eventType or ""
    if event_type not in _EVENT_TYPES:
        raise DecodeError(f"an event of the unknown type {event_type[:20]!r}")
    if event.txHash is not None and _HASH.fullmatch(event.txHash) is None:
        raise DecodeError(f"txHash {event.txHash[:80]!r} is not a hash")
    if event.contractId and _CONTRACT.fullmatch(event.contractId) is None:
        raise DecodeError(f"contractId {event.contractId[:60]!r} is not one")
    successful = event.inSuccessfulContractCall
    return ContractEvent(
        ledger=at.ledger,
        transaction_hash=event.txHash or "",
        contract_id=event.contractId or "",
        topics=_topics(event),
        data=_data(event),
        id=event.id,
        timestamp=event.ledgerClosedAt,
        event_type=event_type,
        transaction_index=at.transaction,
        operation_index=at.operation,
        in_successful_call=True if successful is None else successful,
    )


def _check_place(event: wire.Event, at: wire.Position) -> None:
    """The id says again what the members say; they must agree (protocols 4.4)."""
    ledger = event.ledger
    if isinstance(ledger, str):
        ledger = int(ledger) if _LEDGER.fullmatch(ledger) else -1
    transaction = event.txIndex if event.transactionIndex is None else event.transactionIndex
    operation = event.opIndex if event.operationIndex is None else event.operationIndex
    for name, said, meant in (
        ("ledger", ledger, at.ledger),
        ("transactionIndex", transaction, at.transaction),
        ("operationIndex", operation, at.operation),
    ):
        if said is not None and said != meant:
            raise DecodeError(f"the {name} is {said}, but by the id {event.id} it is {meant}")


def _topics(event: wire.Event) -> msgspec.Raw:
    """A node leaves an empty list away, in either format."""
    if _is_given(event.topicJson):
        _read(_list, event.topicJson)
        return _checked(event.topicJson)
    return msgspec.Raw(b"[%b]" % b",".join(scval_json(each) for each in event.topic or ()))


def _data(event: wire.Event) -> msgspec.Raw:
    if _is_given(event.valueJson):
        return _checked(event.valueJson)
    if event.value is None:
        raise DecodeError("the event has neither value nor valueJson")
    value = event.value
    return msgspec.Raw(scval_json(value if isinstance(value, str) else value.xdr))


def _is_given(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in {b"", b"null"}


def _checked(raw: msgspec.Raw) -> msgspec.Raw:
    """Raw JSON, once it is sure that every reader can decode it."""
    _read(_anything, raw)
    return raw.copy()
