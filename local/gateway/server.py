"""The gateway's three ports (design.md §9).

HTTP and management APIs and the stage `ws` on one, `stream` and `candles` on one each.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, web

from local.gateway import http_api, invocations, management
from local.gateway.answers import guard_api, guard_socket, healthy
from local.gateway.clients import Clients
from local.gateway.control import Control
from local.gateway.faults import Faults
from local.gateway.lambda_runtime import Functions
from local.gateway.log import logger, take_over
from local.gateway.settings import GatewaySettings
from local.gateway.sockets import AUTHORIZER, ROUTES, Sockets
from marketdata.errors import LocalError

DRAIN_S = 5.0
MAX_REQUEST_BYTES = 8 * 1024 * 1024
NAMES = {AUTHORIZER, *ROUTES.values(), *http_api.ROUTES.values(), *invocations.NAMES}


async def serve(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT, then close every client with 1001.

    Raises:
        LocalError: a port cannot be listened on; the text names it.
    """
    loop = asyncio.get_running_loop()
    take_over(loop)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    functions, clients, faults = Functions(NAMES), Clients(), Faults()
    stages = {
        name: Sockets(name, settings, functions, clients, faults)
        for name in ("stream", "ws", "candles")
    }
    api = _api(settings, functions, clients, faults)
    api.router.add_get(settings.ws_path, stages["ws"].handle)
    stream = _socket_app("/stream", stages["stream"])
    candles = _socket_app("/", stages["candles"])
    host = settings.host
    async with (
        _listening(stream, host, settings.stream_port, "--stream-port"),
        _listening(candles, host, settings.candles_port, "--candles-port"),
        _listening(api, host, settings.api_port, "--api-port"),
    ):
        ports = (settings.api_port, settings.stream_port, settings.candles_port)
        logger.info("ready", extra={"ports": ports})
        await ended.wait()
        await _send_away(clients)
    functions.close()


def _socket_app(path: str, stage: Sockets) -> web.Application:
    app = web.Application(middlewares=[guard_socket(path)])
    app.router.add_get("/healthz", healthy)
    app.router.add_get(path, stage.handle)
    return app


def _api(
    settings: GatewaySettings, functions: Functions, clients: Clients, faults: Faults
) -> web.Application:
    api = web.Application(middlewares=[guard_api], client_max_size=MAX_REQUEST_BYTES)
    api.router.add_get("/healthz", healthy)
    http_api.HttpApi(functions).add_to(api.router)
    managing = management.Management(clients, faults, settings.limits)
    api.router.add_post(management.PATH, managing.post)
    api.router.add_get(management.PATH, managing.get, allow_head=False)
    api.router.add_delete(management.PATH, managing.delete)
    api.router.add_post(invocations.PATH, invocations.Invocations(functions).invoke)
    control = Control(clients, faults)
    api.router.add_get("/_control/connections", control.connections)
    api.router.add_get("/_control/faults", control.list_faults)
    api.router.add_post("/_control/faults", control.add_fault)
    api.router.add_delete("/_control/faults", control.clear_faults)
    return api


@asynccontextmanager
async def _listening(
    app: web.Application, host: str, port: int, option: str
) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise LocalError(
            f"cannot listen on {host}:{port} ({error.strerror}): stop the program that has the "
            f"port, or choose another with {option}"
        ) from error
    try:
        yield
    finally:
        await runner.cleanup()


async def _send_away(clients: Clients) -> None:
    """Close everybody and wait for their `$disconnect`, five seconds at most."""
    for client in clients.all():
        client.close(WSCloseCode.GOING_AWAY, "Going away")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(clients.none_left(), DRAIN_S)
