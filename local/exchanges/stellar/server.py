"""The Stellar RPC server as a whole: the chain, what makes time pass, and its one port."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

import msgspec
from aiohttp import web

from local.exchanges.control import Control
from local.exchanges.fault_plan import FaultPlan
from local.exchanges.frames import Frame
from local.exchanges.hub import Hub
from local.exchanges.ladder import Ladder
from local.exchanges.pace import Pace, Wanted, run_market
from local.exchanges.refused import refused
from local.exchanges.serving import ServeOptions, Serving, running, site
from local.exchanges.stellar import answers
from local.exchanges.stellar.chain import Chain
from local.exchanges.stellar.get_events import Bounds, event_object
from local.exchanges.stellar.ledgers import Ledgers
from local.exchanges.stellar.methods import Methods
from local.exchanges.stellar.replay import Replay
from local.exchanges.stellar.tape import RecordedChain
from marketdata.errors import SettingsError

SETTINGS = {
    "ledger_seconds": "5",
    "retention_ledgers": "720",
    "transactions": "4",
    "scan_ledgers": "10000",
    "most_events": "10000",
    "authorization": "",
}
"""Seconds of exchange time from ledger to ledger; ledgers that are kept; the most transactions
that one has; ledgers that one request scans; events in one answer; the `Authorization` header
that is wanted, none by default."""

_LEAST_LEDGER_S = 0.2
_STEP_S = 0.1
_LARGEST_REQUEST = 512 * 1024
_MOST_LEDGERS_TOLD = 2_000
_TEXTS = {401: "unauthorized", 429: "too many requests", 503: "server is busy: queue is full"}


class ServedChain:
    """The chain as a market that the framework makes live; it has no book and no frames."""

    tickers = (answers.TICKER,)

    def __init__(self, chain: Ledgers, mode: str) -> None:
        self.chain = chain
        self.mode = mode

    def now_ms(self) -> int:
        """See `Venue`."""
        return self.chain.now_ms

    def ladder(self, _ticker: str) -> Ladder | None:
        """See `Venue`."""
        return None

    def last_ids(self, _ticker: str) -> dict[str, int | str | None]:
        """See `Venue`."""
        return {"ledger": self.chain.latest, "oldest_ledger": self.chain.oldest}

    def step(self, now_ms: int, _wanted: Wanted) -> Iterable[Frame]:
        """See `Market`."""
        self.chain.live(now_ms)
        return ()

    def settle(self, _wanted: Wanted) -> Iterable[Frame]:
        """See `Market`."""
        return ()


class RpcServer:
    """`POST /`, and the truth under `/_control/events`."""

    def __init__(
        self, chain: Ledgers, faults: FaultPlan, methods: Methods, authorization: str
    ) -> None:
        self._chain = chain
        self._faults = faults
        self._methods = methods
        self._authorization = authorization

    def routes(self) -> list[web.RouteDef]:
        """Everything that is served."""
        return [web.post("/", self._rpc), web.get("/_control/events", self._events)]

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        if (request.content_length or 0) > _LARGEST_REQUEST:
            return web.Response(status=413, text="Request Entity Too Large")
        body = await request.read()
        wait_s = self._faults.slowness(request.path, self._chain.now_ms)
        if wait_s:
            await asyncio.sleep(wait_s)
        fault = self._faults.refusal("rest", request.path, self._chain.now_ms)
        if fault:
            return await refused(request, _refusal(fault.status, fault.retry_after_s), fault)
        if self._authorization not in ("", request.headers.get("Authorization")):
            return _refusal(401, None)
        if request.content_type != "application/json":
            return web.Response(status=415, text="Unsupported Media Type")
        answer = self._methods.answer(body)
        if answer.body is None:
            return web.Response(status=204)
        now_ms = self._chain.now_ms
        return await answers.send(request, answer.body, answer.method, self._faults, now_ms)

    async def _events(self, request: web.Request) -> web.Response:
        """Every event of the ledgers `from` to `to`, both in, kept by the node or not."""
        asked = [request.query.get(name, "") for name in ("from", "to")]
        if not all(text.isascii() and text.isdigit() and len(text) < 11 for text in asked):
            return _sentence(400, "from and to are ledgers")
        first, last = map(int, asked)
        if not 0 <= last - first < _MOST_LEDGERS_TOLD:
            return _sentence(400, f"from is at most to, and {_MOST_LEDGERS_TOLD} at once")
        events = [
            event_object(self._chain, event, is_json=True)
            for ledger in range(first, last + 1)
            for event in self._chain.events(ledger)
        ]
        body = {"oldest": self._chain.oldest, "latest": self._chain.latest, "events": events}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")


@contextlib.asynccontextmanager
async def serve(options: ServeOptions) -> AsyncIterator[Serving]:
    """Serve the chain until the context is left; nothing is left running after it.

    Raises:
        InputError: a setting or a recording is bad.
        LocalError: the port cannot be had.
    """
    chain = _recorded(options) if options.recordings else _chain(options)
    venue = ServedChain(chain, "replay" if options.recordings else "simulate")
    hub = Hub(lambda _stream: False, venue.now_ms, shift_time=answers.ahead)
    bounds = Bounds(options.count("most_events"), options.count("scan_ledgers"))
    methods = Methods(chain, bounds)
    rpc = RpcServer(chain, hub.faults, methods, options.settings["authorization"])
    play, progress = _play(venue, methods, hub, options.pace)
    control = Control(venue, hub, lambda: {"seed": options.seed, **progress()})
    async with (
        site(rpc.routes() + control.routes(), options, "rpc", "the Stellar RPC") as port,
        running(play) as task,
    ):
        yield Serving("stellar", {"rpc": port}, task, venue, lambda: bool(progress()["done"]))


def _play(
    venue: ServedChain, methods: Methods, hub: Hub, pace: Pace
) -> tuple[Coroutine[Any, Any, None], Callable[[], dict[str, Any]]]:
    """What makes time pass, and what the status says of it."""
    if isinstance(venue.chain, RecordedChain):
        replay = Replay(venue.chain, methods, hub, pace)
        return replay.run(), replay.progress
    # Nobody subscribes here: a pace that waits for a subscriber would wait for ever.
    always = Pace(pace.speed or 1.0)
    return run_market(venue, hub, always, step_s=_STEP_S), lambda: {"done": False}


def _recorded(options: ServeOptions) -> RecordedChain:
    start_ms = time.time_ns() // 1_000_000 if options.retime else None
    return RecordedChain(options.recordings, once=options.once, start_ms=start_ms)


def _chain(options: ServeOptions) -> Chain:
    ledger_s = options.seconds("ledger_seconds")
    if not _LEAST_LEDGER_S <= ledger_s <= 3600:
        given = options.settings["ledger_seconds"]
        raise SettingsError([f"setting ledger_seconds: {given!r} is not 0.2 to 3600"])
    if options.tickers != (answers.TICKER,):
        raise SettingsError([f"stellar has the one ticker {answers.TICKER}"])
    return Chain(
        options.seed,
        time.time_ns() // 1_000_000,
        ledger_ms=round(ledger_s * 1000),
        retention=options.count("retention_ledgers"),
        transactions=options.count("transactions"),
    )


def _refusal(status: int, retry_after_s: int | None) -> web.Response:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return web.Response(status=status, text=_TEXTS.get(status, "error"), headers=headers)


def _sentence(status: int, text: str) -> web.Response:
    body = msgspec.json.encode({"error": text})
    return web.Response(status=status, body=body, content_type="application/json")
