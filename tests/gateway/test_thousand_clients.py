"""Slow and dead clients cost themselves, not the others: Kafka, push, gateway, many clients."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from local.topics import create_topics
from marketdata.topics import EVENTS

pytestmark = pytest.mark.services

MEASURED_EVENTS = 20
BUFFER_BYTES = 256 * 1024


def _load(name):
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client_swarm = _load("client_swarm")
event_feed = _load("event_feed")


@pytest.fixture
def gateway(start_gateway):
    """A gateway whose own part of the buffers is small."""
    with start_gateway("--buffer-bytes", str(BUFFER_BYTES)) as started:
        yield started


@pytest.fixture
def feed(kafka, tables, gateway, tmp_path, wait_until):
    """Events into Kafka, which the function `push` has for the gateway's clients."""
    create_topics(kafka, [EVENTS])
    log = tmp_path / "log"
    command = [sys.executable, "-m", "local.event_source", "--bootstrap", kafka]
    command += ["--topic", EVENTS.name, "--group", f"push-{uuid.uuid4().hex[:8]}"]
    command += ["--handler", "functions.push.handler"]
    urls = {
        f"CALLBACK_URL_{stage.upper()}": f"{gateway.api}/_management/{stage}"
        for stage in ("stream", "ws")
    }
    environment = {**os.environ, **tables, **urls}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stderr=output, stdout=output)
    try:
        wait_until(lambda: '"ready"' in log.read_text(), 20, "the event source's start")
        with contextlib.closing(event_feed.EventFeed(kafka, log)) as made:
            yield made
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


@pytest.fixture(
    params=[
        pytest.param((54, 3, 3), id="sixty"),
        pytest.param(
            (980, 10, 10), id="thousand", marks=[pytest.mark.soak, pytest.mark.timeout(600)]
        ),
    ]
)
def swarm(request, gateway):
    """Registered clients: healthy, slow and dead ones."""
    healthy, slow, dead = request.param
    with client_swarm.Swarm(
        gateway.ws, event_feed.ASSET, healthy=healthy, slow=slow, dead=dead
    ) as registered:
        yield registered


def numbers(client):
    return [number for number, _ in client.seen]


def test_beside_slow_and_dead_clients_each_healthy_one_has_every_event_once_and_in_order(
    swarm, feed, wait_until
):
    slow, dead = len(swarm.slow), len(swarm.dead)
    feed.fill(slow=slow, dead=dead)
    filled = len(feed.reports())
    for _ in range(MEASURED_EVENTS):
        feed.write(event_feed.BULK, event_feed.BULK_BYTES)
        feed.write()
    assert swarm.waits_for(feed.written[-1], 60)
    assert all(numbers(one) == feed.written for one in swarm.healthy)
    feed.wait_until_pushed()
    _wait_for_nobody(feed.reports()[filled:], len(swarm.healthy), dead)
    _lost(swarm, feed, wait_until)


def _wait_for_nobody(reports, healthy, dead):
    """A batch can wait for a client in two ways: for its answer, and before a second try.

    Every answer came in time, each healthy client was posted each event once, and the full ones
    were posted to once a batch: a second try would hold the next batch up. How long it all
    took is for benchmarks/bench_clients.py.
    """
    assert all(one["throttled"] >= dead for one in reports)
    assert not any(one.get("timed_out", 0) + one["paused"] for one in reports)
    assert sum(one["sent"] for one in reports) >= healthy * MEASURED_EVENTS
    assert any(not one["retried"] for one in reports)
    retried = sum(one["retried"] for one in reports)
    assert retried <= sum(one["throttled"] for one in reports) / 2


def _lost(swarm, feed, wait_until):
    """The slow lost some of the events, the dead all; when they read they are served again."""
    measured = set(feed.written)
    swarm.revive()
    others = [*swarm.slow, *swarm.dead]

    def are_served():
        last, _ = feed.write()
        feed.wait_until_pushed()
        return all(one.seen and one.seen[-1][0] == last for one in others)

    wait_until(are_served, 30, "that the slow and the dead are served again")
    for one in others:
        assert numbers(one) == sorted(set(numbers(one)))
    assert all(measured - set(numbers(one)) for one in swarm.slow)
    assert all(measured.isdisjoint(numbers(one)) for one in swarm.dead)
