"""The management API: `@connections` of a stage, with API Gateway's statuses and error names.

POST | GET | DELETE /_management/{stage}/@connections/{id}
"""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from local.gateway.answers import json_answer
from local.gateway.clients import Client, Clients
from local.gateway.faults import POSTS, Fault, Faults, Kind
from local.gateway.settings import Limits
from marketdata.times import iso_ms

PATH = "/_management/{stage}/@connections/{id}"
ERRORS: Mapping[Kind, tuple[int, str]] = {
    "gone": (410, "GoneException"),
    "throttled": (429, "LimitExceededException"),
    "too_large": (413, "PayloadTooLargeException"),
    "forbidden": (403, "ForbiddenException"),
    "error": (500, "InternalServerErrorException"),
    "hang": (504, "GatewayTimeoutException"),
}


class Management:
    """Serves the management API."""

    def __init__(self, clients: Clients, faults: Faults, limits: Limits) -> None:
        self._clients = clients
        self._faults = faults
        self._limits = limits

    async def post(self, request: web.Request) -> web.Response:
        """Send the body to the connection as one text message."""
        if not _is_signed(request):
            return _unsigned()
        fault = self._faults.take(request.match_info["id"], POSTS)
        if fault:
            return await _faulty(fault)
        body = await request.read()
        if len(body) > self._limits.post_bytes:
            return _error("too_large")
        client = self._find(request)
        if client is None:
            return _error("gone")
        if not client.offer(body):
            return _error("throttled")
        return web.Response(status=200)

    async def get(self, request: web.Request) -> web.Response:
        """When the connection was made and last used, and by whom."""
        if not _is_signed(request):
            return _unsigned()
        client = self._find(request)
        if client is None:
            return _error("gone")
        identity = {
            "sourceIp": client.caller.source_ip,
            "userAgent": client.caller.user_agent or "",
        }
        return json_answer(
            200,
            {
                "connectedAt": iso_ms(client.caller.connected_ms),
                "identity": identity,
                "lastActiveAt": iso_ms(client.last_active_ms),
            },
        )

    async def delete(self, request: web.Request) -> web.Response:
        """Close the connection."""
        if not _is_signed(request):
            return _unsigned()
        client = self._find(request)
        if client is None:
            return _error("gone")
        client.close(1000, "Connection Closed Normally")
        return web.Response(status=204)

    def _find(self, request: web.Request) -> Client | None:
        return self._clients.find(request.match_info["stage"], request.match_info["id"])


def _is_signed(request: web.Request) -> bool:
    """Signatures are asked for, as in AWS; whether they are right is not checked here."""
    return request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=")


def _unsigned() -> web.Response:
    answer = json_answer(403, {"message": "Missing Authentication Token"})
    answer.headers["x-amzn-ErrorType"] = "MissingAuthenticationTokenException"
    return answer


async def _faulty(fault: Fault) -> web.Response:
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
    return _error(fault.kind)


def _error(kind: Kind) -> web.Response:
    status, name = ERRORS[kind]
    answer = json_answer(status, {"message": None})
    answer.headers["x-amzn-ErrorType"] = name
    return answer
