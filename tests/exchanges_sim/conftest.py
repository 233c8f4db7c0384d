"""A real exchange process for each test that asks, on free ports, checked at its end."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path

import pytest
import websocket

from local.exchanges.port_table import PORTS

RECORDINGS = Path(
    os.environ.get(
        "TAPEDECK_RECORDINGS", Path(__file__).parents[2].parent / "shared/recordings"
    )
)


class Exchange:
    """One running `python -m local.exchanges` that serves one exchange.

    `rest_url` is where `/_control/` is; for Stellar, which has no sockets, it is the RPC.
    """

    def __init__(self, arguments, tls=None, name="binance"):
        command = [sys.executable, "-m", "local.exchanges"]
        for port in PORTS[name]:
            command += [f"--{name}-{port}-port", "0"]
        command += map(str, arguments)
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.tls = tls
        self._sockets = []
        self.log = []
        ready = self._ready()
        ports = [ready[f"{name}_{port}_port"] for port in PORTS[name]]
        schemes = ("wss", "https") if tls else ("ws", "http")
        self.ws_url = f"{schemes[0]}://127.0.0.1:{ports[0]}"
        self.rest_url = f"{schemes[1]}://127.0.0.1:{ports[-1]}"

    def _ready(self):
        for line in self.process.stderr:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == "ready":
                return self.log[-1]
        raise AssertionError(f"exited with {self.process.wait()} before it was ready")

    def connect(self, path, **options):
        ssl_options = {"sslopt": {"context": self.tls}} if self.tls else {}
        socket = websocket.create_connection(
            self.ws_url + path,
            timeout=10,
            # Its check is pure Python and takes most of a test's time; json.loads checks too.
            skip_utf8_validation=True,
            **ssl_options,
            **options,
        )
        self._sockets.append(socket)
        return socket

    def request(self, path, *, method="GET", body=None, headers=None):
        """Status, headers and decoded body."""
        data = (
            None
            if body is None
            else body
            if isinstance(body, bytes)
            else json.dumps(body).encode()
        )
        request = urllib.request.Request(
            self.rest_url + path, data=data, method=method, headers=headers or {}
        )
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.tls) as answer:
                return answer.status, answer.headers, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
                return (
                    error.code,
                    error.headers,
                    json.loads(text) if text[:1] in b"{[" else text,
                )

    def get(self, path):
        status, _, body = self.request(path)
        assert status == 200, body
        return body

    def status(self):
        return self.get("/_control/status")

    def depth(self, ticker, limit=5000):
        return self.get(f"/api/v3/depth?symbol={ticker}&limit={limit}")

    def true_book(self, ticker, update_id=None):
        number = "" if update_id is None else f"&id={update_id}"
        return self.get(f"/_control/book?ticker={ticker}{number}")

    def pause(self):
        """Time stands still, and all that has happened has been sent."""
        status, _, body = self.request("/_control/clock", method="POST", body={"paused": True})
        assert (status, body) == (200, {"paused": True, "standing": True})

    def resume(self):
        status, _, body = self.request("/_control/clock", method="POST", body={"paused": False})
        assert (status, body["paused"]) == (200, False)

    def fault(self, **fault):
        status, _, body = self.request("/_control/faults", method="POST", body=fault)
        assert status == 201, body
        return body["id"]

    def hits(self, number):
        return self.get(f"/_control/faults?since={number}")["faults"][0]["hits"]

    def disconnect(self):
        for socket in self._sockets:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                socket.shutdown()
        self._sockets.clear()

    def stop(self):
        self.disconnect()
        self.process.terminate()
        try:
            rest = self.process.communicate(timeout=10)[1]
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.communicate()
        assert self.process.returncode == 0, rest
        assert rest == ""


class Follower:
    """A book by the documented procedure (protocols 1.6), sharing nothing with the server.

    `gaps` are the holes it saw; after one it must be given a snapshot again.
    """

    def __init__(self):
        self.last = None
        self.bids, self.asks = {}, {}
        self.waiting = deque()
        self.gaps = []
        self.applied = []

    def snapshot(self, snapshot):
        """Whether the snapshot fits what is buffered."""
        if self.waiting and snapshot["lastUpdateId"] < self.waiting[0]["U"] - 1:
            return False
        self.bids, self.asks = dict(snapshot["bids"]), dict(snapshot["asks"])
        self.last = snapshot["lastUpdateId"]
        waiting, self.waiting = self.waiting, deque()
        for event in waiting:
            self.event(event)
        return True

    def event(self, event):
        if self.last is None:
            self.waiting.append(event)
        elif event["u"] <= self.last:
            return
        elif event["U"] > self.last + 1:
            self.gaps.append((self.last + 1, event["U"] - 1))
            self.last = None
            self.waiting.append(event)
        else:
            for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
                for price, quantity in levels:
                    if float(quantity) == 0:
                        side.pop(price, None)
                    else:
                        side[price] = quantity
            self.last = event["u"]
            self.applied.append(self.last)

    def book(self):
        by_price = lambda level: float(level[0])  # noqa: E731
        return {
            "id": self.last,
            "bids": [
                list(level) for level in sorted(self.bids.items(), key=by_price, reverse=True)
            ],
            "asks": [list(level) for level in sorted(self.asks.items(), key=by_price)],
        }

    def crossed(self):
        if not (self.bids and self.asks):
            return False
        return max(map(float, self.bids)) >= min(map(float, self.asks))


@pytest.fixture
def start_exchange():
    """`start_exchange(*arguments, name="binance", tls=context)`: running for one test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, name="binance", tls=None):
            exchange = Exchange(arguments, tls, name)
            stack.callback(exchange.stop)
            return exchange

        yield start


@pytest.fixture(scope="module")
def shared_exchange():
    """One simulator for the tests of a module."""
    running = Exchange(["--messages-per-second", "100000", "--speed", "4"])
    yield running
    running.stop()


@pytest.fixture
def exchange(shared_exchange, wait_until):
    """The module's simulator, without connections or active faults before and after."""
    yield shared_exchange
    shared_exchange.disconnect()
    shared_exchange.request("/_control/faults", method="DELETE")
    wait_until(lambda: not shared_exchange.status()["connections"], what="every goodbye")


@pytest.fixture
def follower():
    """A new `Follower`."""
    return Follower()


@pytest.fixture
def make_follower():
    """The class, for tests with several books."""
    return Follower


@pytest.fixture(scope="session")
def recordings():
    """The folder of real recordings; tests that need it skip where it is absent."""
    if not RECORDINGS.is_dir():
        pytest.skip(
            f"{RECORDINGS} is not there: it holds the recordings that this test replays"
        )
    return RECORDINGS


@pytest.fixture
def hft_recordings(recordings, tmp_path):
    """The two files of 2024-08-08 and 09, which continue each other across midnight."""
    folder = tmp_path / "hftbacktest"
    folder.mkdir()
    for day in ("20240808", "20240809"):
        name = f"spot_btcusdt_{day}.gz"
        shutil.copyfile(recordings / "hftbacktest" / name, folder / name)
    return folder
