"""The WebSocket's one address: `/ws`."""

import time
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from local.exchanges.connection import ConnectionLimits
from local.exchanges.hub import Hub
from local.exchanges.stockbit.connection import BookVenue, StockbitConnection
from local.exchanges.stockbit.front_door import SUBPROTOCOLS
from local.exchanges.stockbit.rest import refusal
from local.exchanges.upgrade import upgrade


class StreamServer:
    """Turns upgrades into connections of the hub."""

    def __init__(self, venue: BookVenue, hub: Hub, limits: ConnectionLimits) -> None:
        self._venue = venue
        self._hub = hub
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """The one address."""
        return [web.get("/ws", self._upgrade)]

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        now_ms = time.time_ns() // 1_000_000
        fault = self._hub.faults.refusal("ws", request.path, now_ms)
        if fault:
            return refusal(fault.status, fault.retry_after_s)
        make = partial(
            StockbitConnection,
            venue=self._venue,
            open_books=self._open_books,
            headers={
                "origin": request.headers.get("Origin", ""),
                "subprotocol": request.headers.get("Sec-WebSocket-Protocol", ""),
                "user_agent": request.headers.get("User-Agent", ""),
            },
        )
        return await upgrade(request, self._hub, self._limits, make, SUBPROTOCOLS)

    def _open_books(self, tickers: Sequence[str], connection: int) -> None:
        """Before anything else of the new subscription."""
        self._hub.follow(self._hub.connections[connection])
        for frame in self._venue.opening(tickers, connection):
            self._hub.publish(frame)
        self._hub.flush()
