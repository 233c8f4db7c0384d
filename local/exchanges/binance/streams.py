"""The upgrade of a connection: `/ws`, `/ws/<stream>/…`, `/stream`, `/stream?streams=a/b`."""

import time
from functools import partial

from aiohttp import web

from local.exchanges.binance.connection import BinanceConnection
from local.exchanges.binance.control_messages import MAX_STREAMS, Wishes, well_formed
from local.exchanges.binance.rest import refusal
from local.exchanges.connection import ConnectionLimits
from local.exchanges.hub import Hub
from local.exchanges.upgrade import upgrade


class StreamServer:
    """Turns upgrades into connections of the hub."""

    def __init__(self, hub: Hub, limits: ConnectionLimits) -> None:
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
        microseconds = request.query.get("timeUnit", "").upper() == "MICROSECOND"
        make = partial(
            BinanceConnection, wishes=Wishes(combined, streams), microseconds=microseconds
        )
        return await upgrade(request, self._hub, self._limits, make)
