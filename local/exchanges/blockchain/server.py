"""The Blockchain.com server as a whole: venue, hub, what makes time pass, and the two ports."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from local.exchanges.blockchain.eras import later
from local.exchanges.blockchain.instruments import instrument
from local.exchanges.blockchain.player import PatientPlayer
from local.exchanges.blockchain.rest import RestApi
from local.exchanges.blockchain.settings import Settings, read_settings
from local.exchanges.blockchain.streams import StreamServer, own_host_only
from local.exchanges.blockchain.tape import Tape
from local.exchanges.blockchain.venue import SimulatedMarket
from local.exchanges.control import Control
from local.exchanges.hub import Hub
from local.exchanges.pace import run_market
from local.exchanges.serving import ServeOptions, Serving, running, site


@contextlib.asynccontextmanager
async def serve(options: ServeOptions) -> AsyncIterator[Serving]:
    """Serve a market or a tape until the context is left; nothing is left running after it.

    Raises:
        InputError: a ticker, a setting or a recording is bad.
        LocalError: a port cannot be had.
    """
    settings = read_settings(options)
    venue = _venue(options, settings)
    known = venue.streams.__contains__ if isinstance(venue, Tape) else _any_stream
    hub = Hub(known, venue.now_ms, shift_time=later)
    play, progress = _play(venue, hub, options, settings)
    rest = RestApi(venue, hub.faults)
    control = Control(venue, hub, lambda: {"seed": options.seed, **progress()})
    answers = [*rest.routes(), *control.routes()]
    streams = StreamServer(hub, venue, rest, settings)
    page, what = own_host_only(options.host), "the Blockchain.com streams"
    async with (
        site(streams.routes(), options, "ws", what, checks=page) as ws_port,
        site(answers, options, "rest", "the Blockchain.com REST") as rest_port,
        running(play()) as task,
    ):
        try:
            ids = venue.ids if isinstance(venue, SimulatedMarket) else None
            ports = {"ws": ws_port, "rest": rest_port}
            yield Serving("blockchain", ports, task, venue, ids=ids)
        finally:
            hub.go_away()


def _venue(options: ServeOptions, settings: Settings) -> SimulatedMarket | Tape:
    now_ms = time.time_ns() // 1_000_000
    if options.recordings:
        return Tape(options.recordings, start_ms=now_ms if options.retime else None)
    instruments = [instrument(ticker) for ticker in options.tickers]
    return SimulatedMarket(
        instruments,
        options.seed,
        now_ms,
        settings.era,
        settings.heartbeat_ms,
        after=options.after,
    )


def _play(
    venue: SimulatedMarket | Tape, hub: Hub, options: ServeOptions, settings: Settings
) -> tuple[Callable[[], Coroutine[Any, Any, None]], Callable[[], dict[str, Any]]]:
    """What makes time pass, and what the status says of it."""
    if isinstance(venue, SimulatedMarket):
        return partial(run_market, venue, hub, options.pace), lambda: {"done": False}
    player = PatientPlayer(venue, hub, options.pace, settings.subscribe_wait_s)
    return partial(player.run, once=options.once), player.progress


def _any_stream(_: str) -> bool:
    return True
