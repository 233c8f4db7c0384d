"""One client: who it is, its layout, the tickers that it wants.

ping ─► pong; a frame with key and token ─► streams, and both sides of each book stated anew
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from aiohttp import WSMessage, WSMsgType, web

from local.exchanges.connection import Connection, ConnectionLimits
from local.exchanges.frames import BINARY, Frame, websocket_frame
from local.exchanges.stockbit.credentials import Holder, holder_of, trading_key
from local.exchanges.stockbit.messages import error, pong
from local.exchanges.stockbit.requests import Layout, Request, read_request
from marketdata.errors import DecodeError

KIND = "orderbook"
INVALID, UNAUTHENTICATED = 3, 16
"""Codes of the error message; Stockbit's own numbers are not known."""

Open = Callable[[Sequence[str], int], None]


class BookVenue(Protocol):
    """What a connection asks of a simulated market or a tape."""

    tickers: tuple[str, ...]

    def opening(self, tickers: Sequence[str], connection: int) -> Iterable[Frame]:
        """What a new subscription of that connection is answered with."""
        ...

    def content(self, frame: Frame, layout: Layout) -> bytes:
        """A frame's payload in a layout."""
        ...


def stream_of(ticker: str) -> str:
    """The name under which the hub knows a ticker's messages."""
    return f"{ticker}@{KIND}"


class StockbitConnection(Connection):
    """A subscription states all that is wanted; a later one takes its place.

    `open_books` sends what a new subscription of this connection is answered with.
    """

    opcode = BINARY

    def __init__(
        self,
        number: int,
        response: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        venue: BookVenue,
        open_books: Open,
        headers: dict[str, str],
    ) -> None:
        super().__init__(number, response, transport)
        self._venue = venue
        self._open_books = open_books
        self._headers = headers
        self._layout: Layout = "flat"
        self._token_expires_s: int | None = None
        self._ending: asyncio.TimerHandle | None = None

    @property
    def mode(self) -> Layout:
        """Connections of one layout get the same bytes."""
        return self._layout

    def content(self, frame: Frame) -> bytes:
        """The message in the client's layout."""
        return self._venue.content(frame, self._layout)

    def described(self) -> dict[str, Any]:
        """The layout, when the token ends, and the headers that Stockbit's own clients send."""
        told = {"layout": self._layout, "token_expires_s": self._token_expires_s}
        return told | self._headers

    async def serve(self, limits: ConnectionLimits, changed: Callable[[], None]) -> None:
        """As all connections; it ends with the token."""
        try:
            await super().serve(limits, changed)
        finally:
            if self._ending is not None:
                self._ending.cancel()

    async def take(self, message: WSMessage) -> None:
        """A ping, a frame that says who asks, or one with tickers."""
        try:
            request = _read(message)
        except DecodeError as fault:
            self._say(error(INVALID, f"invalid request: {fault}"))
            return
        if request.is_ping:
            self._say(pong())
            return
        holder = _holder(request)
        if holder is None:
            self._say(error(UNAUTHENTICATED, "unauthenticated: invalid key or access token"))
            self.close(1008, "unauthenticated")
            return
        self._layout = request.layout
        self._end_with(holder)
        if request.tickers is not None:
            wanted = [ticker for ticker in request.tickers if ticker in self._venue.tickers]
            self.streams = {stream_of(ticker) for ticker in wanted}
            self._open_books(wanted, self.number)

    def _end_with(self, holder: Holder) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._token_expires_s = holder.expires_s
        left_s = holder.expires_s - time.time()
        loop = asyncio.get_running_loop()
        self._ending = loop.call_later(left_s, self.close, 1008, "the access token expired")

    def _say(self, payload: bytes) -> None:
        self.send(websocket_frame(payload, BINARY))
        self.flush()


def _read(message: WSMessage) -> Request:
    if message.type is not WSMsgType.BINARY:
        raise DecodeError("a text message instead of a binary one")
    return read_request(message.data)


def _holder(request: Request) -> Holder | None:
    holder = holder_of(request.token, time.time())
    if holder is None or holder.user_id != request.user_id:
        return None
    return holder if request.key == trading_key(request.token) else None
