"""The upgrade of a connection: `/ws`, `/ws/<stream>/…`, `/stream`, `/stream?streams=a/b`."""

import asyncio
import time

from aiohttp import web

from local.exchanges.binance.connection import Connection
from local.exchanges.binance.control_messages import MAX_STREAMS, Wishes, well_formed
from local.exchanges.binance.hub import Hub
from local.exchanges.binance.limits import Limits
from local.exchanges.binance.rest import refusal

_MESSAGE_BYTES = 1 << 20
_CLOSE_S = 2.0


class StreamServer:
    """Turns upgrades into connections of the hub."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self._hub = hub
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """The four kinds of address (protocols 1.1)."""
        return [
            web.get("/ws", self._raw),
            web.get("/ws/{streams:.*}", self._raw),
            web.get("/stream", self._combined),
        ]

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        return await self._upgrade(
            request, request.match_info.get("streams", ""), combined=False
        )

    async def _combined(self, request: web.Request) -> web.StreamResponse:
        return await self._upgrade(request, request.query.get("streams", ""), combined=True)

    async def _upgrade(
        self, request: web.Request, names: str, *, combined: bool
    ) -> web.StreamResponse:
        fault = self._hub.faults.refusal("ws", request.path, time.time_ns() // 1_000_000)
        if fault:
            return refusal(fault.status, fault.retry_after_s)
        streams = dict.fromkeys(name for name in names.split("/") if name)
        if len(streams) > MAX_STREAMS or not all(map(well_formed, streams)):
            return web.Response(status=400, text="Invalid request: bad or too many streams")
        response = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=_MESSAGE_BYTES, timeout=_CLOSE_S
        )
        if not response.can_prepare(request):
            return web.Response(status=400, text="Upgrade to a WebSocket here")
        await response.prepare(request)
        transport = request.transport
        if transport is None or not isinstance(transport, asyncio.Transport):
            return response
        connection = Connection(
            self._hub.next_number(),
            response,
            transport,
            wishes=Wishes(combined, streams),
            microseconds=request.query.get("timeUnit", "").upper() == "MICROSECOND",
        )
        self._hub.enter(connection)
        try:
            await connection.serve(self._limits, lambda: self._hub.follow(connection))
        finally:
            self._hub.leave(connection)
        return response
