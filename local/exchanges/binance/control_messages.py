"""Control messages of a stream connection, client to server (protocols 1.3). Pure.

text ─► answer(text, wishes) ─► reply text; the wishes are changed in place
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

MAX_STREAMS = 1024
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_STREAM = re.compile(r"[!-~]{1,200}")
_INT64 = 2**63
_FIELDS = {"method", "params", "id"}

_UNKNOWN_PROPERTY, _WRONG_TYPE, _INVALID_REQUEST, _INVALID_JSON = range(4)


@dataclass(slots=True)
class Wishes:
    """What a connection wants: streams in the order of asking, and its mode."""

    combined: bool
    streams: dict[str, None] = field(default_factory=dict)


class _RefusedError(Exception):
    """A message that is answered with an error; `code` as Binance numbers them."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


def well_formed(stream: str) -> bool:
    """Whether a name may be subscribed; an unknown one is silent, as on the exchange."""
    return _STREAM.fullmatch(stream) is not None


def answer(text: str | bytes, wishes: Wishes) -> bytes:
    """The reply to a client's message, which has been carried out when it is not an error."""
    request_id: Any = None
    known_id = False
    try:
        request = _request(text)
        request_id = _request_id(request)
        known_id = True
        result = _carry_out(request, wishes)
    except _RefusedError as error:
        body: dict[str, Any] = {"code": error.code, "msg": str(error)}
        return msgspec.json.encode(body | ({"id": request_id} if known_id else {}))
    return msgspec.json.encode({"result": result, "id": request_id})


def _request(text: str | bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _RefusedError(_INVALID_JSON, f"Invalid JSON: {error}") from error
    if not isinstance(request, dict):
        raise _RefusedError(_INVALID_REQUEST, "Invalid request: expected an object")
    return request


def _request_id(request: dict[str, Any]) -> Any:
    if "id" not in request:
        raise _RefusedError(_INVALID_REQUEST, "Invalid request: missing field `id`")
    value = request["id"]
    if value is None:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return value
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise _RefusedError(
        _INVALID_REQUEST,
        "Invalid request: request ID must be a signed 64-bit integer, an alphanumeric string "
        "of up to 36 characters or null",
    )


def _carry_out(request: dict[str, Any], wishes: Wishes) -> Any:
    if "method" not in request:
        raise _RefusedError(_INVALID_REQUEST, "Invalid request: missing field `method`")
    method = request["method"]
    if method not in _METHODS:
        expected = ", ".join(f"`{name}`" for name in _METHODS)
        raise _RefusedError(
            _INVALID_REQUEST,
            f"Invalid request: unknown variant `{method}`, expected one of {expected}",
        )
    unknown = sorted(set(request) - _FIELDS)
    if unknown:
        raise _RefusedError(_INVALID_REQUEST, f"Invalid request: unknown field `{unknown[0]}`")
    params = request.get("params")
    match method:
        case "SUBSCRIBE":
            return _subscribe(_streams(params), wishes)
        case "UNSUBSCRIBE":
            for stream in _streams(params):
                wishes.streams.pop(stream, None)
            return None
        case "LIST_SUBSCRIPTIONS":
            if params:
                raise _RefusedError(_INVALID_REQUEST, "Invalid request: too many parameters")
            return list(wishes.streams)
        case "SET_PROPERTY":
            return _set_property(_property(params, 2), wishes)
        case _:
            _property(params, 1)
            return wishes.combined


def _streams(params: Any) -> list[str]:
    if not isinstance(params, list) or not params:
        raise _RefusedError(
            _INVALID_REQUEST, "Invalid request: params must be a list of streams"
        )
    for stream in params:
        if not isinstance(stream, str) or not well_formed(stream):
            raise _RefusedError(
                _INVALID_REQUEST, "Invalid request: a stream must be a name without spaces"
            )
    return params


def _subscribe(streams: list[str], wishes: Wishes) -> None:
    wanted = wishes.streams | dict.fromkeys(streams)
    if len(wanted) > MAX_STREAMS:
        raise _RefusedError(
            _INVALID_REQUEST,
            f"Invalid request: more than {MAX_STREAMS} streams on a connection",
        )
    wishes.streams.update(wanted)


def _property(params: Any, count: int) -> list[Any]:
    if not isinstance(params, list) or not params or not isinstance(params[0], str):
        raise _RefusedError(_INVALID_REQUEST, "Invalid request: property name must be a string")
    if len(params) > count:
        raise _RefusedError(_INVALID_REQUEST, "Invalid request: too many parameters")
    if params[0] != "combined":
        raise _RefusedError(_UNKNOWN_PROPERTY, "Unknown property")
    return params


def _set_property(params: list[Any], wishes: Wishes) -> None:
    if len(params) != 2 or not isinstance(params[1], bool):
        raise _RefusedError(_WRONG_TYPE, "Invalid value type: expected Boolean")
    wishes.combined = params[1]
