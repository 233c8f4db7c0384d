"""The HTTP API: requests become events of format 2.0 for the functions that are deployed."""

from collections.abc import Mapping

from aiohttp import web

from local.gateway.answers import json_answer
from local.gateway.events import http_event
from local.gateway.lambda_runtime import FunctionFailed, Functions
from local.gateway.log import logger

ROUTES: Mapping[tuple[str, str], str] = {
    ("GET", "/api/symbols"): "symbols",
    ("GET", "/api/archive"): "archive_link",
}


class HttpApi:
    """Serves the routes of the HTTP API."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

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
            headers=response.get("headers"),
            text=response.get("body", ""),
        )
