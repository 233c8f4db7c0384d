"""Answers of the HTTP API: `{"success":true,…}`, or false and `error` (design.md §8)."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from functions.events import HttpEvent, read
from functions.telemetry import logger
from marketdata.errors import RequestError, TapedeckError

Response = dict[str, Any]
Parameters = Mapping[str, str]

STATUS = {"VALIDATION_ERROR": 400, "NOT_FOUND": 404, "INTERNAL": 503}


def answered(
    event: Mapping[str, Any], respond: Callable[[Parameters], Mapping[str, object]]
) -> Response:
    """The response to a GET: the members that `respond(parameters)` returns, or an error."""
    parameters = read(event, HttpEvent).query_string_parameters or {}
    try:
        return _response(200, {"success": True, **respond(parameters)})
    except RequestError as error:
        return _error(error.code, str(error))
    except TapedeckError as error:
        logger.error("request not served", extra={"reason": str(error)})
        return _error("INTERNAL", "the request could not be served now: try again")


def _error(code: str, message: str) -> Response:
    body = {"success": False, "error": {"code": code, "message": message}}
    return _response(STATUS[code], body)


def _response(status: int, body: Mapping[str, object]) -> Response:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": msgspec.json.encode(body).decode(),
    }
