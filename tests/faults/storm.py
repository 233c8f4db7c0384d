"""A capture stage over all simulated exchanges at once, and a plan of faults against both.

Loaded by conftest.py. One thread an exchange posts its steps. Wire, threads and cores are those
of production; only waits and budgets are scaled, so that a fault can come every second.
"""

import threading
import time
import urllib.request
from dataclasses import dataclass, replace

from capture_rig import FAST
from ledger import LedgerProducer
from plan import EVERYBODY, FULL
from venues_rig import TICKERS, Venues, units_of

from container_worker.capture import trade_sync
from container_worker.capture.reach import Reach
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.exchanges import REGISTRY
from container_worker.settings import QueueSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from local.exchanges.stockbit import demo_token
from marketdata.topics import TOPIC_OF_TYPE

TIMING = replace(
    FAST,
    stall=3.0,
    silence=3.0,
    stall_most=6.0,
    audit=2.5,
    overlap_least=0.2,
    overlap_most=3.0,
    rest=2.0,
    restricted=0.5,
    backoff_base=0.05,
    backoff_cap=0.4,
    accept=3.0,
    answer=1.0,
    suspicion=4.0,
    room=0.5,
)
SIMULATORS = (
    *("--messages-per-second", 10_000, "--weight-per-minute", 10_000_000),
    *("--set", "coinbase.connects_per_second=1000", "--set", "coinbase.connects_burst=1000"),
    *("--set", "coinbase.requests_per_second=1000", "--set", "coinbase.requests_burst=1000"),
    *("--set", "coinbase.messages_per_second=10000"),
    *("--set", "blockchain.messages_per_minute=1000000"),
    *("--set", "stellar.ledger_seconds=0.4", "--set", "stellar.retention_ledgers=15"),
)
"""Generous to whoever reconnects all the time; a node that soon forgets."""
_HIT_S = 0.8
_RECOVERED_S = 1.5
POLL_S = 0.05
_WATCH_S = 0.2
_STOOD_MS = 1_500
"""A look at four servers that takes so long says that nobody had the machine's time."""


@dataclass
class Episode:
    """A step as it happened: faults' ids at the simulator, and when it was there."""

    step: object
    ids: list
    from_ms: int
    to_ms: int = 0


def now_ms():
    return time.time_ns() // 1_000_000


class Storm:
    """The simulators, a stage over them, and who disturbs them."""

    def __init__(self, seed, wire):
        self.wire = wire
        self.venues = Venues(tuple(TICKERS), "--seed", seed, *SIMULATORS)
        self._wishes = [
            Wish(name, name, TICKERS[name], tuple(sorted(REGISTRY[name].types)))
            for name in TICKERS
        ]
        units = [(wish.exchange, *unit) for wish in self._wishes for unit in units_of(wish)]
        self.producer = LedgerProducer(units)
        self.stop = threading.Event()
        self.code = None
        self._before = set(threading.enumerate())
        self._thread = threading.Thread(target=self._run, name="stage")
        self.episodes = []
        self.sockets = {name: {} for name in self.venues.names if name != "stellar"}
        self.stood = []
        self._failures = []

    def start(self):
        self._stage = self._make_stage()
        self._thread.start()

    def run(self, plan):
        """All steps of the plan, every exchange for itself."""
        drivers = [
            threading.Thread(target=self._drive, args=(steps,), name=f"driver {name}")
            for name, steps in plan.items()
        ]
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), name="watcher")
        for thread in (watcher, *drivers):
            thread.start()
        for driver in drivers:
            driver.join()
        done.set()
        watcher.join()
        if self._failures:
            raise self._failures[0]

    def end_faults(self):
        """Ends every fault; the time from which on nothing may go wrong."""
        for name in self.venues.names:
            url = self.venues.control(name) + "/_control/faults"
            request = urllib.request.Request(url, method="DELETE")
            urllib.request.urlopen(request, timeout=20).close()
        return now_ms()

    def close(self):
        self.stop.set()
        if self._thread.ident is not None:
            self._thread.join(20)
        if self.venues.process.poll() is None:
            self.venues.close()
        return [thread.name for thread in threading.enumerate() if thread not in self._before]

    def connections(self, name):
        return {
            each["id"]: set(each["streams"])
            for each in self.venues.ask(name, "/_control/status")["connections"]
        }

    def _run(self):
        self.code = self._stage.run()

    def _make_stage(self):
        queue = QueueSettings("queue-control", "queue-events", "tests")
        streams = [
            Stream(wish, Telemetry(self.producer, queue, wish.queue_id, units_of(wish)))
            for wish in self._wishes
        ]
        form = Form(
            topic_of=lambda type_: TOPIC_OF_TYPE[type_].name,
            rejects_topic="rejects",
            history_topic=None,
            last_known={},
            fatal=lambda _error: False,
            listed=lambda _instruments: None,
        )
        reach = {name: self._reach(name) for name in self.venues.names}
        return Stage(
            self.producer,
            streams,
            reach,
            form,
            timing=TIMING,
            stop=self.stop,
            finish=threading.Event(),
        )

    def _reach(self, name):
        """As in production, but for budgets that would queue a fault a second."""
        adapter = REGISTRY[name]
        adapter = adapter.variants.get(self.wire, adapter)
        limits = replace(
            adapter.limits,
            connects_per_minute=6_000.0,
            weight_per_minute=10_000_000,
            weight_burst=None,
            control_per_second=500.0,
        )
        token = demo_token(int(time.time())) if name == "stockbit" else ""
        return Reach(
            replace(adapter, limits=limits, variants={}),
            self.venues.endpoints(name),
            token=lambda: token,
            poll_s=0.1,
        )

    def _drive(self, steps):
        try:
            for step in steps:
                if step.exchange == EVERYBODY:
                    self._fill(step)
                else:
                    self._do(step)
        except BaseException as error:  # noqa: BLE001 - told by `run`
            self._failures.append(error)

    def _watch(self, done):
        """Sees from when to when each connection was there, and whether the machine stood."""
        before_ms = now_ms()
        while not done.wait(_WATCH_S):
            for name, seen in self.sockets.items():
                at_ms = now_ms()
                for number in self.connections(name):
                    seen.setdefault(number, [at_ms, at_ms])[1] = at_ms
            if now_ms() - before_ms > _STOOD_MS:
                self.stood.append((before_ms, now_ms()))
            before_ms = now_ms()

    def _fill(self, step):
        """Kafka has no room for a while."""
        [fault] = step.faults
        assert fault["kind"] == FULL
        started = now_ms()
        self.producer.full = True
        threading.Event().wait(fault["seconds"])
        self.producer.full = False
        self.episodes.append(Episode(step, [], started, now_ms()))
        threading.Event().wait(1.0)

    def _do(self, step):
        name, started = step.exchange, now_ms()
        ids = [self.venues.fault(name, **fault) for fault in step.faults]
        episode = Episode(step, ids, started)
        self.episodes.append(episode)
        wait = threading.Event().wait
        until_s = time.monotonic() + _HIT_S
        while time.monotonic() < until_s and self._acts(name, ids):
            wait(POLL_S)
        if step.waits and name != "stellar":
            until_s = time.monotonic() + _RECOVERED_S
            while time.monotonic() < until_s and not self._is_whole(name):
                wait(POLL_S)
        episode.to_ms = now_ms()

    def _acts(self, name, ids):
        listed = self.venues.ask(name, f"/_control/faults?since={ids[0]}")["faults"]
        return any(one["active"] for one in listed if one["id"] in ids)

    def _is_whole(self, name):
        """No gap of the exchange is open, as anybody who reads the topics sees it."""
        return all(
            unit.open is None for unit in self.producer.units.values() if unit.exchange == name
        )


def scale(monkeypatch):
    """Times that are no settings, shorter: a fault comes every second here."""
    monkeypatch.setattr(trade_sync, "BELIEVED_AFTER_MS", 500)
