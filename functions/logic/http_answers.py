"""Answers of the HTTP API: `{"success":true,…}`, or false and `error` (design.md §8)."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from functions.events import HttpEvent, read
from functions.telemetry import logger
from marketdata.errors import RequestError, TapedeckError

Response = dict[str, Any]
Parameters = Mapping[str, str]

JSON = "application/json"
STATUS = {"VALIDATION_ERROR": 400, "NOT_FOUND": 404, "INTERNAL": 503}


def answered(
    event: Mapping[str, Any], respond: Callable[[Parameters], Mapping[str, object]]
) -> Response:
    """The response to a GET: the members that `respond(parameters)` returns, or an error."""
    return served(event, lambda asked: json_answer({"success": True, **respond(asked)}))


def served(event: Mapping[str, Any], respond: Callable[[Parameters], Response]) -> Response:
    """The response to a GET: what `respond(parameters)` returns, or an error."""
    parameters = read(event, HttpEvent).query_string_parameters or {}
    try:
        return respond(parameters)
    except RequestError as error:
        return _error(error.code, str(error))
    except TapedeckError as error:
        logger.error("request not served", extra={"reason": str(error)})
        return _error("INTERNAL", "the request could not be served now: try again")


def json_answer(body: object) -> Response:
    """200 with a body as JSON."""
    return answer(200, JSON, msgspec.json.encode(body).decode())


def answer(status: int, content_type: str, text: str, **headers: str) -> Response:
    """A response of the HTTP API."""
    return {
        "statusCode": status,
        "headers": {"content-type": content_type, **headers},
        "body": text,
    }


def refuse_unknown(parameters: Parameters, known: Collection[str]) -> None:
    """Refuse a parameter that nobody reads: it is a misspelt one.

    Raises:
        RequestError: VALIDATION_ERROR.
    """
    unknown = [name for name in parameters if name not in known]
    if unknown:
        there = f"there are {', '.join(known)}" if known else "there are none"
        raise bad_parameter(f"unknown parameter {unknown[0][:40]!r}: {there}")


def required(parameters: Parameters, names: Collection[str]) -> None:
    """Refuse a request in which one of these is missing or empty.

    Raises:
        RequestError: VALIDATION_ERROR.
    """
    missing = [name for name in names if not parameters.get(name)]
    if missing:
        raise bad_parameter(f"the parameter {missing[0]!r} is missing")


def one_of(name: str, value: str, allowed: Collection[str]) -> str:
    """The value, which must be one of these.

    Raises:
        RequestError: VALIDATION_ERROR.
    """
    if value not in allowed:
        raise bad_parameter(f"the parameter {name!r} must be one of {', '.join(allowed)}")
    return value


def bad_parameter(message: str) -> RequestError:
    """The error for a parameter; the message names it."""
    return RequestError("VALIDATION_ERROR", message)


def _error(code: str, message: str) -> Response:
    body = {"success": False, "error": {"code": code, "message": message}}
    return answer(STATUS[code], JSON, msgspec.json.encode(body).decode())
