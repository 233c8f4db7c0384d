"""A simulated exchange, a capture stage beside it, and a reader of what was written.

Loaded by conftest.py; the reader follows rule 7 and shares no code with the product's cores.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field

from container_worker.capture.reach import Reach
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.capture.timing import Timing
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Endpoints
from container_worker.settings import QueueSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from marketdata.errors import TapedeckError
from marketdata.topics import TOPIC_OF_TYPE

FAST = Timing(
    stall=1.5,
    overlap_least=0.3,
    overlap_most=5.0,
    room=0.5,
    watermark=1.0,
    restricted=1.0,
    credential=0.3,
    backoff_base=0.1,
    backoff_cap=0.5,
    drain=6.0,
)


class Exchange:
    """One running `python -m local.exchanges`."""

    def __init__(self, *arguments, tls=None):
        command = [sys.executable, "-m", "local.exchanges"]
        command += ["--binance-ws-port", "0", "--binance-rest-port", "0", *map(str, arguments)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        ready = self._ready()
        self._drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._drain.start()
        ws, http = ("wss", "https") if tls else ("ws", "http")
        self.ws = f"{ws}://127.0.0.1:{ready['binance_ws_port']}"
        self.rest = f"{http}://127.0.0.1:{ready['binance_rest_port']}"
        self._tls = tls

    def _ready(self):
        for line in self.process.stderr:
            event = json.loads(line)
            if event["event"] == "ready":
                return event
        raise AssertionError(f"exited with {self.process.wait()} before it was ready")

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            self.rest + path, data, timeout=10, context=self._tls
        ) as answer:
            return json.loads(answer.read())

    def fault(self, **fault):
        return self.ask("/_control/faults", fault)["id"]

    def hits(self, number):
        faults = self.ask("/_control/faults")["faults"]
        return next(one for one in faults if one["id"] == number)["hits"]

    def status(self):
        return self.ask("/_control/status")

    def book(self, ticker, update_id):
        """The true book as {("b", price): quantity, …}."""
        answer = self.ask(f"/_control/book?ticker={ticker}&id={update_id}")
        book = {("b", price): size for price, size in answer["bids"]}
        return book | {("a", price): size for price, size in answer["asks"]}

    def close(self):
        self.process.terminate()
        assert self.process.wait(10) == 0
        self._drain.join(5)
        self.process.stderr.close()


class FakeProducer:
    """Keeps records in order; `full` is what a Kafka that does not answer looks like.

    `choked`: what is kept for gaps and telemetry is taken as well.
    """

    def __init__(self):
        self.records = []
        self.full = self.choked = False
        self.in_flight = 0
        self._lock = threading.Lock()

    @property
    def crowded(self):
        return self.full or self.choked

    def send(self, record, on_ack=None, *, reserved=False):
        if self.choked or (self.full and not reserved):
            return False
        with self._lock:
            self.records.append(record)
        if on_ack is not None:
            on_ack()
        return True

    def poll(self, seconds=0.0):
        if seconds:
            threading.Event().wait(seconds)

    def flush(self, seconds):
        return 0


@dataclass
class Reader:
    """One key and type of a topic, as any consumer sees it (rule 7)."""

    exchange: Exchange
    ticker: str
    last: int | None = None
    book: dict = field(default_factory=dict)
    marked: bool = False
    holes: list = field(default_factory=list)
    gaps: list = field(default_factory=list)
    snapshots: int = 0
    deltas: int = 0
    verified: int = 0

    def read(self, message):
        kind = message["e"]
        if kind == "gap":
            self.gaps.append(message)
        elif kind == "depthSnapshot":
            self._snapshot(message)
        elif kind == "depthUpdate":
            self._delta(message)

    def _snapshot(self, message):
        if self.last is not None and message["u"] < self.last:
            return
        if self.last is not None and message["u"] > self.last:
            self.holes.append((self.last + 1, message["u"]))
        self.book = {("b", price): size for price, size in message["b"]}
        self.book |= {("a", price): size for price, size in message["a"]}
        self.last, self.marked = message["u"], False
        self.snapshots += 1
        assert self.book == self.exchange.book(self.ticker, self.last)

    def _delta(self, message):
        assert self.last is not None, "a delta came before the first snapshot"
        if message["u"] <= self.last:
            return
        if message["U"] > self.last + 1:
            self.holes.append((self.last + 1, message["U"] - 1))
            self.marked = True
        for side in "ba":
            for price, size in message[side]:
                self.book[side, price] = size
                if not float(size):
                    del self.book[side, price]
        self.last = message["u"]
        self.deltas += 1

    def check(self):
        """The book is the exchange's own, or a gap has said that it may not be."""
        if self.last is not None and not self.marked:
            assert self.book == self.exchange.book(self.ticker, self.last)
            self.verified += 1


class Capture:
    """A stage with a fake producer, in threads of this process."""

    def __init__(self, exchange, tickers, types, timing=FAST, *, fatal=lambda _error: False):
        self.producer = FakeProducer()
        self.stop, self.finish = threading.Event(), threading.Event()
        self.exchange = exchange
        self.code = None
        self.error = None
        wish = Wish("test", "binance", tuple(tickers), tuple(types))
        queue = QueueSettings("queue-control", "queue-events", "tests")
        units = [(ticker, type_) for ticker in tickers for type_ in types]
        form = Form(
            topic_of=lambda type_: TOPIC_OF_TYPE[type_].name,
            rejects_topic="rejects",
            history_topic=None,
            last_known={},
            fatal=fatal,
            listed=lambda _instruments: None,
        )
        self.stage = Stage(
            self.producer,
            [Stream(wish, Telemetry(self.producer, queue, "test", units))],
            {"binance": Reach(REGISTRY["binance"], Endpoints(exchange.ws, exchange.rest))},
            form,
            timing=timing,
            stop=self.stop,
            finish=self.finish,
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self.code = self.stage.run()
        except TapedeckError as error:
            self.error = error

    def end(self):
        self.stop.set()
        self._thread.join(15)
        assert not self._thread.is_alive()
        return self.code

    def messages(self, type_, ticker="BTCUSDT"):
        """The decoded values of one unit, in order."""
        key, name = f"binance:{ticker}".encode(), type_.encode()
        return [
            json.loads(record.value)
            for record in list(self.producer.records)
            if record.key == key and ("type", name) in record.headers
        ]

    def of_topic(self, topic):
        records = list(self.producer.records)
        return [json.loads(record.value) for record in records if record.topic == topic]

    def statuses(self):
        return [event["status"] for event in self.of_topic("queue-events")]

    def gaps(self, type_, ticker="BTCUSDT"):
        return [one for one in self.messages(type_, ticker) if one.get("e") == "gap"]

    def deltas(self, ticker="BTCUSDT"):
        messages = self.messages("ws_diff_depth", ticker)
        return [one for one in messages if one["e"] == "depthUpdate"]

    def reader(self, ticker="BTCUSDT"):
        """A reader that has read everything so far and checked the last book."""
        reader = Reader(self.exchange, ticker)
        for message in self.messages("ws_diff_depth", ticker):
            reader.read(message)
        reader.check()
        return reader


def now_ms():
    return time.time_ns() // 1_000_000
