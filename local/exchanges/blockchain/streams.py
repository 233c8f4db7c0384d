"""The upgrade of a connection, and the port it comes to: only for the exchange's own page."""

import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.exchanges.blockchain.connection import BlockchainConnection
from local.exchanges.blockchain.rest import RestApi
from local.exchanges.blockchain.settings import Settings
from local.exchanges.blockchain.throttle import Throttle
from local.exchanges.blockchain.venue import Venue
from local.exchanges.hub import Hub
from local.exchanges.upgrade import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/mercury-gateway/v1/ws"
ORIGIN = "https://exchange.blockchain.com"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class StreamServer:
    """Turns upgrades into connections of the hub."""

    def __init__(self, hub: Hub, venue: Venue, rest: RestApi, settings: Settings) -> None:
        self._hub = hub
        self._rest = rest
        self._limits = settings.connection
        self._throttle: Callable[[], Throttle] = partial(
            Throttle, settings.messages_per_minute, settings.throttle_s
        )
        self._make = partial(
            BlockchainConnection, venue=venue, era=settings.era, publish=hub.publish
        )

    def routes(self) -> list[web.RouteDef]:
        """The one address."""
        return [web.get(PATH, self._upgrade)]

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        fault = self._hub.faults.refusal("ws", request.path, time.time_ns() // 1_000_000)
        if fault:
            return self._rest.refusal(request.path, fault.status, fault.retry_after_s)
        if request.headers.get("Origin") != ORIGIN:
            return web.Response(status=400, text="Bad Request")
        make = partial(self._make, throttle=self._throttle())
        return await upgrade(request, self._hub, self._limits, make)


def own_host_only(host: str) -> list[Middleware]:
    """The Origin must be the exchange's page, so that only the Host tells another site."""
    return [_own_host] if host in LOOPBACK else []


@web.middleware
async def _own_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        name = urlsplit(f"//{request.host}").hostname
    except ValueError:
        name = None
    if name not in LOOPBACK:
        return web.Response(status=403, text="Host is another site's")
    return await handler(request)
