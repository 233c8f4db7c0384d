"""A simulated Blockchain.com, a capture stage beside it, and a reader by rule 7."""

import json
import subprocess
import sys
import threading
import urllib.request
from decimal import Decimal

from container_worker.capture.reach import Reach
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Endpoints
from container_worker.settings import QueueSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from marketdata.topics import TOPIC_OF_TYPE

rig = sys.modules["capture_rig"]

TICKERS = ("BTC-USD", "ETH-USD")
SIDES = ("bids", "asks")
TYPES = ("ws_diff_depth", "ws_trades", "ws_candles", "ws_ticker")


class Simulator:
    """A running exchange; `book` is its true one."""

    def __init__(self, *arguments):
        ports = ("--blockchain-ws-port", "0", "--blockchain-rest-port", "0")
        command = [sys.executable, "-m", "local.exchanges", *ports, *map(str, arguments)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        ready = {"event": ""}
        while ready["event"] != "ready":
            ready = json.loads(self.process.stderr.readline())
        self.endpoints = Endpoints(
            f"ws://127.0.0.1:{ready['blockchain_ws_port']}",
            f"http://127.0.0.1:{ready['blockchain_rest_port']}",
        )

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.endpoints.rest + path, data, timeout=10) as answer:
            return json.loads(answer.read())

    def fault(self, **fault):
        return self.ask("/_control/faults", fault)["id"]

    def hits(self, number):
        return self.ask(f"/_control/faults?since={number}")["faults"][0]["hits"]

    def calm(self):
        self.ask("/_control/clock", {"paused": False})
        faults = urllib.request.Request(
            self.endpoints.rest + "/_control/faults", method="DELETE"
        )
        with urllib.request.urlopen(faults, timeout=10) as answer:
            assert answer.status == 200

    def pause(self):
        assert self.ask("/_control/clock", {"paused": True})["standing"]

    def book(self, ticker):
        answer = self.ask(f"/_control/book?ticker={ticker}")
        return {
            (side, Decimal(price)): Decimal(quantity)
            for side in SIDES
            for price, quantity in answer[side]
        }

    def close(self):
        self.process.terminate()
        with self.process.stderr as rest:
            assert not rest.read()
        assert self.process.wait(10) == 0


class Capture:
    """A stage with a producer that keeps what is written."""

    def __init__(self, simulator, tickers=TICKERS, types=TYPES):
        self.producer, self.stop = rig.FakeProducer(), threading.Event()
        wish = Wish("test", "blockchain", tickers, types)
        queue = QueueSettings("queue-control", "queue-events", "tests")
        units = [(ticker, type_) for ticker in tickers for type_ in types]
        form = Form(
            topic_of=lambda type_: TOPIC_OF_TYPE[type_].name,
            rejects_topic="rejects",
            history_topic=None,
            last_known={},
            fatal=lambda _error: False,
            listed=lambda _instruments: None,
        )
        stage = Stage(
            self.producer,
            [Stream(wish, Telemetry(self.producer, queue, "test", units))],
            {"blockchain": Reach(REGISTRY["blockchain"], simulator.endpoints)},
            form,
            timing=rig.FAST,
            stop=self.stop,
            finish=threading.Event(),
        )
        self.thread = threading.Thread(target=stage.run)
        self.thread.start()

    def end(self):
        self.stop.set()
        self.thread.join(15)
        assert not self.thread.is_alive()

    def messages(self, type_, ticker="BTC-USD"):
        key, name = f"blockchain:{ticker}".encode(), type_.encode()
        return [
            json.loads(record.value, parse_float=Decimal)
            for record in list(self.producer.records)
            if record.key == key and ("type", name) in record.headers
        ]

    def gaps(self, type_="ws_diff_depth", ticker="BTC-USD"):
        return [one for one in self.messages(type_, ticker) if one.get("e") == "gap"]

    def book(self, ticker):
        """What a reader of the topic has by rule 7, and whether it is known to be right."""
        book, last, sound = {}, None, False
        for message in self.messages("ws_diff_depth", ticker):
            if message["e"] == "gap":
                sound = False
                last = message["last"] or last
            elif message["e"] == "depthSnapshot":
                assert last is None or message["u"] in {last, last + 1}
                book, last, sound = {}, message["u"], True
            elif message["e"] == "depthUpdate":
                assert message["U"] == message["u"] == last + 1
                last = message["u"]
            for side, levels in (
                ("bids", message.get("b", ())),
                ("asks", message.get("a", ())),
            ):
                for price, quantity in levels:
                    book[side, Decimal(price)] = Decimal(quantity)
        return {level: quantity for level, quantity in book.items() if quantity}, sound
