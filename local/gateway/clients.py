"""The connections that exist: each with a bounded buffer, so that a slow client blocks nobody.

post ─ offer ─► buffer ─ writer ─► socket
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from local.gateway.events import Caller, now_ms

CLOSE_LIMIT_S = 2.0
MAX_CLIENTS = 10_000


@dataclass(slots=True)
class Client:
    """One connection; `offer` never waits."""

    caller: Caller
    socket: web.WebSocketResponse
    buffer_bytes: int
    last_active_ms: int = field(default_factory=now_ms)
    waiting: deque[bytes] = field(default_factory=deque)
    waiting_bytes: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closing: tuple[int, str] | None = None
    transport: asyncio.Transport | None = None

    @property
    def id(self) -> str:
        """The connection id."""
        return self.caller.connection_id

    def offer(self, text: bytes) -> bool:
        """Send a text when its turn comes; False when the client's buffer is full."""
        if self.waiting_bytes + len(text) > self.buffer_bytes:
            return False
        self.waiting.append(text)
        self.waiting_bytes += len(text)
        self.last_active_ms = now_ms()
        self.wake.set()
        return True

    def close(self, code: int, reason: str) -> None:
        """Close when everything offered has been written; break it off after two seconds."""
        if self.closing is None:
            self.closing = (code, reason)
            self.wake.set()
            # The writer cannot see to it: it may be waiting for a client that takes nothing.
            asyncio.get_running_loop().call_later(CLOSE_LIMIT_S, self.cut)

    def cut(self) -> None:
        """Break the connection off without a word."""
        if self.transport is not None:
            self.transport.abort()

    async def write(self) -> None:
        """Write what is offered, until the connection ends; to be run as a task."""
        with contextlib.suppress(ConnectionError):
            await self._write_waiting()
            while self.closing is None:
                await self.wake.wait()
                self.wake.clear()
                await self._write_waiting()
            code, reason = self.closing
            await self.socket.close(code=code, message=reason.encode())

    async def _write_waiting(self) -> None:
        while self.waiting:
            text = self.waiting[0]
            await self.socket.send_frame(text, WSMsgType.TEXT)
            self.waiting.popleft()
            self.waiting_bytes -= len(text)


class Clients:
    """All connections of all stages, by id."""

    def __init__(self) -> None:
        self._known: dict[str, Client] = {}
        self._left = asyncio.Event()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, client: Client) -> None:
        """From now on it can be posted to."""
        self._known[client.id] = client

    def remove(self, client: Client) -> None:
        """It has ended."""
        self._known.pop(client.id, None)
        self._left.set()

    def find(self, stage: str, connection_id: str) -> Client | None:
        """The connection of a stage, if it exists and is not being closed."""
        client = self._known.get(connection_id)
        if client is None or client.caller.stage != stage or client.closing is not None:
            return None
        return client

    async def none_left(self) -> None:
        """Wait until all have ended."""
        while self._known:
            self._left.clear()
            await self._left.wait()

    def all(self) -> list[Client]:
        """Those that exist now."""
        return list(self._known.values())
