"""The Coinbase server as a whole: venue, hub, what makes time pass, and the two ports."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from aiohttp import web

from local.exchanges.coinbase.connection import FeedConnection
from local.exchanges.coinbase.limits import Bucket, Limits
from local.exchanges.coinbase.market_venue import SimulatedMarket
from local.exchanges.coinbase.payloads import ahead
from local.exchanges.coinbase.products import product
from local.exchanges.coinbase.rest import RestApi, refusal
from local.exchanges.coinbase.tape import Tape
from local.exchanges.coinbase.venue import FeedVenue
from local.exchanges.control import Control
from local.exchanges.hub import Hub
from local.exchanges.pace import run_market
from local.exchanges.player import TapePlayer
from local.exchanges.serving import ServeOptions, Serving, running, site
from local.exchanges.upgrade import upgrade


@contextlib.asynccontextmanager
async def serve(options: ServeOptions) -> AsyncIterator[Serving]:
    """Serve a market or a tape until the context is left; nothing is left running after it.

    Raises:
        InputError: a product, a setting or a recording is bad.
        LocalError: a port cannot be had.
    """
    limits, venue = Limits.of(options), _venue(options)
    known = venue.has if isinstance(venue, Tape) else _any_stream
    hub = Hub(known, venue.now_ms, shift_time=ahead)
    play, progress = _play(venue, hub, options)
    rest = RestApi(venue, hub.faults, limits).routes()
    rest += Control(venue, hub, lambda: {"seed": options.seed, **progress()}).routes()
    feed = Feed(venue, hub, limits).routes()
    async with (
        site(feed, options, "ws", "the Coinbase feed") as ws_port,
        site(rest, options, "rest", "the Coinbase REST") as rest_port,
        running(play()) as task,
    ):
        try:
            ids = venue.ids if isinstance(venue, SimulatedMarket) else None
            ports = {"ws": ws_port, "rest": rest_port}
            yield Serving("coinbase", ports, task, venue, ids=ids)
        finally:
            hub.go_away()


def _venue(options: ServeOptions) -> SimulatedMarket | Tape:
    now_ms = time.time_ns() // 1_000_000
    if options.recordings:
        return Tape(options.recordings, start_ms=now_ms if options.retime else None)
    items = [product(ticker) for ticker in options.tickers]
    return SimulatedMarket(items, options.seed, now_ms, options.after)


def _play(
    venue: SimulatedMarket | Tape, hub: Hub, options: ServeOptions
) -> tuple[Callable[[], Coroutine[Any, Any, None]], Callable[[], dict[str, Any]]]:
    """What makes time pass, and what the status says of it."""
    if isinstance(venue, SimulatedMarket):
        return partial(run_market, venue, hub, options.pace), lambda: {"done": False}
    player = TapePlayer(venue, hub, options.pace)
    return partial(player.run, once=options.once), player.progress


def _any_stream(_: str) -> bool:
    return True


class Feed:
    """Turns upgrades at the root into connections of the hub."""

    def __init__(self, venue: FeedVenue, hub: Hub, limits: Limits) -> None:
        self._venue = venue
        self._hub = hub
        self._limits = limits
        self._bucket = Bucket(limits.connects_per_second, limits.connects_burst)

    def routes(self) -> list[web.RouteDef]:
        """The feed is at the root."""
        return [web.get("/", self._connect)]

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        fault = self._hub.faults.refusal("ws", request.path, self._venue.now_ms())
        if fault:
            return refusal(fault.status, fault.retry_after_s)
        if not self._bucket.take(request.remote or "", time.monotonic()):
            return refusal(429, None)
        return await upgrade(request, self._hub, self._limits.connection, self._made)

    def _made(
        self, number: int, response: web.WebSocketResponse, transport: asyncio.Transport
    ) -> FeedConnection:
        return FeedConnection(
            number, response, transport, venue=self._venue, publish=self._hub.publish
        )
