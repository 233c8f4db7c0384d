"""Capture's stage on the simulated Stockbit, on both wires: losses in the topic, books true."""

import contextlib
import json
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from capture_rig import FAST, FakeProducer

from container_worker.capture.reach import Reach
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Endpoints
from container_worker.settings import QueueSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from local.exchanges.stockbit import demo_token
from marketdata.errors import BadCredential, TapedeckError

TICKERS = ("BBCA", "TLKM", "BBRI")


class Server:
    """One running simulator of Stockbit."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "local.exchanges", *arguments]
        command += ["--stockbit-ws-port", "0", "--stockbit-rest-port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        ready = next(
            event for event in map(json.loads, self.process.stderr) if "ready" in event["event"]
        )
        self.ws = f"ws://127.0.0.1:{ready['stockbit_ws_port']}/ws"
        self.rest = f"http://127.0.0.1:{ready['stockbit_rest_port']}"

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.rest + path, data, timeout=10) as answer:
            return json.loads(answer.read())

    def fault(self, **fault):
        return self.ask("/_control/faults", fault)["id"]

    def hits(self, number):
        return self.ask(f"/_control/faults?since={number}")["faults"][0]["hits"]

    def close(self):
        self.process.terminate()
        self.process.communicate(timeout=10)


class Running:
    """A stage with one stream of the three tickers."""

    def __init__(self, server, wire, token):
        self.producer, self.error = FakeProducer(), None
        self.stop = threading.Event()
        units = [(ticker, "ws_depth") for ticker in TICKERS]
        queue = QueueSettings("queue-control", "queue-events", "tests")
        wish = Wish("my_stream_1", "stockbit", TICKERS, ("ws_depth",))
        form = Form(
            topic_of=lambda _type: "orderbook",
            rejects_topic="rejects",
            history_topic=None,
            last_known={},
            fatal=lambda error: isinstance(error, BadCredential),
            listed=lambda _instruments: None,
        )
        reach = Reach(
            adapter=REGISTRY["stockbit"].variants[wire],
            endpoints=Endpoints(server.ws, server.rest),
            token=lambda: token,
            wire=wire,
        )
        self.stage = Stage(
            self.producer,
            [Stream(wish, Telemetry(self.producer, queue, "my_stream_1", units))],
            {"stockbit": reach},
            form,
            timing=FAST,
            stop=self.stop,
            finish=threading.Event(),
        )
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            self.stage.run()
        except TapedeckError as error:
            self.error = error

    def close(self):
        self.stop.set()
        self.thread.join(15)
        assert not self.thread.is_alive()

    def messages(self, ticker):
        key = f"stockbit:{ticker}".encode()
        records = list(self.producer.records)
        return [json.loads(one.value) for one in records if one.key == key]

    def gaps(self, ticker):
        return [one for one in self.messages(ticker) if one["e"] == "gap"]

    def sides(self, ticker):
        """The last statement of each side."""
        stated = [one for one in self.messages(ticker) if one["e"] == "depthSnapshot"]
        return {one["side"]: one["b"] + one["a"] for one in stated}


@pytest.fixture
def started():
    """`started(wire)`: a simulator at twenty times its pace, and a stage on it."""
    with contextlib.ExitStack() as stack:

        def start(wire, token=None):
            server = Server("--speed", "20", "--seed", "3")
            stack.callback(server.close)
            running = Running(server, wire, token or demo_token(int(time.time())))
            stack.callback(running.close)
            return server, running

        yield start


def closed(running, cause):
    """Per ticker, whether a gap of this cause has been closed."""
    return {
        ticker: any(one["cause"] == cause and one["to"] for one in running.gaps(ticker))
        for ticker in TICKERS
    }


@pytest.mark.parametrize("wire", ["flat", "channel"])
def test_what_was_lost_is_a_gap_and_the_books_are_true_in_the_end(
    started, wait_until, wire
) -> None:
    server, running = started(wire)
    wait_until(lambda: all(len(running.messages(one)) > 20 for one in TICKERS))
    dropped = server.fault(kind="drop", ticker="BBCA", frames=3)
    wait_until(lambda: server.hits(dropped) and server.hits(dropped)[0]["frames"] == 3)
    [hit] = server.hits(dropped)
    server.fault(kind="garbage", form="truncated", replace=True, ticker="TLKM")
    wait_until(lambda: closed(running, "garbage")["TLKM"])
    server.fault(kind="cut")
    wait_until(lambda: all(closed(running, "disconnect").values()))
    assert server.ask("/_control/clock", {"paused": True})["standing"]
    if wire == "channel":
        holes = [(one["first"], one["last"]) for one in running.gaps("BBCA")]
        assert (hit["first_id"], hit["last_id"]) in holes
    truth = {ticker: true_sides(server, ticker, wire) for ticker in TICKERS}
    wait_until(lambda: {one: seen_sides(running, one, wire) for one in TICKERS} == truth)


def true_sides(server, ticker, wire):
    """The truth is price, lots, value; the channel wire has price, orders, shares."""
    book = server.ask(f"/_control/book?ticker={ticker}")
    if wire == "flat":
        return book["bids"], book["asks"]
    return tuple(
        [[price, int(lots) * 100] for price, lots, _ in book[side]] for side in ("bids", "asks")
    )


def seen_sides(running, ticker, wire):
    sides = running.sides(ticker)
    if wire == "flat":
        return sides["b"], sides["a"]
    return tuple([[price, int(shares)] for price, _, shares in sides[side]] for side in "ba")


def test_a_token_that_has_run_out_is_told_with_what_to_do(started, wait_until) -> None:
    token = demo_token(int(time.time()) - 100, life_s=50)
    _, running = started("flat", token)
    wait_until(lambda: running.error is not None)
    assert isinstance(running.error, BadCredential)
    assert "expired" in str(running.error)
    assert "STOCKBIT_TOKEN" in str(running.error)
    assert all(token.encode() not in record.value for record in running.producer.records)
