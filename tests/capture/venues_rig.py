"""All simulated exchanges in one process, a capture stage over them, and what it wrote.

Loaded by conftest.py. The reader follows rule 7 and shares no code with the product's cores.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from decimal import Decimal

from capture_rig import FAST, FakeProducer

from container_worker.capture.reach import Reach
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Endpoints
from container_worker.settings import QueueSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from local.exchanges.stockbit import demo_token
from marketdata.topics import CANDLES, TOPIC_OF_TYPE

TICKERS = {
    "binance": ("BTCUSDT", "ETHUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD"),
    "blockchain": ("BTC-USD", "BTC-EUR"),
    "stockbit": ("BBCA", "TLKM"),
    "stellar": ("events",),
}
BOOK_TYPE = {"stockbit": "ws_depth"}
PORTS = ("ws", "rest")


class Venues:
    """One `python -m local.exchanges` that serves these exchanges."""

    def __init__(self, names=tuple(TICKERS), *options):
        command = [sys.executable, "-m", "local.exchanges", "--exchanges", ",".join(names)]
        for name in names:
            for port in ("rpc",) if name == "stellar" else PORTS:
                command += [f"--{name}-{port}-port", "0"]
        command += ["--overview-port", "0", *map(str, options)]
        self.names = tuple(names)
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.ports = self._ready()
        self._drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._drain.start()

    def _ready(self):
        for line in self.process.stderr:
            event = json.loads(line)
            if event["event"] == "ready":
                return event
        raise AssertionError(f"exited with {self.process.wait()} before it was ready")

    def endpoints(self, name):
        if name == "stellar":
            return Endpoints("", self.control(name))
        path = {"stockbit": "/ws", "blockchain": "/mercury-gateway/v1/ws"}.get(name, "")
        return Endpoints(
            f"ws://127.0.0.1:{self.ports[f'{name}_ws_port']}{path}", self.control(name)
        )

    def control(self, name):
        port = "rpc" if name == "stellar" else "rest"
        return f"http://127.0.0.1:{self.ports[f'{name}_{port}_port']}"

    def ask(self, name, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.control(name) + path, data, timeout=20) as answer:
            return json.loads(answer.read())

    def fault(self, name, **fault):
        return self.ask(name, "/_control/faults", fault)["id"]

    def faults(self, name):
        return self.ask(name, "/_control/faults")["faults"]

    def book(self, name, ticker):
        """The true book now as {("b", price): texts after the price, …}."""
        answer = self.ask(name, f"/_control/book?ticker={ticker}")
        return {
            (side, Decimal(str(level[0]))): tuple(Decimal(str(one)) for one in level[1:])
            for side, levels in (("b", answer["bids"]), ("a", answer["asks"]))
            for level in levels
        }

    def pause(self):
        for name in self.names:
            assert self.ask(name, "/_control/clock", {"paused": True})["standing"]

    def close(self):
        self.process.terminate()
        assert self.process.wait(10) == 0
        self._drain.join(5)
        self.process.stderr.close()


def reach_of(venues, name, poll_s=0.1):
    adapter = REGISTRY[name]
    token = demo_token(int(time.time())) if name == "stockbit" else ""
    return Reach(adapter, venues.endpoints(name), token=lambda: token, poll_s=poll_s)


class MultiCapture:
    """A stage over all venues with a fake producer, in threads of this process."""

    def __init__(
        self, venues, *, timing=FAST, types=None, last_known=None, history=False, reach=None
    ):
        self.producer = FakeProducer()
        self.venues = venues
        self.stop = threading.Event()
        self.code = None
        self.wishes = [
            Wish(name, name, TICKERS[name], tuple(types or sorted(REGISTRY[name].types)))
            for name in venues.names
        ]
        queue = QueueSettings("queue-control", "queue-events", "tests")
        self.stage = Stage(
            self.producer,
            [
                Stream(wish, Telemetry(self.producer, queue, wish.queue_id, units_of(wish)))
                for wish in self.wishes
            ],
            {name: reach_of(venues, name) for name in venues.names} | (reach or {}),
            Form(
                topic_of=lambda type_: TOPIC_OF_TYPE[type_].name,
                rejects_topic="rejects",
                history_topic=CANDLES.name if history else None,
                last_known=last_known or {},
                fatal=lambda _error: False,
                listed=lambda _instruments: None,
            ),
            timing=timing,
            stop=self.stop,
            finish=threading.Event(),
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        self.code = self.stage.run()

    def end(self):
        self.stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.code

    def units(self):
        """(exchange, ticker, type) of every unit."""
        return [(wish.exchange, *unit) for wish in self.wishes for unit in units_of(wish)]

    def records(self, exchange, ticker, type_):
        """(message, headers) of one unit, in order."""
        key, name = f"{exchange}:{ticker}".encode(), type_.encode()
        return [
            (json.loads(record.value, parse_float=Decimal), dict(record.headers))
            for record in list(self.producer.records)
            if record.key == key and ("type", name) in record.headers
        ]

    def gaps(self, exchange, ticker, type_):
        messages = [message for message, _ in self.records(exchange, ticker, type_)]
        return [message for message in messages if message.get("e") == "gap"]

    def book(self, exchange, ticker):
        """What a reader that follows rule 7 has: (book, whether it is known to be whole)."""
        reader = BookReader()
        for message, _ in self.records(
            exchange, ticker, BOOK_TYPE.get(exchange, "ws_diff_depth")
        ):
            reader.read(message)
        return reader.book, reader.whole


class BookReader:
    """Follows one key and type of the order book topic."""

    def __init__(self):
        self.last = None
        self.whole = False
        self.book = {}
        self._restated = set()

    def read(self, message):
        kind = message["e"]
        if kind == "gap":
            if message["last"] is None:
                self.whole, self._restated = False, set()
        elif kind == "depthSnapshot":
            self._snapshot(message)
        elif kind == "depthUpdate":
            self._delta(message)

    def _snapshot(self, message):
        if self.last is not None and message["u"] < self.last:
            return
        sides = message.get("side") or "ba"
        for side in sides:
            self.book = {at: size for at, size in self.book.items() if at[0] != side}
            self._put(side, message[side])
            self._restated.add(side)
        self.last = message["u"]
        self.whole = self.whole or self._restated == {"b", "a"}

    def _delta(self, message):
        if message["u"] <= self.last:
            return
        if message["U"] > self.last + 1:
            self.whole, self._restated = False, set()
        for side in "ba":
            self._put(side, message[side])
        self.last = message["u"]

    def _put(self, side, levels):
        for price, *size in levels:
            at = (side, Decimal(price))
            self.book[at] = tuple(Decimal(one) for one in size)
            if not self.book[at][0]:
                del self.book[at]


def units_of(wish):
    return [(ticker, type_) for ticker in wish.tickers for type_ in wish.types]
