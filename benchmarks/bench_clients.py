"""Whether slow, dead and hanging clients delay the others: 1,000 clients of `ws`.

In turns, three times each: all are healthy; ten read one message a second and ten nothing, and
these twenty ask for more than they take; posts to ten are not answered in time. The middle one
of three figures counts. Once a second an event goes from Kafka through the function `push` and
the gateway to all, right behind a big one that only the slow and the dead want, so that what
they cost comes just before it. Latency is from the write to Kafka to the client, of the same
980 healthy clients in each turn. The buffers of the slow and the dead are full before a turn of
theirs begins; every batch has to say that they still are, or that those who hang are given up.
What it costs to find that somebody hangs is told apart.

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
import requests
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

HEALTHY, SLOW, DEAD, HANGING = 980, 10, 10, 10
OTHERS = SLOW + DEAD
EVERY_S = 1.0
WARM_UP_EVENTS = 6
EVENTS_OF_A_TURN = 15
TURNS = 3
HANG_S = 4
"""Longer than a post may take (functions/gateway.py); the warm-up is longer than both."""
BUFFER_BYTES = 256 * 1024
WAIT_S = 30
MOST = 1.5


class Seen(NamedTuple):
    """What the healthy clients saw in one turn, in s; `first_s` is the most in its warm-up."""

    median_s: float
    p99_s: float
    first_s: float


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
        self._control = f"http://127.0.0.1:{api}/_control"
        self.feed = entered.enter_context(closing(EventFeed(servers, log)))
        self._wait(log)

    def ids(self):
        """Those who are connected."""
        answer = requests.get(f"{self._control}/connections", timeout=WAIT_S)
        return {one["id"] for one in answer.json()["connections"]}

    def hang(self, connection_id):
        """From now on no post to this one is answered in time."""
        fault = {"kind": "hang", "connection": connection_id, "seconds": HANG_S, "times": 1000}
        answer = requests.post(f"{self._control}/faults", json=fault, timeout=WAIT_S)
        answer.raise_for_status()

    def answer_again(self):
        """Nothing hangs any more."""
        requests.delete(f"{self._control}/faults", timeout=WAIT_S).raise_for_status()

    def _wait(self, log):
        until_s = time.monotonic() + WAIT_S
        while '"ready"' not in log.read_text():
            must_run(self.push)
            if time.monotonic() > until_s:
                raise SystemExit(f"the event source did not start within {WAIT_S} s")
            time.sleep(0.05)


def measure(feed, swarm):
    """What one turn's events took, and what `push` said of those that are measured."""
    warm_up_s, sent_s, before = {}, {}, 0
    for at in range(WARM_UP_EVENTS + EVENTS_OF_A_TURN):
        begun_s = time.monotonic()
        is_warm = at >= WARM_UP_EVENTS
        if at == WARM_UP_EVENTS:
            before = len(feed.reports())
        feed.write(BULK, BULK_BYTES)
        number, at_s = feed.write()
        (sent_s if is_warm else warm_up_s)[number] = at_s
        time.sleep(max(0.0, begun_s + EVERY_S - time.monotonic()))
    if not swarm.waits_for(number, WAIT_S):
        raise SystemExit(f"not every healthy client had every event within {WAIT_S} s")
    feed.wait_until_pushed()
    found_s = swarm.latencies_s(sent_s)
    if len(found_s) != len(sent_s) * len(swarm.healthy):
        raise SystemExit(f"{len(found_s)} events came, not {len(sent_s)} to each client")
    p99_s = statistics.quantiles(found_s, n=100)[98]
    seen = Seen(statistics.median(found_s), p99_s, max(swarm.latencies_s(warm_up_s)))
    return seen, feed.reports()[before:]


def beside_healthy(stack, swarm):
    """One turn in which all clients are healthy."""
    with Swarm(stack.url, ASSET, healthy=OTHERS):
        return measure(stack.feed, swarm)[0]


def beside_full(stack, swarm):
    """One turn with the slow and the dead."""
    with Swarm(stack.url, ASSET, slow=SLOW, dead=DEAD):
        stack.feed.fill(slow=SLOW, dead=DEAD)
        seen, reports = measure(stack.feed, swarm)
    if not all(one.get("throttled", 0) >= DEAD for one in reports):
        raise SystemExit("the dead were not full all the time: nothing was measured")
    return seen


def beside_hanging(stack, swarm):
    """One turn with some whose posts are never answered in time."""
    before = stack.ids()
    with Swarm(stack.url, ASSET, healthy=OTHERS):
        for one in sorted(stack.ids() - before)[:HANGING]:
            stack.hang(one)
        seen, reports = measure(stack.feed, swarm)
        stack.answer_again()
    if not all(one["paused"] + one.get("timed_out", 0) == HANGING for one in asked(reports)):
        raise SystemExit("the hanging were not given up all the time: nothing was measured")
    return seen


def asked(reports):
    """The batches that had something for everybody."""
    return [one for one in reports if one["connections"] > HEALTHY]


KINDS = {
    f"beside {OTHERS} healthy": beside_healthy,
    f"beside {SLOW} slow, {DEAD} dead": beside_full,
    f"beside {HANGING} hanging": beside_hanging,
}


def report(turns):
    """Prints every figure, the middle ones and their ratios; returns whether these are low."""
    print(f"\nclients: from Kafka to {HEALTHY} healthy clients, one event every {EVERY_S:g} s")
    print(f"  Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    print(f"  {versions('aiohttp', 'kafka-python', 'msgspec')}")
    usual, good = None, True
    for name, seen in turns.items():
        middle = Seen(*map(statistics.median, zip(*seen, strict=True)))
        usual = usual or middle
        ratios = [later / first for later, first in zip(middle, usual, strict=True)][:2]
        good = good and max(ratios) <= MOST
        print(f"  {name}")
        print(f"    median {_ms(middle.median_s)} of {', '.join(_ms(one[0]) for one in seen)}")
        print(f"    p99    {_ms(middle.p99_s)} of {', '.join(_ms(one[1]) for one in seen)}")
        print(f"    ratio {ratios[0]:.2f} of the medians, {ratios[1]:.2f} of the p99")
        print(f"    while they are new, one event took up to {_ms(middle.first_s)}")
    print(f"  ratios at most {MOST:g}", flush=True)
    return good


def _ms(seconds):
    return f"{seconds * 1000:,.0f} ms"


def run(folder):
    """All turns against one stack; the twenty are exchanged in between."""
    with ExitStack() as entered:
        stack = Stack(folder, entered)
        print(f"opening {HEALTHY} clients …", flush=True)
        swarm = entered.enter_context(Swarm(stack.url, ASSET, healthy=HEALTHY))
        turns = {name: [] for name in KINDS}
        for _ in range(TURNS):
            for name, turn in KINDS.items():
                turns[name].append(turn(stack, swarm))
                print(f"  {name}: {_ms(turns[name][-1].median_s)}", flush=True)
        return report(turns)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(0 if run(Path(temporary)) else 1)
