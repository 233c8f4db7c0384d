"""`GET /auth/websocket/key`: a trading key for a token that is good (protocols 2.2)."""

import asyncio
import time

import msgspec
from aiohttp import web

from local.exchanges.fault_plan import FaultPlan
from local.exchanges.refused import refused
from local.exchanges.stockbit.credentials import holder_of, trading_key

_TEXTS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    451: "Unavailable For Legal Reasons",
}


def refusal(status: int, retry_after_s: int | None = None) -> web.Response:
    """An error as JSON with a message, and `Retry-After` where it is known."""
    text = _TEXTS.get(status, "Internal Server Error" if status >= 500 else "Bad Request")
    response = _json({"message": text, "error_type": text.upper().replace(" ", "_")}, status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


class RestApi:
    """The one public address that a stream needs."""

    def __init__(self, faults: FaultPlan) -> None:
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """Everything that is served."""
        return [web.get("/auth/websocket/key", self._key)]

    async def _key(self, request: web.Request) -> web.StreamResponse:
        now_ms = time.time_ns() // 1_000_000
        wait_s = self._faults.slowness(request.path, now_ms)
        if wait_s:
            await asyncio.sleep(wait_s)
        fault = self._faults.refusal("rest", request.path, now_ms)
        if fault:
            return await refused(request, refusal(fault.status, fault.retry_after_s), fault)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or holder_of(token.strip(), now_ms / 1000) is None:
            return refusal(401)
        key = trading_key(token.strip())
        return _json({"message": "Successfully get websocket key", "data": {"key": key}})


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
