"""One client's connection: its requests, answered and numbered (protocols 3.2-3.4)."""

import asyncio
import time
from collections.abc import Callable

import msgspec
from aiohttp import WSMessage, web

from local.exchanges.blockchain.eras import Era
from local.exchanges.blockchain.payloads import numbered
from local.exchanges.blockchain.requests import Rejected, Request, read
from local.exchanges.blockchain.throttle import Throttle
from local.exchanges.blockchain.venue import Venue, snapshot
from local.exchanges.connection import Connection
from local.exchanges.frames import Frame, websocket_frame

THROTTLED = (
    b'{"event":"rejected","text":'
    b'"Connection throttling enabled, your messages will be ignored."}'
)


class BlockchainConnection(Connection):
    """Every message but the throttle's has the connection's next number, whatever it is."""

    numbered = True

    def __init__(
        self,
        number: int,
        response: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        venue: Venue,
        era: Era,
        throttle: Throttle,
        publish: Callable[[Frame], None],
    ) -> None:
        super().__init__(number, response, transport)
        self._wants: dict[str, None] = {}
        self.streams = self._wants.keys()
        self._venue = venue
        self._era = era
        self._throttle = throttle
        self._publish = publish

    def content(self, frame: Frame) -> bytes:
        """The frame with its number; one that was held since before this client has none."""
        number = (frame.numbers or {}).get(self.number)
        return numbered(frame.payload, self.take_number() if number is None else number)

    async def take(self, message: WSMessage) -> None:
        """Acknowledge and begin, or reject; nothing at all while throttled."""
        now_s = time.monotonic()
        if self._throttle.ignores(now_s):
            return
        if self._throttle.begins(now_s):
            self.send(websocket_frame(THROTTLED))
        else:
            self._answer(message.data)
        self.flush()

    def _answer(self, text: str | bytes) -> None:
        try:
            request = read(text, self._venue.symbols(), self._wants)
        except Rejected as reason:
            self._say("rejected", reason.channel, reason.symbol, {"text": str(reason)})
            return
        event = "subscribed" if request.subscribes else "unsubscribed"
        self._say(event, request.channel, request.symbol, self._echo(request))
        if request.subscribes:
            self._begin(request)
        else:
            del self._wants[request.stream]

    def _begin(self, request: Request) -> None:
        self._wants[request.stream] = None
        payload = snapshot(self._venue, request.channel, request.symbol)
        if payload is None:
            return
        known = request.symbol in self._venue.tickers
        ladder = self._venue.ladder(request.symbol) if known else None
        id_ = ladder.last_id if ladder else 0
        frame = Frame(request.symbol, request.stream, payload, id_, id_, only=self.number)
        self._publish(frame)

    def _echo(self, request: Request) -> dict[str, object]:
        """The members that an acknowledgement repeats."""
        if not request.subscribes:
            return {}
        if request.channel == "l2" and self._era.batching:
            return {"batching": False}
        if request.channel == "prices" and self._era.echoes:
            return {"granularity": request.granularity}
        return {}

    def _say(self, event: str, channel: str, symbol: str, more: dict[str, object]) -> None:
        said: dict[str, object] = {"event": event, "channel": channel}
        if symbol:
            said["symbol"] = symbol
        payload = msgspec.json.encode({**said, **more})
        self.send(websocket_frame(numbered(payload, self.take_number())))
