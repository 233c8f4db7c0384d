"""Capture's poller over real HTTP, through every fault of the simulated node."""

import random
import threading
import time
from dataclasses import replace

import pytest

from container_worker.capture.budgets import Budgets
from container_worker.capture.emissions import Write
from container_worker.capture.event_sync import EventSync
from container_worker.capture.keeper import Keeper
from container_worker.capture.poller import Pollers
from container_worker.capture.rest import RestClient
from container_worker.capture.timing import Timing
from container_worker.exchanges.polling import Query
from container_worker.exchanges.stellar import ADAPTER
from marketdata.errors import BadCredential
from marketdata.messages import ContractEvent, Gap

FAST = Timing(rest=0.5, backoff_base=0.05, backoff_cap=0.1, stall=5.0)
GENEROUS = replace(ADAPTER, limits=replace(ADAPTER.limits, weight_per_minute=60_000))
OPTIONS = ("--seed", "8", "--set", "stellar.ledger_seconds=0.2", "--speed", "5")


class Line:
    """The keeper's line: one core, and a list in place of Kafka."""

    exchange = "stellar"

    def __init__(self):
        self.sync = EventSync("stellar", "events")
        self.ids, self.gaps, self.rejects, self.disruptions = [], [], [], []
        self.lock = threading.Lock()

    def feed_page(self, page, received_ns, source):
        with self.lock:
            for event in page.events:
                self._run(self.sync.take(event, received_ns // 1_000_000))
            self._run(self.sync.reached(page.cursor, page.window))

    def _run(self, emissions):
        for each in emissions:
            if not isinstance(each, Write):
                self.rejects.append(each)
            elif isinstance(each.message, ContractEvent):
                self.ids.append(each.id)
            elif isinstance(each.message, Gap):
                self.gaps.append(each.message)

    def disrupted(self, cause):
        with self.lock:
            self._run(self.sync.disrupted(cause))
            self.disruptions.append(cause)

    def share(self, new):
        """See `AnyLine`."""

    def overlap(self, overlap):
        """See `AnyLine`."""

    def may_part(self, now_s):
        return True

    def part(self):
        """See `AnyLine`."""


class Capture:
    """A keeper, its pollers and a real client, until `close`."""

    def __init__(self, exchange, *, start_ledger=0, auth_header="", limit=20):
        self.line, self.troubles = Line(), []
        self._stop = threading.Event()
        budgets = Budgets(GENEROUS.limits, FAST.restricted)
        rest = RestClient(GENEROUS, exchange.rest_url, FAST.rest, self._stop, budgets)
        pollers = Pollers(
            "stellar",
            ADAPTER.polling,
            Query(start_ledger=start_ledger, limit=limit, auth_header=auth_header),
            get=rest.get,
            line=self.line,
            cursor=lambda: self.line.sync.cursor,
            poll_s=0.05,
            changed=lambda: None,
        )
        self.keeper = Keeper(
            self.line,
            pollers.open,
            life_s=1e9,
            timing=FAST,
            chance=random.Random(1),
            connect_wait_s=lambda _now_s: 0.0,
            report=self.troubles.append,
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.02):
            self.keeper.step(time.monotonic())

    def close(self):
        self._stop.set()
        self._thread.join(5)
        for link in self.keeper.close():
            link.join(5)
            assert not link.is_alive()


@pytest.fixture
def capture(start_exchange):
    """`capture(*options, …)` starts a node and a capture of it."""
    started = []

    def start(*options, exchange=None, **query):
        exchange = exchange or start_exchange(*OPTIONS, *options, name="stellar")
        started.append(Capture(exchange, **query))
        return exchange, started[-1]

    yield start
    for each in started:
        each.close()


def truth(exchange, first, last):
    events = exchange.get(f"/_control/events?from={first}&to={last}")["events"]
    return [event["id"] for event in events]


def test_through_every_fault_all_events_are_written_once_and_there_is_no_gap(
    capture, wait_until
) -> None:
    exchange, running = capture()
    line = running.line
    wait_until(lambda: line.ids, what="the first event")
    first = int(line.ids[0][:19]) >> 32
    faults = [
        *({"kind": "refuse", "status": status} for status in (500, 503, 504, 403)),
        {"kind": "refuse", "status": 429, "retry_after_s": 0},
        *({"kind": "garbage", "form": form, "replace": True} for form in ("text", "binary")),
        {"kind": "garbage", "form": "truncated", "replace": True, "stream": "getEvents"},
        {"kind": "drop", "stream": "getEvents", "frames": 2},
        {"kind": "cut", "after": 1},
        {"kind": "slow", "seconds": 0.8},
        {"kind": "delay", "seconds": 0.2},
        {"kind": "clock", "ahead_s": 7200, "stream": "getEvents"},
    ]
    for fault in faults:
        number = exchange.fault(**fault)
        wait_until(lambda number=number: exchange.hits(number), what=f"a hit of {fault}")
        before = len(line.ids)
        wait_until(lambda before=before: len(line.ids) > before, what=f"life after {fault}")
    exchange.pause()
    last = exchange.status()["last_ids"]["events"]["ledger"]
    wanted = truth(exchange, first, last)
    wait_until(lambda: line.ids[-1:] == wanted[-1:], what="the last event")
    assert line.ids == wanted
    assert line.gaps == []
    assert {"disconnect", "garbage"} <= set(line.disruptions)
    assert running.troubles


def test_a_window_that_runs_away_is_a_gap_of_the_ledgers_that_are_not_there(
    capture, wait_until
) -> None:
    exchange, running = capture("--set", "stellar.retention_ledgers=20")
    line = running.line
    wait_until(lambda: line.ids, what="the first event")
    first = int(line.ids[0][:19]) >> 32
    exchange.fault(kind="refuse", status=503, requests=1000)
    before = exchange.status()["last_ids"]["events"]["oldest_ledger"]
    wait_until(
        lambda: exchange.status()["last_ids"]["events"]["oldest_ledger"] > before + 40,
        what="ledgers to go",
    )
    exchange.request("/_control/faults", method="DELETE")
    wait_until(lambda: line.gaps and line.gaps[-1].last, what="the gap")
    exchange.pause()
    last = exchange.status()["last_ids"]["events"]["ledger"]
    wanted = truth(exchange, first, last)
    wait_until(lambda: line.ids[-1:] == wanted[-1:], what="the last event")
    [closed] = [gap for gap in line.gaps if gap.last is not None]
    assert closed.cause == "retention"
    inside = [id_ for id_ in wanted if closed.first <= int(id_[:19]) >> 32 <= closed.last]
    assert line.ids == [id_ for id_ in wanted if id_ not in inside]


def test_a_header_that_the_node_wants_is_sent_and_one_that_it_refuses_is_told(
    capture, wait_until
) -> None:
    option = ("--set", "stellar.authorization=Bearer key")
    exchange, good = capture(*option, auth_header="Bearer key")
    _, bad = capture(exchange=exchange, auth_header="Bearer other")
    wait_until(lambda: good.line.ids, what="an event")
    wait_until(lambda: bad.troubles, what="a refusal")
    assert isinstance(bad.troubles[0], BadCredential)
    assert "other" not in str(bad.troubles[0])
    assert bad.line.ids == []
