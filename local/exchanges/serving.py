"""One exchange being served: what it is asked for, what it says of itself, its ports.

ServeOptions ─► an exchange's `serve` ─► Serving
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from local.exchanges.control import Venue
from local.exchanges.market import Ids
from local.exchanges.pace import Pace
from local.exchanges.site_check import own_site_only
from marketdata.errors import LocalError, SettingsError

_SHUTDOWN_S = 0.25
"""Ten ports close one after the other: who is still connected then has had its time."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What one exchange is to serve, where, and how fast.

    `ports` has the simulator's port names; 0 is a free one. With `recordings` it replays these,
    else it simulates `tickers`. `settings` has every setting that the simulator names. Ids of a
    ticker in `after` go on from there.
    """

    host: str
    ports: Mapping[str, int]
    seed: int = 1
    tickers: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)
    recordings: tuple[Path, ...] = ()
    once: bool = False
    retime: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    after: Mapping[str, Ids] = field(default_factory=dict)

    def seconds(self, name: str) -> float:
        """A setting as seconds; `never` is infinite.

        Raises:
            SettingsError: it is no such number.
        """
        return self._number(name, "a number of seconds, or never")

    def count(self, name: str) -> int:
        """A setting as a whole number of at least 1.

        Raises:
            SettingsError: it is none.
        """
        text = self.settings[name]
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**9):
            raise SettingsError([f"setting {name}: {text!r} is not a whole number above 0"])
        return int(text)

    def _number(self, name: str, wanted: str) -> float:
        text = self.settings[name]
        try:
            value = float("inf" if text == "never" else text)
        except ValueError:
            value = -1.0
        if not value >= 0:
            raise SettingsError([f"setting {name}: {text!r} is not {wanted}"])
        return value


@dataclass(frozen=True, slots=True)
class Serving:
    """A running exchange: the ports that it really has, and the task that makes time pass.

    `done` says that a tape is through and its clients have it; without, that is when `playing`
    has ended. `types` are those of capture that the recordings can feed, empty for all. `ids`
    tells how far each ticker is, None for what does not go on from that.
    """

    name: str
    ports: Mapping[str, int]
    playing: asyncio.Task[None]
    venue: Venue
    done: Callable[[], bool] | None = None
    types: tuple[str, ...] = ()
    ids: Callable[[], Mapping[str, Ids]] | None = None

    @property
    def is_done(self) -> bool:
        """Whether a tape that is played once is through."""
        return self.playing.done() if self.done is None else self.done()


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a coroutine as a task that ends with the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def site(
    routes: Sequence[web.RouteDef],
    options: ServeOptions,
    port: str,
    what: str,
    *,
    checks: Sequence[Middleware] | None = None,
) -> AsyncIterator[int]:
    """Serve routes on the port of that name; the port that it really is.

    `what` names it in errors, as in `the Binance streams`. `checks` stand in place of
    `own_site_only` where clients come with the Origin of the exchange's own pages.

    Raises:
        LocalError: the port cannot be had.
    """
    app = web.Application(
        middlewares=[own_site_only(options.host)] if checks is None else checks
    )
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    number = options.ports[port]
    try:
        listener = web.TCPSite(runner, options.host, number, ssl_context=options.tls)
        try:
            await listener.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise LocalError(
                f"{what} cannot listen on {options.host}:{number}: {reason}"
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
