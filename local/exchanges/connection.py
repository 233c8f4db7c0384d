"""One client's stream connection: what it wants, what waits to be sent, how it ends.

Hub ─► send (bytes ready for the wire) ─► flush: one write ─► socket
socket ─► the client's messages, pings, pongs ─► take (the exchange's own) ─► streams, replies
"""

import asyncio
import contextlib
import math
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from local.exchanges.frames import CLOSE, TEXT, Frame, websocket_frame

_RESET = struct.pack("ii", 1, 0)
_PINGS_KEPT = 64
_LONGEST_SLEEP_S = 3_600.0
_GOING_AWAY = (1001).to_bytes(2, "big")


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a TCP reset."""
    raw = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a server does with every connection; infinite is never.

    It pings each `ping_s` and ends who has not answered after `pong_s`, who is connected for
    `life_s`, who wants no stream `subscribe_s` after connecting, who has sent nothing at all
    for `quiet_s`, and who sends more than `messages_per_second`.
    """

    ping_s: float = math.inf
    pong_s: float = math.inf
    life_s: float = math.inf
    subscribe_s: float = math.inf
    quiet_s: float = math.inf
    messages_per_second: int = 1_000


class Connection(ABC):
    """An upgraded socket; everything that is written as data goes through `send` and `flush`.

    An exchange's own class overrides `take`, and `content` where a frame's payload depends on
    the connection; `mode` must then tell connections with different contents apart. Where
    `numbered`, every frame that is due has a number of this connection before faults act
    (`frame.numbers[connection.number]`); a reply takes its own by `take_number`.

    Frames are written to the transport as they are, because aiohttp would encode each one again
    for every subscriber; its own pings and closes are whole frames on the same transport.
    """

    opcode = TEXT
    numbered = False

    def __init__(
        self, number: int, response: web.WebSocketResponse, transport: asyncio.Transport
    ) -> None:
        self.number = number
        self.streams: Collection[str] = set()
        self._response = response
        self._transport = transport
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pings: deque[tuple[float, bytes]] = deque(maxlen=_PINGS_KEPT)
        self._closing: asyncio.Task[bool] | None = None
        self._next_number = 0
        self._heard_s = time.monotonic()

    @abstractmethod
    async def take(self, message: WSMessage) -> None:
        """Answer a text or binary message of the client; may change `streams`."""

    @property
    def mode(self) -> Hashable:
        """What a frame's bytes for this connection depend on."""
        return ()

    def content(self, frame: Frame) -> bytes:
        """A frame's payload as this connection gets it."""
        return frame.payload

    def render(self, frame: Frame) -> bytes:
        """A frame's bytes on the wire."""
        return websocket_frame(self.content(frame), self.opcode)

    def described(self) -> dict[str, Any]:
        """What `/_control/status` says of this connection besides its streams."""
        return {}

    def flooded(self) -> None:
        """End a connection that sends too much."""
        self.close(1008, "Too many requests")

    def neglected(self, why: str) -> None:
        """End a connection that has not done in time what it must: `why` says it."""
        self.close(1008, why)

    def take_number(self) -> int:
        """The connection's next number, from 0 on."""
        number = self._next_number
        self._next_number += 1
        return number

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
        reset(self._transport)

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

    async def serve(self, limits: ConnectionLimits, changed: Callable[[], None]) -> None:
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

    async def _read(self, limits: ConnectionLimits, changed: Callable[[], None]) -> None:
        recent: deque[float] = deque(maxlen=limits.messages_per_second)
        async for message in self._response:
            now_s = self._heard_s = time.monotonic()
            if len(recent) == recent.maxlen and now_s - recent[0] < 1.0:
                self.flooded()
                continue
            recent.append(now_s)
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    await self.take(message)
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

    async def _keep(self, limits: ConnectionLimits) -> None:
        """Ping, miss the pong, the subscription, any word; end the life."""
        born_s = time.monotonic()
        ping_at_s, subscribe_by_s = born_s + limits.ping_s, born_s + limits.subscribe_s
        while not self.gone:
            now_s = time.monotonic()
            if self.streams:
                subscribe_by_s = math.inf
            if now_s >= born_s + limits.life_s:
                self.close(1000, "connection life is over")
            elif self._pings and now_s - self._pings[0][0] >= limits.pong_s:
                self.close(1008, "Pong timeout")
            elif now_s >= subscribe_by_s:
                self.neglected("no subscription")
            elif now_s >= self._heard_s + limits.quiet_s:
                self.neglected("no message")
            elif now_s >= ping_at_s:
                payload = str(time.time_ns() // 1_000_000).encode()
                self._pings.append((now_s, payload))
                ping_at_s = now_s + limits.ping_s
                await self._response.ping(payload)
            ends_s = min(ping_at_s, born_s + limits.life_s, self._heard_s + limits.quiet_s)
            ends_s = min(ends_s, subscribe_by_s)
            if self._pings:
                ends_s = min(ends_s, self._pings[0][0] + limits.pong_s)
            sleep_s = ends_s - time.monotonic()
            await asyncio.sleep(min(max(0.001, sleep_s), _LONGEST_SLEEP_S))
