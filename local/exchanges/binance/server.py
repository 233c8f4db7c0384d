"""The Binance server as a whole: venue, hub, player and the two ports."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from local.exchanges.binance.control import Control
from local.exchanges.binance.hub import Hub
from local.exchanges.binance.limits import Limits
from local.exchanges.binance.player import STEP_S, Pace, TapePlayer, run_market
from local.exchanges.binance.rest import RestApi
from local.exchanges.binance.site_check import own_site_only
from local.exchanges.binance.snapshot_gate import SnapshotGate
from local.exchanges.binance.streams import StreamServer
from local.exchanges.binance.tape import Tape
from local.exchanges.binance.venue import SimulatedMarket
from marketdata.errors import LocalError

_SHUTDOWN_S = 1.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; `tls` makes both ports speak TLS."""

    host: str
    ws_port: int
    rest_port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: the ports that it really has, and the task that makes time pass."""

    ws_port: int
    rest_port: int
    playing: asyncio.Task[None]


@contextlib.asynccontextmanager
async def serve(
    venue: SimulatedMarket | Tape,
    address: Address,
    *,
    pace: Pace,
    limits: Limits,
    seed: int,
    once: bool = False,
) -> AsyncIterator[Serving]:
    """Serve a venue until the context is left; nothing is left running after it.

    Raises:
        LocalError: a port cannot be had.
    """
    known = venue.has if isinstance(venue, Tape) else _any_stream
    hub = Hub(known, venue.now_ms)
    gate = SnapshotGate(limits.snapshot_wait_s)
    play, progress = _play(venue, hub, gate, pace, once=once)
    rest = RestApi(venue, hub.faults, gate, limits).routes()
    rest += Control(venue, hub, lambda: {"seed": seed, **progress()}).routes()
    streams = StreamServer(hub, limits).routes()
    async with (
        _site(streams, address, address.ws_port, "streams") as ws_port,
        _site(rest, address, address.rest_port, "REST") as rest_port,
        _running(play()) as task,
    ):
        try:
            yield Serving(ws_port, rest_port, task)
        finally:
            hub.go_away()


def _play(
    venue: SimulatedMarket | Tape, hub: Hub, gate: SnapshotGate, pace: Pace, *, once: bool
) -> tuple[Callable[[], Coroutine[Any, Any, None]], Callable[[], dict[str, Any]]]:
    """What makes time pass, and what the status says of it."""
    if isinstance(venue, SimulatedMarket):
        return partial(run_market, venue, hub, pace, step_s=STEP_S), lambda: {"done": False}
    player = TapePlayer(venue, hub, gate, pace)
    return partial(player.run, once=once), lambda: {
        "done": player.done,
        "rounds": player.rounds,
    }


def _any_stream(_: str) -> bool:
    return True


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def _site(
    routes: Sequence[web.RouteDef], address: Address, port: int, what: str
) -> AsyncIterator[int]:
    app = web.Application(middlewares=[own_site_only(address.host)])
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, port, ssl_context=address.tls)
        try:
            await site.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise LocalError(
                f"the Binance {what} cannot listen on {address.host}:{port}: {reason}"
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
