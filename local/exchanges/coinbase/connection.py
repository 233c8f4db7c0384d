"""One client of the feed: its requests, what they are answered with, how it is ended."""

import asyncio
from collections.abc import Callable
from random import Random

from aiohttp import WSMessage, web

from local.exchanges.coinbase import payloads
from local.exchanges.coinbase.requests import BadRequest, Subscriptions, read_request
from local.exchanges.coinbase.venue import FeedVenue
from local.exchanges.connection import Connection
from local.exchanges.frames import Frame, websocket_frame

_SLOW_BYTES = 12 << 20
"""Below the bound at which any server here cuts a client off without a word."""


class FeedConnection(Connection):
    """Subscriptions of one client.

    What a subscription begins with (snapshot, last match, ticker) comes before its ack or after
    it, in turn: the exchange promises neither.
    """

    def __init__(
        self,
        number: int,
        response: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        venue: FeedVenue,
        publish: Callable[[Frame], None],
    ) -> None:
        super().__init__(number, response, transport)
        self._venue = venue
        self._publish = publish
        self._products = frozenset(venue.tickers)
        self._subscriptions = Subscriptions()
        self._requests = 0
        self._ending = False
        self._random = Random(number)  # noqa: S311 - repeatable on purpose

    async def take(self, message: WSMessage) -> None:
        """Answer a request with the complete state, and begin what it asks for."""
        try:
            request = read_request(message.data, self._products)
        except BadRequest as error:
            self._reply(payloads.error(error.message, error.reason))
        else:
            begun = self._subscriptions.take(request)
            self.streams = self._subscriptions.streams
            self._requests += 1
            if self._requests % 2:
                self._acknowledge()
            for kind, product in begun:
                self._begin(kind, product)
            if not self._requests % 2:
                self._acknowledge()
        self.flush()

    def _begin(self, kind: str, product: str) -> None:
        frame = self._venue.opening(product, kind)
        if frame is not None:
            self._publish(frame._replace(only=self.number))

    def _acknowledge(self) -> None:
        """Order of channels and products is random (protocols 5.2)."""
        state = [
            (name, self._random.sample(list(products), len(products)))
            for name, products in self._subscriptions.channels.items()
        ]
        self._random.shuffle(state)
        self._reply(payloads.subscriptions(state))

    def _reply(self, payload: bytes) -> None:
        self.send(websocket_frame(payload))

    def flooded(self) -> None:
        """End a client that sends too much, with the exchange's error."""
        self._end("ErrSlowRead", "the client sends too many messages")

    def neglected(self, why: str) -> None:
        """End a client that has not subscribed in time."""
        self._end("Timeout", why)

    def flush(self) -> None:
        """Write what is lined up; a client that does not read it is ended."""
        super().flush()
        if not self._ending and self.backlog > _SLOW_BYTES:
            self._end("ErrSlowConsume", "the client has too many backed up messages")

    def _end(self, message: str, reason: str) -> None:
        self._ending = True
        self._reply(payloads.error(message, reason))
        self.close(1008, message)
