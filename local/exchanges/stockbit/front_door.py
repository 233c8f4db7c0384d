"""How Stockbit's clients come in: with its pages' Origin and the subprotocol `web`."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.exchanges.connection import Connection, ConnectionLimits
from local.exchanges.hub import Hub
from local.exchanges.serving import ServeOptions
from local.exchanges.site_check import own_site_only
from marketdata.errors import LocalError

ORIGINS = frozenset({"https://stockbit.com", "https://www.stockbit.com"})
SUBPROTOCOLS = ("web",)

_MESSAGE_BYTES = 1 << 20
_CLOSE_S = 2.0
_SHUTDOWN_S = 1.0

Make = Callable[[int, web.WebSocketResponse, asyncio.Transport], Connection]


async def upgrade(
    request: web.Request, hub: Hub, limits: ConnectionLimits, make: Make
) -> web.StreamResponse:
    """Serve a client from its upgrade to its end; 400 for a request that is none."""
    response = web.WebSocketResponse(
        autoping=False,
        compress=False,
        max_msg_size=_MESSAGE_BYTES,
        timeout=_CLOSE_S,
        protocols=SUBPROTOCOLS if "Sec-WebSocket-Protocol" in request.headers else (),
    )
    if not response.can_prepare(request):
        return web.Response(status=400, text="Upgrade to a WebSocket here")
    await response.prepare(request)
    transport = request.transport
    if transport is None or not isinstance(transport, asyncio.Transport):
        return response
    connection = make(hub.next_number(), response, transport)
    hub.enter(connection)
    try:
        await connection.serve(limits, lambda: hub.follow(connection))
    finally:
        hub.leave(connection)
    return response


@contextlib.asynccontextmanager
async def streams_site(
    routes: Sequence[web.RouteDef], options: ServeOptions
) -> AsyncIterator[int]:
    """Serve routes on the port `ws`; the port that it really is.

    Raises:
        LocalError: the port cannot be had.
    """
    app = web.Application(middlewares=[_stockbits_pages_too(options.host)])
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    number = options.ports["ws"]
    try:
        listener = web.TCPSite(runner, options.host, number, ssl_context=options.tls)
        try:
            await listener.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise LocalError(
                f"the Stockbit streams cannot listen on {options.host}:{number}: {reason}"
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _stockbits_pages_too(host: str) -> Middleware:
    """The usual check, passed also by an Origin of Stockbit's own site."""
    usual = own_site_only(host)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Origin") not in ORIGINS:
            return await usual(request, handler)
        headers = request.headers.copy()
        del headers["Origin"]

        async def with_origin(_: web.Request) -> web.StreamResponse:
            return await handler(request)

        return await usual(request.clone(headers=headers), with_origin)

    return check
