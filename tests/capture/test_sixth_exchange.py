"""A made-up exchange, added as docs/add-an-exchange.md says, and captured whole.

It sends `{"t":"ABC","n":7,"p":"1.5","q":"2","s":"b","ms":…}` for each trade and numbers them.
"""

import asyncio
import json
import math
import threading

import msgspec
import pytest
from aiohttp import web
from capture_rig import FAST, FakeProducer

from container_worker.capture.reach import Reach
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.exchanges.adapter import Adapter, Endpoints, Limits, Socket, Subscription
from container_worker.exchanges.outcomes import Accepted, Trade
from container_worker.settings import QueueSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from marketdata.decimals import plain
from marketdata.errors import DecodeError
from marketdata.instruments import Instrument
from marketdata.topics import PRICES


# wire.py
class Message(msgspec.Struct, frozen=True):
    t: str
    n: int | None = None
    p: str = "0"
    q: str = "0"
    s: str = "b"
    ms: int = 0


# decode.py
def decode(frame, _received_ns):
    try:
        row = msgspec.json.decode(frame, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from error
    if row.n is None:
        return [Accepted(frozenset({row.t}))]
    side = "BUY" if row.s == "b" else "SELL"
    return [Trade(row.t, row.n, row.ms, plain(row.p), plain(row.q), side)]


# subscribe.py
def subscriptions(channels, _session):
    tickers = sorted({channel.ticker for channel in channels})
    return [Subscription(json.dumps({"listen": one}), frozenset({one})) for one in tickers]


SIXTH = Adapter(
    name="sixth",
    numbering={"ws_trades": "exchange"},
    limits=Limits(100, 1, 5.0, math.inf, 60.0, 60),
    restricted="sixth refuses this address (HTTP 451)",
    socket=Socket(lambda base: base + "/feed", subscriptions, lambda *_: [], decode),
    instrument=lambda ticker: Instrument("sixth", ticker, ticker, ticker, ""),
)


class Simulator(threading.Thread):
    """Numbers trades from 1; leaves 5 and 6 out, sends garbage, cuts once after 10."""

    def __init__(self):
        super().__init__(daemon=True)
        self.port = 0
        self._number = 0
        self._up, self._loop = threading.Event(), asyncio.new_event_loop()

    def run(self):
        app = web.Application()
        app.add_routes([web.get("/feed", self._serve)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def __enter__(self):
        self.start()
        assert self._up.wait(5)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join(5)

    async def _serve(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        await socket.send_json({"t": asked["listen"]})
        for _ in range(10):
            self._number += 1
            row = {"t": asked["listen"], "n": self._number, "p": "1.50", "q": "2", "s": "b"}
            if self._number not in {5, 6}:
                await socket.send_json(row | {"ms": 1_700_000_000_000 + self._number})
            if self._number == 8:
                await socket.send_str("no trade")
        if self._number > 10:
            await socket.receive()
        return socket


@pytest.fixture
def server():
    with Simulator() as simulator:
        yield simulator


def test_an_exchange_is_added_by_an_adapter_and_nothing_else(server, wait_until) -> None:
    producer, stop = FakeProducer(), threading.Event()
    reach = {"sixth": Reach(SIXTH, Endpoints(f"ws://127.0.0.1:{server.port}", ""))}
    queue = QueueSettings("queue-control", "queue-events", "tests")
    wish = Wish("q", "sixth", ("ABC",), ("ws_trades",))
    stream = Stream(wish, Telemetry(producer, queue, "q", [("ABC", "ws_trades")]))
    form = Form(lambda _type: PRICES.name, "rejects", None, {}, lambda _: False, lambda _: None)
    stage = Stage(producer, [stream], reach, form, timing=FAST, stop=stop, finish=stop)
    thread = threading.Thread(target=stage.run)
    thread.start()
    trades = wait_until(lambda: (rows := written(producer, "trade_id"))[17:] and rows)
    stop.set()
    thread.join(10)
    assert [row["trade_id"] for row in trades] == [1, 2, 3, 4, *range(7, 21)]
    assert {row["side"] for row in trades} == {"BUY"}
    gaps = [(row["first"], row["last"], row["cause"]) for row in written(producer, "cause")]
    assert gaps == [(5, 6, "sequence")]
    assert [row["frame"] for row in written(producer, "frame")] == ["no trade"]


def written(producer, member):
    rows = [json.loads(record.value) for record in list(producer.records)]
    return [row for row in rows if member in row]
