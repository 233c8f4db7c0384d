"""JSON-RPC 2.0 as a Stellar RPC node speaks it: a body in, the answer's body out."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from local.exchanges.stellar.chain import Position
from local.exchanges.stellar.filters import INVALID_PARAMS, INVALID_REQUEST, RpcError
from local.exchanges.stellar.get_events import Bounds, get_events
from local.exchanges.stellar.ledger_xdr import PROTOCOL, header_xdr, metadata_xdr
from local.exchanges.stellar.ledgers import Ledgers

NETWORK = "Public Global Stellar Network ; September 2015"
_PARSE_ERROR, _NO_METHOD = -32700, -32601


class Answer(NamedTuple):
    """The body to send, None for a notification, and the method that it answers."""

    body: bytes | None
    method: str = ""


class Methods:
    """What can be asked of the node.

    `asked` is set by the first question; `read_to` is the ledger up to which somebody has read
    and found nothing more.
    """

    def __init__(self, chain: Ledgers, bounds: Bounds) -> None:
        self.asked = asyncio.Event()
        self.read_to = 0
        self._chain = chain
        self._bounds = bounds
        self._methods: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "getEvents": self._events,
            "getHealth": self._health,
            "getLatestLedger": self._latest_ledger,
            "getNetwork": self._network,
            "getVersionInfo": self._version,
        }

    def answer(self, body: bytes) -> Answer:
        """The answer to a request's body, errors included."""
        self.asked.set()
        id_: Any = None
        method = ""
        try:
            request = _read(body)
            method = str(request.get("method"))
            id_ = _id(request)
            result = self._call(request)
        except RpcError as error:
            told = {"code": error.code, "message": str(error)}
            return Answer(_encode({"jsonrpc": "2.0", "id": id_, "error": told}), method)
        if id_ is None:
            return Answer(None, method)
        return Answer(_encode({"jsonrpc": "2.0", "id": id_, "result": result}), method)

    def _call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if request.get("jsonrpc") != "2.0":
            raise RpcError(INVALID_REQUEST, "incorrect version marker")
        method, params = request.get("method"), request.get("params")
        found = self._methods.get(method) if isinstance(method, str) else None
        if found is None:
            raise RpcError(_NO_METHOD, "method not found")
        if params is not None and not isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "invalid parameters")
        return found(params or {})

    def _events(self, params: Mapping[str, Any]) -> dict[str, Any]:
        result = get_events(self._chain, self._bounds, params)
        if not result["events"]:
            self.read_to = max(self.read_to, Position.of(result["cursor"]).ledger)
        return result

    def _health(self, _: Mapping[str, Any]) -> dict[str, Any]:
        chain = self._chain
        return {
            "status": "healthy",
            "latestLedger": chain.latest,
            "latestLedgerCloseTime": str(chain.close_ms(chain.latest) // 1000),
            "oldestLedger": chain.oldest,
            "oldestLedgerCloseTime": str(chain.close_ms(chain.oldest) // 1000),
            "ledgerRetentionWindow": chain.retention,
        }

    def _latest_ledger(self, _: Mapping[str, Any]) -> dict[str, Any]:
        chain = self._chain
        latest = chain.latest
        return {
            "id": chain.ledger_hash(latest).hex(),
            "protocolVersion": PROTOCOL,
            "sequence": latest,
            "closeTime": str(chain.close_ms(latest) // 1000),
            "headerXdr": header_xdr(chain, latest),
            "metadataXdr": metadata_xdr(chain, latest),
        }

    def _network(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"passphrase": NETWORK, "protocolVersion": PROTOCOL}

    def _version(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "version": "27.1.1",
            "commitHash": "0" * 40,
            "buildTimestamp": "2026-08-06T00:00:00",
            "captiveCoreVersion": "stellar-core 27.0.0",
            "protocolVersion": PROTOCOL,
        }


def _read(body: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RpcError(_PARSE_ERROR, "invalid JSON request message") from error
    if isinstance(request, list):
        raise RpcError(INVALID_REQUEST, "batch requests are not supported")
    if not isinstance(request, dict):
        raise RpcError(INVALID_REQUEST, "request is not a JSON object")
    return request


def _id(request: Mapping[str, Any]) -> int | str | None:
    id_ = request.get("id")
    if not isinstance(id_, int | str | None) or isinstance(id_, bool):
        raise RpcError(INVALID_REQUEST, "invalid request ID")
    return id_


def _encode(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)
