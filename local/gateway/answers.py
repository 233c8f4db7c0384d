"""The gateway's own answers to HTTP requests: JSON, in the protocol's words or in REST's."""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from local.gateway.events import now_ms
from local.loopback_requests import is_foreign
from marketdata import client_protocol

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FOREIGN = "requests of another site's page are refused: use this machine's own name"


def json_answer(status: int, body: object) -> web.Response:
    """A body as JSON."""
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json"
    )


def protocol_error(status: int, code: str, detail: str) -> web.Response:
    """A refused upgrade: the body is the protocol's error message (design.md §7)."""
    error = client_protocol.client_error(code, detail)
    return web.Response(
        status=status,
        body=client_protocol.error(error, now_ms()),
        content_type="application/json",
    )


def rest_error(status: int, code: str, message: str) -> web.Response:
    """An error of the HTTP API (design.md §8)."""
    return json_answer(status, {"success": False, "error": {"code": code, "message": message}})


async def healthy(_request: web.Request) -> web.Response:
    """`GET /healthz`."""
    return json_answer(200, {"status": "ok"})


@web.middleware
async def guard_api(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses other sites' pages (design.md §9) and answers unknown paths in JSON."""
    if is_foreign(request.headers):
        return rest_error(403, "FORBIDDEN", FOREIGN)
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return rest_error(404, "NOT_FOUND", f"there is nothing at {request.path}")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        answer = rest_error(405, "METHOD_NOT_ALLOWED", f"{request.path} takes {allowed}")
        answer.headers["Allow"] = allowed
        return answer


def guard_socket(path: str) -> Middleware:
    """The same on a port that has only a WebSocket, in the protocol's words."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_foreign(request.headers):
            return protocol_error(403, client_protocol.UNAUTHORIZED, FOREIGN)
        try:
            return await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            return protocol_error(
                error.status,
                client_protocol.VALIDATION_ERROR,
                f"nothing answers {request.method} {request.path}: the WebSocket is at {path}",
            )

    return guard
