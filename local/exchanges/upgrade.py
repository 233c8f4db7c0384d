"""From a request to a connection of the hub, the same for every exchange."""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from local.exchanges.connection import Connection, ConnectionLimits
from local.exchanges.hub import Hub

_MESSAGE_BYTES = 1 << 20
_CLOSE_S = 2.0

Make = Callable[[int, web.WebSocketResponse, asyncio.Transport], Connection]


async def upgrade(
    request: web.Request,
    hub: Hub,
    limits: ConnectionLimits,
    make: Make,
    protocols: Sequence[str] = (),
) -> web.StreamResponse:
    """Serve a client from its upgrade to its end; 400 for a request that is none.

    `make` builds the connection from its number, the socket and the transport. Whether the
    request is refused (`hub.faults.refusal`, a bad path) is settled before. Of `protocols`
    the one is chosen that the client offers, if it offers any.
    """
    response = web.WebSocketResponse(
        autoping=False,
        compress=False,
        max_msg_size=_MESSAGE_BYTES,
        timeout=_CLOSE_S,
        protocols=protocols if "Sec-WebSocket-Protocol" in request.headers else (),
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
