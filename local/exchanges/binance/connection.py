"""One client's stream connection: what it wants, what waits to be sent, how it ends.

Hub ─► send (bytes ready for the wire) ─► flush: one write ─► socket
socket ─► control messages, pings, pongs ─► wishes, replies
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

from aiohttp import WSMessage, WSMsgType, web

from local.exchanges.binance.control_messages import Wishes, answer
from local.exchanges.binance.frames import CLOSE, websocket_frame
from local.exchanges.binance.limits import Limits

_RESET = struct.pack("ii", 1, 0)
_PINGS_KEPT = 64
_GOING_AWAY = (1001).to_bytes(2, "big")


class Connection:
    """An upgraded socket; everything that is written as data goes through `send` and `flush`.

    Frames are written to the transport as they are, because aiohttp would encode each one again
    for every subscriber; its own pings and closes are whole frames on the same transport.
    """

    def __init__(
        self,
        number: int,
        response: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        wishes: Wishes,
        microseconds: bool,
    ) -> None:
        self.number = number
        self.wishes = wishes
        self.microseconds = microseconds
        self._response = response
        self._transport = transport
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pings: deque[tuple[float, bytes]] = deque(maxlen=_PINGS_KEPT)
        self._closing: asyncio.Task[bool] | None = None

    @property
    def mode(self) -> tuple[bool, bool]:
        """What a frame's bytes for this connection depend on."""
        return self.wishes.combined, self.microseconds

    @property
    def backlog(self) -> int:
        """Bytes that the client's socket has not taken."""
        if self.gone:
            return 0
        return self._pending_bytes + self._transport.get_write_buffer_size()

    @property
    def gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return (
            self._closing is not None or self._response.closed or self._transport.is_closing()
        )

    def send(self, wire: bytes) -> None:
        """Line up a whole frame; `flush` writes it."""
        self._pending.append(wire)
        self._pending_bytes += len(wire)

    def flush(self) -> None:
        """Write what is lined up, at once."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if pending and not self.gone:
            self._transport.write(b"".join(pending))

    def reset(self) -> None:
        """End with a TCP reset, as a dying network path does."""
        self._pending.clear()
        raw = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def close(self, code: int, reason: str) -> None:
        """End with a close frame, after what is lined up."""
        self.flush()
        if not self.gone:
            self._closing = asyncio.ensure_future(
                self._response.close(code=code, message=reason.encode())
            )

    def go_away(self) -> None:
        """End because the server ends: a close frame with 1001, no wait for the client's."""
        self.send(websocket_frame(_GOING_AWAY, CLOSE))
        self.flush()
        self._transport.close()

    async def serve(self, limits: Limits, changed: Callable[[], None]) -> None:
        """Answer the client until either side ends; `changed` is called after each message."""
        keeper = asyncio.ensure_future(self._keep(limits))
        try:
            await self._read(limits, changed)
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await keeper
            if self._closing:
                with contextlib.suppress(ConnectionError):
                    await self._closing

    async def _read(self, limits: Limits, changed: Callable[[], None]) -> None:
        recent: deque[float] = deque(maxlen=limits.messages_per_second)
        async for message in self._response:
            now_s = time.monotonic()
            if len(recent) == recent.maxlen and now_s - recent[0] < 1.0:
                self.close(1008, "Too many requests")
                continue
            recent.append(now_s)
            await self._take(message, changed)

    async def _take(self, message: WSMessage, changed: Callable[[], None]) -> None:
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY:
                self.send(websocket_frame(answer(message.data, self.wishes)))
                self.flush()
                changed()
            case WSMsgType.PING:
                with contextlib.suppress(ConnectionError):
                    await self._response.pong(message.data)
            case WSMsgType.PONG:
                self._take_pong(bytes(message.data))

    def _take_pong(self, payload: bytes) -> None:
        """Only a pong that echoes a ping counts; it answers the earlier ones too."""
        if any(payload == sent for _, sent in self._pings):
            while self._pings and self._pings.popleft()[1] != payload:
                pass

    async def _keep(self, limits: Limits) -> None:
        """Ping, miss the pong, end the 24 h life."""
        born_s = time.monotonic()
        ping_at_s = born_s + limits.ping_s
        while not self.gone:
            now_s = time.monotonic()
            if now_s >= born_s + limits.life_s:
                self.close(1000, "connection life is over")
            elif self._pings and now_s - self._pings[0][0] >= limits.pong_s:
                self.close(1008, "Pong timeout")
            elif now_s >= ping_at_s:
                payload = str(time.time_ns() // 1_000_000).encode()
                self._pings.append((now_s, payload))
                ping_at_s = now_s + limits.ping_s
                await self._response.ping(payload)
            ends_s = min(ping_at_s, born_s + limits.life_s)
            if self._pings:
                ends_s = min(ends_s, self._pings[0][0] + limits.pong_s)
            await asyncio.sleep(max(0.001, ends_s - time.monotonic()))
