"""The Stockbit server as a whole: shares, hub, what makes time pass, and the two ports."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from local.exchanges.connection import ConnectionLimits
from local.exchanges.control import Control
from local.exchanges.hub import Hub
from local.exchanges.pace import run_market
from local.exchanges.player import TapePlayer
from local.exchanges.serving import ServeOptions, Serving, running, site
from local.exchanges.stockbit.front_door import stockbits_pages_too
from local.exchanges.stockbit.moving import shift_time
from local.exchanges.stockbit.rest import RestApi
from local.exchanges.stockbit.streams import StreamServer
from local.exchanges.stockbit.tape import Tape
from local.exchanges.stockbit.venue import SimulatedShares

SETTINGS = {
    "ping_seconds": "20",
    "pong_seconds": "60",
    "quiet_seconds": "never",
    "life_seconds": "never",
}
"""Seconds between the server's pings, until the client's pong, until a client that says nothing
at all, pings included, is let go, and of a connection's life."""


@contextlib.asynccontextmanager
async def serve(options: ServeOptions) -> AsyncIterator[Serving]:
    """Serve the shares until the context is left; nothing is left running after it.

    Raises:
        InputError: a ticker or a setting is bad.
        LocalError: a port cannot be had.
    """
    limits = ConnectionLimits(
        ping_s=options.seconds("ping_seconds"),
        pong_s=options.seconds("pong_seconds"),
        quiet_s=options.seconds("quiet_seconds"),
        life_s=options.seconds("life_seconds"),
    )
    venue = _venue(options)
    hub = Hub(venue.has, venue.now_ms, shift_time=shift_time)
    rest = RestApi(hub.faults).routes()
    play, progress = _play(venue, hub, options)
    rest += Control(venue, hub, progress).routes()
    streams = StreamServer(venue, hub, limits).routes()
    pages = [stockbits_pages_too(options.host)]
    async with (
        site(streams, options, "ws", "the Stockbit streams", checks=pages) as ws_port,
        site(rest, options, "rest", "the Stockbit REST") as rest_port,
        running(play()) as task,
    ):
        try:
            ids = venue.ids if isinstance(venue, SimulatedShares) else None
            ports = {"ws": ws_port, "rest": rest_port}
            yield Serving("stockbit", ports, task, venue, ids=ids)
        finally:
            hub.go_away()


def _venue(options: ServeOptions) -> SimulatedShares | Tape:
    now_ms = time.time_ns() // 1_000_000
    if options.recordings:
        return Tape(options.recordings, start_ms=now_ms if options.retime else None)
    return SimulatedShares(options.tickers, options.seed, now_ms, options.after)


def _play(
    venue: SimulatedShares | Tape, hub: Hub, options: ServeOptions
) -> tuple[Callable[[], Coroutine[Any, Any, None]], Callable[[], dict[str, Any]]]:
    """What makes time pass, and what the status says of it."""
    told = {"seed": options.seed}
    if isinstance(venue, SimulatedShares):
        return partial(run_market, venue, hub, options.pace), lambda: {**told, "done": False}
    player = TapePlayer(venue, hub, options.pace)
    return partial(player.run, once=options.once), lambda: {**told, **player.progress()}
