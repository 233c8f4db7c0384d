"""A client that stops reading is ended like any other, whatever the reason for its end."""

import asyncio
import contextlib
import dataclasses
import socket

import pytest
from aiohttp import web

from local.gateway import clients as gateway_clients
from local.gateway.clients import Clients
from local.gateway.faults import Faults
from local.gateway.settings import read_settings
from local.gateway.sockets import Sockets

ALLOW = {
    "principalId": "anybody",
    "policyDocument": {"Statement": [{"Effect": "Allow", "Resource": "*"}]},
}
FEW_BYTES = 4096
HIGH_WATER_BYTES = 64 * 1024
"""Of a transport: with more unsent bytes it has its writers wait."""
SECONDS = 5
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LONG = {"ping_s": 60.0, "pong_s": 60.0, "idle_s": 60.0, "connection_life_s": 60.0}


class Functions:
    """Lets everybody in; `disconnected` has the events of `$disconnect`."""

    def __init__(self):
        self.disconnected = asyncio.Queue()

    async def invoke(self, name, event):
        if name == "disconnect":
            await self.disconnected.put(event)
        return ALLOW if name == "authorize" else {"statusCode": 200}


@contextlib.asynccontextmanager
async def served(functions, clients, times):
    """The address of a stage `ws` whose sockets hold little by themselves."""
    settings = dataclasses.replace(read_settings([]), **{**LONG, **times})
    app = web.Application()
    app.router.add_get("/ws", Sockets("ws", settings, functions, clients, Faults()).handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FEW_BYTES)
        await web.SockSite(runner, listening).start()
        try:
            yield listening.getsockname()
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def stuck_client(address, clients):
    """A client that reads the answer to its upgrade and no more; its buffer is full."""
    loop = asyncio.get_running_loop()
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW_BYTES)
        made.setblocking(False)
        await loop.sock_connect(made, address)
        await loop.sock_sendall(made, UPGRADE)
        assert b" 101 " in await loop.sock_recv(made, 1000)
        [client] = clients.all()
        while client.transport.get_write_buffer_size() < HIGH_WATER_BYTES:
            while client.offer(b"x" * 50_000):
                pass
            await asyncio.sleep(0)  # the writer's turn
        yield client


@pytest.mark.parametrize(
    ("times", "is_closed"),
    [
        pytest.param({"ping_s": 0.1, "pong_s": 0.3}, False, id="no pong"),
        pytest.param({"idle_s": 0.3}, False, id="idle"),
        pytest.param({"connection_life_s": 0.3}, False, id="at the end of its life"),
        pytest.param({}, True, id="closed by the keeper"),
    ],
)
def test_a_client_that_reads_nothing_is_ended_and_its_disconnect_runs(
    monkeypatch, times, is_closed
):
    monkeypatch.setattr(gateway_clients, "CLOSE_LIMIT_S", 0.2)

    async def check():
        functions, clients = Functions(), Clients()
        async with (
            asyncio.timeout(SECONDS),
            served(functions, clients, times) as address,
            stuck_client(address, clients) as client,
        ):
            if is_closed:
                client.close(1000, "Connection Closed Normally")
            event = await functions.disconnected.get()
            assert event["requestContext"]["connectionId"] == client.id
            assert clients.all() == []
            assert client.transport.is_closing()

    asyncio.run(check())
