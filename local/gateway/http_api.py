"""The HTTP API: requests become events of format 2.0 for the functions that are deployed.

Pages of other ports of this machine may read the answers, as pages of the origin may that a
deployment names (`page_origin`): API Gateway answers the question before it (`OPTIONS`) itself,
as this does.
"""

from collections.abc import Mapping

from aiohttp import web

from local.gateway.answers import json_answer
from local.gateway.events import http_event
from local.gateway.lambda_runtime import FunctionFailed, Functions
from local.gateway.log import logger

ROUTES: Mapping[tuple[str, str], str] = {
    ("GET", "/api/symbols"): "symbols",
    ("GET", "/api/ohlcv"): "ohlcv",
    ("GET", "/api/archive"): "archive_link",
    ("GET", "/api/openapi.json"): "openapi",
    ("GET", "/api/asyncapi.json"): "openapi",
    ("GET", "/docs"): "docs_page",
}
ASKED_HEADERS = ("authorization", "content-type")
SHOWN_HEADERS = ("link",)
"""What a page may send, and read, beyond what any page may; a deployment allows the same."""
PREFLIGHT_S = 600


class HttpApi:
    """Serves the routes of the HTTP API."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Every route, and what browsers ask before they use it from another origin."""
        for method, path in ROUTES:
            router.add_route(method, path, self.handle)
        for path in {path for _, path in ROUTES}:
            router.add_route("OPTIONS", path, self.preflight)

    async def handle(self, request: web.Request) -> web.Response:
        """A function's answer to one request."""
        name = ROUTES[request.method, request.path]
        event = http_event(
            method=request.method,
            path=request.path,
            query_string=request.query_string,
            headers=request.headers,
            query=request.query,
            source_ip=request.remote or "",
        )
        try:
            response = await self._functions.invoke(name, event)
        except FunctionFailed as failed:
            logger.error("function failed", extra={"function": name, "reason": str(failed)})
            return json_answer(500, {"message": "Internal Server Error"})
        return web.Response(
            status=response["statusCode"],
            headers={**response.get("headers", {}), **_readable(request)},
            text=response.get("body", ""),
        )

    async def preflight(self, request: web.Request) -> web.Response:
        """What a page of another origin may ask for; it got past the guard, so it may."""
        methods = sorted(method for method, path in ROUTES if path == request.path)
        allowed = {
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": ", ".join(ASKED_HEADERS),
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        }
        return web.Response(status=204, headers={**allowed, **_readable(request)})


def _readable(request: web.Request) -> dict[str, str]:
    """Lets the origin that asks read the answer; `Link` is shown to no page unasked."""
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(SHOWN_HEADERS),
        "Vary": "Origin",
    }
