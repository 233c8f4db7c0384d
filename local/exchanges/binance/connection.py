"""A connection of Binance's: control messages, the combined mode, microseconds."""

import asyncio
from typing import Any

from aiohttp import WSMessage, web

from local.exchanges.binance.control_messages import Wishes, answer
from local.exchanges.binance.modes import combined, in_microseconds
from local.exchanges.connection import Connection
from local.exchanges.frames import Frame, websocket_frame


class BinanceConnection(Connection):
    """Its streams are those of its wishes, which its messages change in place."""

    def __init__(
        self,
        number: int,
        response: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        wishes: Wishes,
        microseconds: bool,
    ) -> None:
        super().__init__(number, response, transport)
        self.streams = wishes.streams
        self._wishes = wishes
        self._microseconds = microseconds

    @property
    def mode(self) -> tuple[bool, bool]:
        """Combined or raw, microseconds or milliseconds."""
        return self._wishes.combined, self._microseconds

    def content(self, frame: Frame) -> bytes:
        """The payload in this connection's mode."""
        payload = in_microseconds(frame.payload) if self._microseconds else frame.payload
        return combined(frame.stream, payload) if self._wishes.combined else payload

    def described(self) -> dict[str, Any]:
        """The mode."""
        return {"combined": self._wishes.combined}

    async def take(self, message: WSMessage) -> None:
        """Carry out a control message and answer it."""
        self.send(websocket_frame(answer(message.data, self._wishes)))
        self.flush()
