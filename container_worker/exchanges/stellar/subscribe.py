"""What a Stellar RPC node is asked, what it bears, what filters mean (protocols 4.1-4.2)."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable

import msgspec

from container_worker.exchanges.adapter import Limits, Numbering, RestRequest
from container_worker.exchanges.polling import Query
from marketdata import topics
from marketdata.instruments import Instrument

EXCHANGE = "stellar"
TICKER = "events"

NUMBERING: dict[str, Numbering] = {topics.CONTRACT_EVENTS: "opaque"}

LIMITS = Limits(
    streams_per_socket=1,
    streams_per_request=1,
    control_per_second=1.0,
    connection_life_s=math.inf,
    connects_per_minute=60.0,
    weight_per_minute=600,
    weight_burst=20,
)
"""Nodes name no limit and most providers have one: ten questions a second at the most."""

RESTRICTED = (
    "the Stellar node refuses this address (HTTP 451): set STELLAR_RPC_URL to another "
    "provider's node"
)

UNAUTHORIZED = (
    "the Stellar node does not accept the request (HTTP 401): set STELLAR_AUTH_HEADER to what "
    "its provider wants in Authorization"
)

_MOST = 5
_MOST_SEGMENTS = 4
_ANY, _REST = "*", "**"
_MEMBERS = ("type", "contractIds", "topics")
_TYPES = frozenset({"", "contract", "system"})
_CONTRACT = re.compile(r"C[A-Z2-7]{55}", re.ASCII)

Fault = Callable[[object], str]


def instrument(ticker: str) -> Instrument | None:
    """The one thing that there is: all events that the filters let through."""
    if ticker != TICKER:
        return None
    return Instrument(EXCHANGE, TICKER, symbol=TICKER, base=TICKER, quote="")


def window_request(query: Query) -> RestRequest:
    """`getHealth`: which ledgers the node has."""
    return _post(query, "getHealth", {})


def page_request(query: Query, ledger: int, cursor: str) -> RestRequest:
    """`getEvents` from `ledger` on, or after `cursor` where that is not empty."""
    pagination: dict[str, int | str] = {"limit": query.limit}
    params: dict[str, object] = {
        "filters": msgspec.Raw(query.filters),
        "pagination": pagination,
        "xdrFormat": query.xdr_format,
    }
    if cursor:
        pagination["cursor"] = cursor
    else:
        params["startLedger"] = ledger
    return _post(query, "getEvents", params)


def _post(query: Query, method: str, params: dict[str, object]) -> RestRequest:
    body: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": method}
    if params:
        body["params"] = params
    headers = [("Content-Type", "application/json")]
    if query.auth_header:
        headers.append(("Authorization", query.auth_header))
    return RestRequest("", 1, tuple(headers), msgspec.json.encode(body))


def filter_faults(filters: bytes) -> list[str]:
    """What a node would refuse or silently not understand, each in words; empty if sound."""
    try:
        given = msgspec.json.decode(filters)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        given = None
    if not isinstance(given, list):
        return ["not a JSON list of getEvents filters"]
    faults = [f"{len(given)} filters; a node takes {_MOST}"] if len(given) > _MOST else []
    for number, each in enumerate(given, 1):
        faults += (f"filter {number}: {fault}" for fault in _faults_of(each))
    return faults


def one_topic_filters(filters: bytes) -> list[str]:
    """One sentence for each sound filter that matches nothing but one-topic events."""
    sentences = []
    for number, each in enumerate(msgspec.json.decode(filters), 1):
        lists = each.get("topics") or []
        if lists and all(len(segments) == 1 and segments[0] != _REST for segments in lists):
            written = msgspec.json.encode(lists).decode()
            sentences.append(
                f"filter {number}: topics {written[:200]} match only events with exactly one "
                'topic; [["**"]], or no topics, is every event'
            )
    return sentences


def _faults_of(given: object) -> Iterable[str]:
    if not isinstance(given, dict):
        yield "it is not an object"
        return
    for name in given:
        if name not in _MEMBERS:
            yield f"{str(name)[:40]!r} is none of {', '.join(_MEMBERS)}"
    kinds = given.get("type") or ""
    if not isinstance(kinds, str) or not set(kinds.split(",")) <= _TYPES:
        yield f"type {_short(kinds)} is not contract, system, or both with a comma"
    yield from _list_faults(given.get("contractIds"), "contractIds", _contract_fault)
    yield from _list_faults(given.get("topics"), "topics", _topics_fault)


def _list_faults(given: object, name: str, fault_of: Fault) -> Iterable[str]:
    if given is None:
        return
    if not isinstance(given, list):
        yield f"{name} is not a list"
        return
    if len(given) > _MOST:
        yield f"{len(given)} {name}; a node takes {_MOST}"
    for number, each in enumerate(given, 1):
        fault = fault_of(each)
        if fault:
            yield f"{name} {number}: {fault}"


def _contract_fault(given: object) -> str:
    if isinstance(given, str) and _CONTRACT.fullmatch(given):
        raw = base64.b32decode(given)
        if raw[0] == 2 << 3 and binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") == raw[-2:]:
            return ""
    return f"{_short(given)} is not a contract's id (C…, 56 characters, with its checksum)"


def _topics_fault(given: object) -> str:
    if not isinstance(given, list) or not given:
        return "it is not a list of segments"
    fixed = given[:-1] if given[-1] == _REST else given
    if len(fixed) > _MOST_SEGMENTS:
        return f"{len(fixed)} segments; an event has at most {_MOST_SEGMENTS} topics"
    for number, segment in enumerate(fixed, 1):
        if segment == _REST:
            return f'segment {number}: "**" may only be the last'
        if segment != _ANY and not _is_xdr(segment):
            return f'segment {number}: {_short(segment)} is not "*", "**" or a base64 ScVal'
    return ""


def _is_xdr(segment: object) -> bool:
    try:
        raw = base64.b64decode(segment, validate=True) if isinstance(segment, str) else b""
    except ValueError:
        return False
    return bool(raw) and len(raw) % 4 == 0


def _short(given: object) -> str:
    return msgspec.json.encode(given).decode()[:80]
