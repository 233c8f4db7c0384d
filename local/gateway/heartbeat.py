"""Pings a client and tells when it has stopped answering (sources/save-to-websocket.md).

Deployed, API Gateway answers pings by itself and sends none; there the keeper asks for life
(rule 26).
"""

import asyncio
import contextlib

from aiohttp import WSCloseCode

from local.gateway.clients import Client
from local.gateway.events import now_ms

WRITE_LIMIT_S = 5.0


class Heartbeat:
    """One client's: `answered` is called for each pong; `run` is a task."""

    def __init__(self, client: Client, *, ping_s: float, pong_s: float) -> None:
        self._client = client
        self._ping_s = ping_s
        self._pong_ms = round(pong_s * 1000)
        self._answered_ms = client.caller.connected_ms

    def answered(self) -> None:
        """The client is alive; on this stage that keeps the connection from being idle."""
        self._answered_ms = self._client.last_active_ms = now_ms()

    async def run(self) -> None:
        """Ping until the client has not answered for too long, then close it with 1001."""
        self._answered_ms = now_ms()
        while self._client.closing is None:
            left_ms = self._answered_ms + self._pong_ms - now_ms()
            if left_ms <= 0:
                self._client.close(WSCloseCode.GOING_AWAY, "no pong")
                return
            await asyncio.sleep(min(self._ping_s, left_ms / 1000))
            # A client that does not read must not hold up the clock that ends it.
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(WRITE_LIMIT_S):
                    await self._client.socket.ping()
