"""Registrations race a steady stream on several partitions with redelivered batches (rule 20).

Everything is real but the clients: push, register, DynamoDB, HTTP posts.
"""

import base64
import contextlib
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from functions import push
from functions.ring import RingRecord
from functions.tables import registrations_table, ring_table
from marketdata.ring_items import Source, parse_cursor

pytestmark = pytest.mark.services

PARTITIONS = 3
FILTERS = ({"types": ["payment"]}, {"types": ["trade"]}, {})
WANTED = ({"transfer"}, {"swap"}, {"transfer", "swap"})
THREADS = 8
MAX_TRIES = 5
PAUSE_S = 0.15
SEED = int(os.environ.get("TAPEDECK_TEST_SEED", "0"))


class Context:
    def get_remaining_time_in_millis(self):
        return 60_000


@dataclass
class Partition:
    """One partition as its event source has it: what was sent, and how often."""

    source: Source
    chance: random.Random
    offset: int
    kinds: dict[int, str] = field(default_factory=dict)
    deliveries: Counter = field(default_factory=Counter)

    def run(self, value_of, until):
        """Deliver batches until told to end: some twice, some after dying before the posts."""
        while not until.wait(self.chance.uniform(0, 2 * PAUSE_S)):
            first = self.offset
            self.offset += self.chance.randint(1, 3)
            batch = {
                at: self.chance.choice(["transfer", "swap"]) for at in range(first, self.offset)
            }
            self.kinds |= batch
            records = [self._record(at, value_of(kind, at)) for at, kind in batch.items()]
            if self.chance.random() < 0.2:
                self._died_after_the_ring(first, records)
            for _ in range(1 + (self.chance.random() < 0.3)):
                self.deliveries.update(batch.keys())
                push.handler(
                    {"records": {f"events-{self.source.partition}": records}}, Context()
                )

    def _record(self, offset, value):
        return {
            "topic": "events",
            "partition": self.source.partition,
            "offset": offset,
            "timestamp": time.time_ns() // 1_000_000,
            "timestampType": "LOG_APPEND_TIME",
            "key": base64.b64encode(b"stellar:events").decode(),
            "value": base64.b64encode(value).decode(),
            "headers": [],
        }

    def _died_after_the_ring(self, first, records):
        kept = [
            RingRecord(one["offset"], b"stellar:events", base64.b64decode(one["value"]), 0, {})
            for one in records
        ]
        ring_table().append(self.source, "events", first, self.offset, kept, 2**33)
        ring_table().advance(self.source, "events", self.offset)


def partitions(seed):
    sources = [Source("events", number) for number in range(PARTITIONS)]
    heads = ring_table().heads(sources)
    return [
        Partition(at, random.Random(f"{seed} {at}"), heads[at].next if at in heads else 0)
        for at in sources
    ]


def register(client, filters):
    """Register as a client is told to: again, where a service failed for the moment."""
    for _ in range(MAX_TRIES):
        client.register(filters=filters, resume=True)
        failed = [one["code"] for one in client.got if one["type"] == "error"]
        assert set(failed) <= {"INTERNAL"}
        if client.types.count("registered") and len(failed) == client.failed:
            return
        client.failed = len(failed)
    pytest.fail(f"{MAX_TRIES} times: {client.got[-1]}")


def take_part(client, chance):
    """A client's life: register, and by chance once more; the filters that it used."""
    used = [chance.randrange(3)]
    register(client, FILTERS[used[0]])
    if chance.random() < 0.5:
        used.append(chance.randrange(3))
        register(client, FILTERS[used[1]])
    return used


def check(client, used, all_partitions):
    registration = registrations_table().of_connection(client.id)["events"]
    cursors = [parse_cursor(one["cursor"]) for one in client.got if "cursor" in one]
    for partition in all_partitions:
        at = partition.source
        replayed = min(terms.cuts[at] for terms in registration.terms if at in terms.cuts)

        def kinds(offset, at=at):
            """What is wanted here: while it was replayed, what was asked for first."""
            terms = registration.terms_at(at, offset)
            return WANTED[FILTERS.index(given(terms)) if terms else used[0]]

        wanted = [
            offset
            for offset, kind in partition.kinds.items()
            if offset >= client.start.get(at, 0) and kind in kinds(offset)
        ]
        offsets = [cursor.offset for cursor in cursors if cursor.source == at]
        assert list(dict.fromkeys(offsets)) == wanted
        for offset, times in Counter(offsets).items():
            most = 1 if offset < replayed else partition.deliveries[offset]
            assert times <= most, (at, offset)
    assert given(registration.terms[0]) == FILTERS[used[-1]]


def given(terms):
    types = json.loads(terms.filters)["types"]
    return {"types": types} if types else {}


@contextlib.contextmanager
def stream(all_partitions, value_of):
    until = threading.Event()
    with ThreadPoolExecutor(PARTITIONS) as pool:
        running = [pool.submit(one.run, value_of, until) for one in all_partitions]
        try:
            yield
        finally:
            until.set()
            for one in running:
                one.result()


def race(connect, value_of, clients):
    seed = SEED or random.randrange(1, 2**31)
    sys.stdout.write(f"repeat with: TAPEDECK_TEST_SEED={seed} .venv/bin/pytest {__file__}\n")
    all_partitions = partitions(seed)

    def live(number):
        client = connect()
        return client, take_part(client, random.Random(f"{seed} client {number}"))

    with stream(all_partitions, value_of), ThreadPoolExecutor(THREADS) as pool:
        lives = list(pool.map(live, range(clients)))
    for client, used in lives:
        check(client, used, all_partitions)


def test_nothing_is_lost_and_nothing_comes_twice_while_many_register(connect, value_of):
    race(connect, value_of, 20)


@pytest.mark.soak
def test_nothing_is_lost_and_nothing_comes_twice_while_hundreds_register(connect, value_of):
    race(connect, value_of, 600)
