"""Several simulated exchanges in one process, each with its addresses and its control."""

import contextlib
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from decimal import Decimal

from local.exchanges.port_table import PORTS


class Simulator:
    """One exchange: `ws` and `rest` are addresses without a path."""

    def __init__(self, ports, tls):
        secure = "s" if tls else ""
        self.ws = f"ws{secure}://127.0.0.1:{ports[0]}"
        self.rest = f"http{secure}://127.0.0.1:{ports[-1]}"
        self._tls = tls

    def get(self, path, body=None, method=None):
        """The decoded answer; numbers are exact."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.rest + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=20, context=self._tls) as answer:
            return json.loads(answer.read(), parse_float=Decimal)

    @contextlib.contextmanager
    def standing(self):
        """Time stands still, and all that has happened has been sent."""
        assert self.get("/_control/clock", {"paused": True})["standing"]
        try:
            yield
        finally:
            self.get("/_control/clock", {"paused": False})

    def book(self, ticker):
        """The true book."""
        return self.get(f"/_control/book?ticker={ticker}")

    def last_trade(self, ticker):
        """The number of the last trade."""
        return int(self.get("/_control/status")["last_ids"][ticker]["trade_id"])

    def fault(self, **fault):
        """Its number."""
        return self.get("/_control/faults", fault)["id"]

    def hits(self, number):
        """What a fault has hit."""
        return self.get(f"/_control/faults?since={number}")["faults"][0]["hits"]

    def is_past(self, number, ticker):
        """Whether a fault has hit the book, which has changed a good deal since."""
        hits = self.hits(number)
        last_id = self.get("/_control/status")["last_ids"][ticker]["update_id"]
        return hits and last_id > hits[-1]["last_id"] + 100

    def cut(self):
        """Every connection is reset; the numbers of those that were there."""
        numbers = self.connections()
        self.fault(kind="cut", how="reset")
        return numbers

    def connections(self):
        """The numbers of the connections, in the order in which they came."""
        return [each["id"] for each in self.get("/_control/status")["connections"]]


class Simulators:
    """A running `python -m local.exchanges`, by exchange: `simulators["coinbase"]`."""

    def __init__(self, names, folder, *, tls=False):
        command = [sys.executable, "-m", "local.exchanges", "--exchanges", ",".join(names)]
        command += ["--binance-tickers", "BTCUSDT,ETHUSDT"]
        for name in names:
            for port in PORTS[name]:
                command += [f"--{name}-{port}-port", "0"]
        if tls:
            command += ["--tls-folder", str(folder / "tls")]
        self.log = folder / "simulators.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log)
        told = self._ready()
        self.authority = told.get("authority")
        trusted = ssl.create_default_context(cafile=self.authority) if tls else None
        self._each = {
            name: Simulator([told[f"{name}_{port}_port"] for port in PORTS[name]], trusted)
            for name in names
        }

    def __getitem__(self, name):
        return self._each[name]

    def addresses(self):
        """What the scripts are told: the two addresses of each exchange."""
        return {name: {"ws": one.ws, "rest": one.rest} for name, one in self._each.items()}

    def _ready(self):
        until = time.monotonic() + 60
        told = {}
        while "event" not in told or told["event"] != "ready":
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "the simulators were not ready within 60 s"
            for line in self.log.read_text().splitlines():
                told |= json.loads(line)
        return told

    def stop(self):
        """Ends it; it must have had nothing to complain of."""
        self._process.terminate()
        assert self._process.wait(20) == 0, self.log.read_text()
        events = [json.loads(line)["event"] for line in self.log.read_text().splitlines()]
        assert set(events) <= {"certificate", "ready"}, self.log.read_text()
