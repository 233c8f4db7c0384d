"""Whether slow and dead clients delay the others: 1,000 clients of `ws` beside each other.

In turns, twice each: all are healthy; ten of them read one message a second and ten nothing,
and these twenty ask for more than they take. The better figures count. Once a second an event
goes from Kafka through the function `push` and the gateway to all, right behind a big one that
only the twenty want, so that whatever they cost comes just before it. Latency is from the write
to Kafka to the client, of the same 980 healthy clients in each turn; the twenty's buffers are
full before a turn of theirs begins.

    python benchmarks/bench_clients.py
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import boto3
from client_swarm import Swarm
from event_feed import ASSET, BULK, BULK_BYTES, EventFeed
from measuring import child, must_run, versions

from local import embedded, stack_settings
from local.ports import free_ports
from local.processes import Command
from local.stack_plan import child_environment
from local.tables import create_tables
from local.topics import create_topics
from marketdata.topics import EVENTS

HEALTHY, SLOW, DEAD = 980, 10, 10
EVERY_S = 1.0
WARM_UP_EVENTS = 3
EVENTS_OF_A_TURN = 15
TURNS = 2
BUFFER_BYTES = 256 * 1024
WAIT_S = 30
MOST = 1.5


class Seen(NamedTuple):
    """What the healthy clients saw in one turn, in seconds."""

    events: int
    median_s: float
    p99_s: float


class Stack:
    """Broker, tables, gateway and the event source of `events`, each a process."""

    def __init__(self, folder, entered):
        servers = entered.enter_context(embedded.kafka(folder / "kafka"))
        endpoint = entered.enter_context(embedded.dynamodb(folder / "dynamodb"))
        create_topics(servers, [EVENTS])
        create_tables(
            boto3.client(
                "dynamodb",
                endpoint_url=endpoint,
                region_name=stack_settings.REGION,
                aws_access_key_id=stack_settings.ACCESS_KEY_ID,
                aws_secret_access_key=stack_settings.SECRET_ACCESS_KEY,
            )
        )
        api, stream, candles = free_ports(3)
        known = stack_settings.StackSettings(data=folder, replayed=())
        ports = stack_settings.choose_ports(known) | {
            "api": api,
            "kafka": int(servers.rpartition(":")[2]),
            "dynamodb": int(endpoint.rpartition(":")[2]),
        }
        environment = child_environment(known, ports, os.environ)
        gateway = (sys.executable, "-m", "local.gateway", "--api-port", str(api))
        gateway += ("--stream-port", str(stream), "--candles-port", str(candles))
        gateway += ("--buffer-bytes", str(BUFFER_BYTES))
        command = Command("gateway", gateway, environment)
        entered.enter_context(embedded.running(command, folder / "gateway.log", api))
        log = folder / "push.log"
        source = (sys.executable, "-m", "local.event_source", "--bootstrap", servers)
        source += ("--topic", EVENTS.name, "--group", "push-events")
        source += ("--handler", "functions.push.handler")
        self.push = entered.enter_context(child(*source, log=log, environment=environment))
        self.url = f"ws://127.0.0.1:{api}/ws"
        self.feed = entered.enter_context(closing(EventFeed(servers, log)))
        self._wait(log)

    def _wait(self, log):
        until_s = time.monotonic() + WAIT_S
        while '"ready"' not in log.read_text():
            must_run(self.push)
            if time.monotonic() > until_s:
                raise SystemExit(f"the event source did not start within {WAIT_S} s")
            time.sleep(0.05)


def measure(feed, swarm):
    """The latencies of one turn's events."""
    sent_s = {}
    for at in range(WARM_UP_EVENTS + EVENTS_OF_A_TURN):
        begun_s = time.monotonic()
        feed.write(BULK, BULK_BYTES)
        number, at_s = feed.write()
        if at >= WARM_UP_EVENTS:
            sent_s[number] = at_s
        time.sleep(max(0.0, begun_s + EVERY_S - time.monotonic()))
    if not swarm.waits_for(number, WAIT_S):
        raise SystemExit(f"not every healthy client had every event within {WAIT_S} s")
    found_s = swarm.latencies_s(sent_s)
    if len(found_s) != len(sent_s) * len(swarm.healthy):
        raise SystemExit(f"{len(found_s)} events came, not {len(sent_s)} to each client")
    p99_s = statistics.quantiles(found_s, n=100)[98]
    return Seen(len(found_s), statistics.median(found_s), p99_s)


def beside_healthy(stack, swarm):
    """One turn in which all clients are healthy."""
    with Swarm(stack.url, ASSET, healthy=SLOW + DEAD):
        return measure(stack.feed, swarm)


def beside_others(stack, swarm):
    """One turn with the slow and the dead; also how often push gave one of them up."""
    with Swarm(stack.url, ASSET, slow=SLOW, dead=DEAD):
        stack.feed.fill(slow=SLOW, dead=DEAD)
        filled = len(stack.feed.reports())
        seen = measure(stack.feed, swarm)
    reports = stack.feed.reports()[filled:]
    return seen, sum(one.get("throttled", 0) + one["paused"] for one in reports)


def report(without, beside, given_up):
    """Prints the better figures of both and their ratios; returns whether these are low."""
    print(f"\nclients: from Kafka to {HEALTHY} healthy clients, one event every {EVERY_S:g} s")
    print(f"  Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    best = []
    names = (f"beside {SLOW + DEAD} healthy", f"beside {SLOW} slow, {DEAD} dead")
    for name, turns in zip(names, (without, beside), strict=True):
        median_s, p99_s = (min(one[at] for one in turns) for at in (1, 2))
        best.append((median_s, p99_s))
        each = sum(one.events for one in turns)
        print(f"  {name:<28}{median_s * 1000:>10,.0f} ms median{p99_s * 1000:>10,.0f} ms p99")
        print(f"  {'':<28}{each:>10,} messages in {TURNS} turns")
    print(f"  {'':<28}{given_up:>10,} times a slow or dead one was passed over")
    print(f"  {'':<28}{versions('aiohttp', 'kafka-python', 'msgspec')}")
    median, p99 = (later / first for first, later in zip(*best, strict=True))
    print(
        f"  ratio {median:.2f} of the medians, {p99:.2f} of the p99, at most {MOST:g}",
        flush=True,
    )
    return max(median, p99) <= MOST and given_up > 0


def run(folder):
    """All turns against one stack; the twenty are exchanged in between."""
    with ExitStack() as entered:
        stack = Stack(folder, entered)
        print(f"opening {HEALTHY} clients …", flush=True)
        swarm = entered.enter_context(Swarm(stack.url, ASSET, healthy=HEALTHY))
        turns = [
            (beside_healthy(stack, swarm), *beside_others(stack, swarm)) for _ in range(TURNS)
        ]
    without, beside, given_up = zip(*turns, strict=True)
    return report(without, beside, sum(given_up))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(0 if run(Path(temporary)) else 1)
