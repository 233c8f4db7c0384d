"""The Binance server as a whole: venue, hub, what makes time pass, and the two ports."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from local.exchanges.binance.instruments import instrument
from local.exchanges.binance.limits import Limits
from local.exchanges.binance.modes import ahead
from local.exchanges.binance.player import GatedPlayer
from local.exchanges.binance.rest import RestApi
from local.exchanges.binance.streams import StreamServer
from local.exchanges.binance.tape import Tape
from local.exchanges.binance.venue import SimulatedMarket
from local.exchanges.control import Control
from local.exchanges.hub import Hub
from local.exchanges.pace import STEP_S, Pace, run_market
from local.exchanges.serving import ServeOptions, Serving, running, site
from local.exchanges.snapshot_gate import SnapshotGate


@contextlib.asynccontextmanager
async def serve(options: ServeOptions) -> AsyncIterator[Serving]:
    """Serve a market or a tape until the context is left; nothing is left running after it.

    Raises:
        InputError: a ticker, a setting or a recording is bad.
        LocalError: a port cannot be had.
    """
    limits, venue = Limits.of(options), _venue(options)
    known = venue.has if isinstance(venue, Tape) else _any_stream
    hub = Hub(known, venue.now_ms, shift_time=ahead, shutdown=_shutdown)
    gate = SnapshotGate(limits.snapshot_wait_s)
    play, progress = _play(venue, hub, gate, options.pace, once=options.once)
    rest = RestApi(venue, hub.faults, gate, limits).routes()
    rest += Control(venue, hub, lambda: {"seed": options.seed, **progress()}).routes()
    streams = StreamServer(hub, limits.connection).routes()
    async with (
        site(streams, options, "ws", "the Binance streams") as ws_port,
        site(rest, options, "rest", "the Binance REST") as rest_port,
        running(play()) as task,
    ):
        try:
            types = venue.types() if isinstance(venue, Tape) else ()
            ids = venue.ids if isinstance(venue, SimulatedMarket) else None
            ports = {"ws": ws_port, "rest": rest_port}
            yield Serving("binance", ports, task, venue, types=types, ids=ids)
        finally:
            hub.go_away()


def _venue(options: ServeOptions) -> SimulatedMarket | Tape:
    now_ms = time.time_ns() // 1_000_000
    if options.recordings:
        return Tape(options.recordings, start_ms=now_ms if options.retime else None)
    instruments = [instrument(ticker) for ticker in options.tickers]
    return SimulatedMarket(instruments, options.seed, now_ms, options.after)


def _play(
    venue: SimulatedMarket | Tape, hub: Hub, gate: SnapshotGate, pace: Pace, *, once: bool
) -> tuple[Callable[[], Coroutine[Any, Any, None]], Callable[[], dict[str, Any]]]:
    """What makes time pass, and what the status says of it."""
    if isinstance(venue, SimulatedMarket):
        live = partial(run_market, venue, hub, pace, idle_step_s=STEP_S)
        return live, lambda: {"done": False}
    player = GatedPlayer(venue, hub, gate, pace)
    return partial(player.run, once=once), player.progress


def _shutdown(now_ms: int) -> bytes:
    return f'{{"e":"serverShutdown","E":{now_ms}}}'.encode()


def _any_stream(_: str) -> bool:
    return True
