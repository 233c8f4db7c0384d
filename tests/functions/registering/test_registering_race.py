"""Registrations race a steady stream on several partitions with redelivered batches (rule 20).

Everything is real but the clients: push, register, DynamoDB. A client registers one to five
times, and leaves when `ALIVE` others of its thread have come after it.
"""

import base64
import contextlib
import functools
import json
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import boto3
import pytest

from functions import push, register, settings
from functions.gateway import Delivery, Outcome
from functions.ring import RingRecord
from functions.tables import registrations_table, ring_table
from marketdata.ring_items import ID, Source, parse_cursor, topic_pk

pytestmark = pytest.mark.services

MOST = 4
"""Events that are replayed at most; most clients have more that wait, or none."""
ALL = {"types": ["trade", "price_update", "candle", "depth"]}
FILTERS = ({"types": ["payment"]}, {"types": ["trade"]}, {}, ALL)
WANTED = ({"transfer"}, {"swap"}, {"transfer", "swap"}, {"swap", "ticks"})
CHANCES = (4, 4, 4, 1)
SOURCES = (*(Source("events", partition) for partition in range(3)), Source("ticks", 0))
THREADS = 4
ALIVE = 5
MAX_TRIES = 5
PAUSE_S = 0.4
SEED = int(os.environ.get("TAPEDECK_TEST_SEED", "0"))


class Context:
    def get_remaining_time_in_millis(self):
        return 60_000


class Mailboxes:
    """What the clients of every stage were posted, until they left."""

    def __init__(self):
        self._lock = threading.Lock()
        self._texts = defaultdict(list)
        self._left = set()

    def texts(self, connection_id):
        with self._lock:
            return list(self._texts[connection_id])

    def post(self, connection_id, text):
        return self.post_many({connection_id: [text]})[connection_id].last

    def post_many(self, messages, *, limits_s=None, until_s=0.0):
        del limits_s, until_s
        return {one: self._deliver(one, texts) for one, texts in messages.items()}

    def leave(self, connection_id):
        with self._lock:
            self._left.add(connection_id)

    def _deliver(self, one, texts):
        with self._lock:
            if one in self._left:
                return Delivery(skipped=len(texts) - 1, last=Outcome.GONE)
            self._texts[one] += texts
        return Delivery(sent=len(texts), last=Outcome.SENT)


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
        topic = self.source.topic
        kinds = ["transfer", "swap"] if topic == "events" else [topic]
        while not until.wait(self.chance.uniform(0, 2 * PAUSE_S)):
            first = self.offset
            self.offset += self.chance.randint(1, 3)
            batch = {at: self.chance.choice(kinds) for at in range(first, self.offset)}
            self.kinds |= batch
            records = [self._record(at, value_of(kind, at)) for at, kind in batch.items()]
            if self.chance.random() < 0.2:
                self._died_after_the_ring(first, records)
            for _ in range(1 + (self.chance.random() < 0.3)):
                self.deliveries.update(batch.keys())
                push.handler(
                    {"records": {f"{topic}-{self.source.partition}": records}}, Context()
                )

    def _record(self, offset, value):
        return {
            "topic": self.source.topic,
            "partition": self.source.partition,
            "offset": offset,
            "timestamp": time.time_ns() // 1_000_000,
            "timestampType": "LOG_APPEND_TIME",
            "key": base64.b64encode(b"some:thing").decode(),
            "value": base64.b64encode(value).decode(),
            "headers": [],
        }

    def _died_after_the_ring(self, first, records):
        topic = self.source.topic
        kept = [
            RingRecord(one["offset"], b"some:thing", base64.b64decode(one["value"]), 0, {})
            for one in records
        ]
        ring_table().append(self.source, topic, first, self.offset, kept, 2**33)
        ring_table().advance(self.source, topic, self.offset)


def partitions(seed):
    heads = ring_table().heads(SOURCES)
    return [
        Partition(at, random.Random(f"{seed} {at}"), heads[at].next if at in heads else 0)
        for at in SOURCES
    ]


def tick_of(number):
    members = {"symbol": "A/B", "price": number, "volume": None, "rates": ["1s"]}
    about = {"type": "price_update", "timestamp": "t", "source": "some"}
    return json.dumps({**about, **members}).encode()


def sent(client):
    return [parse_cursor(one["cursor"]) for one in client.got if "cursor" in one]


def errors(client, code):
    return [one for one in client.got if one["type"] == "error" and one["code"] == code]


def ask(client, filters):
    """Register as a client is told to: again, where a service failed for the moment."""
    for _ in range(MAX_TRIES):
        client.register(filters=filters, resume=True)
        failed = len(errors(client, "INTERNAL"))
        if failed == client.failed:
            return
        client.failed = failed
    pytest.fail(f"{MAX_TRIES} times: {client.got[-1]}")


class Life(NamedTuple):
    """A client that has left, and what it asked for."""

    client: object
    used: list[int]
    registrations: dict


def take_part(client, chance, times):
    """Register so many times; what was asked for."""
    used = chance.choices(range(len(FILTERS)), CHANCES, k=times)
    for one in used:
        ask(client, FILTERS[one])
    return used


def leave(client, used, mailboxes):
    mailboxes.leave(client.id)
    return Life(client, used, registrations_table().of_connection(client.id))


def check(life, all_partitions):
    """Everything that it wanted came, up to where it left, but for the events dropped."""
    client, first, last = life.client, life.used[0], life.used[-1]
    cursors, missing, replays = sent(client), 0, 0
    for partition in all_partitions:
        at = partition.source
        registration = life.registrations.get(at.topic)
        if registration is None:
            assert not any(cursor.source == at for cursor in cursors)
            continue
        offsets = [cursor.offset for cursor in cursors if cursor.source == at]
        cut = min(terms.cuts[at] for terms in registration.terms if at in terms.cuts)
        begin = client.start.get(at, 0) if at.topic in feeds_of(first) else cut
        wanted = {
            offset
            for offset, kind in partition.kinds.items()
            if begin <= offset <= max(offsets, default=0)
            and kind in wanted_at(registration, at, offset, first)
        }
        assert sorted(set(offsets)) == list(dict.fromkeys(offsets))
        assert set(offsets) <= wanted
        assert all(offset < cut for offset in wanted - set(offsets)), (at, cut)
        replayed = {
            offset
            for offset, kind in partition.kinds.items()
            if begin <= offset < cut and kind in WANTED[first]
        }
        missing += len(replayed - set(offsets))
        replays += len(replayed & set(offsets))
        for offset, times in Counter(offsets).items():
            assert times <= (1 if offset < cut else partition.deliveries[offset]), (at, offset)
    told = errors(client, "QUEUE_FULL")
    assert [one["dropped"] for one in told] == ([missing] if missing else [])
    assert replays == MOST if missing else replays <= MOST
    assert given(life.registrations["events"].terms[0]) == FILTERS[last]


def feeds_of(used):
    return {"events"} | ({"ticks"} & WANTED[used])


def wanted_at(registration, at, offset, first):
    """What is wanted here: while it was replayed, what was asked for first."""
    for terms in registration.terms:
        if terms.cuts.get(at, offset + 1) <= offset:
            return WANTED[FILTERS.index(given(terms))] if terms.filters else set()
    return WANTED[first]


def given(terms):
    types = json.loads(terms.filters)["types"]
    return {"types": types} if types else {}


@contextlib.contextmanager
def stream(all_partitions, value_of):
    until = threading.Event()

    def value(kind, number):
        return tick_of(number) if kind == "ticks" else value_of(kind, number)

    with ThreadPoolExecutor(len(all_partitions)) as pool:
        running = [pool.submit(one.run, value, until) for one in all_partitions]
        try:
            yield
        finally:
            until.set()
            for one in running:
                one.result()


@pytest.fixture(scope="module")
def table_variables(new_tables, dynamodb):
    """Tables of their own, which know the topics' ids: what is left there is met by nobody."""
    made = new_tables()
    client = boto3.client("dynamodb", endpoint_url=dynamodb)
    for topic in dict.fromkeys(at.topic for at in SOURCES):
        item = {"pk": {"S": topic_pk(topic)}, "sk": {"S": ID}, "topic_id": {"S": topic}}
        client.put_item(TableName=made["RING_TABLE"], Item=item)
    return made


@pytest.fixture
def race(functions, connect, value_of, monkeypatch):
    """`race(clients)`: so many live while the topics move; each is checked in the end."""
    monkeypatch.setenv("MAX_QUEUE_SIZE", str(MOST))
    settings.settings.cache_clear()
    mailboxes = Mailboxes()
    for module in (push, register):
        monkeypatch.setattr(module, "posts", lambda _stage: mailboxes)
    connect = functools.partial(connect, server=mailboxes, forgets=False)

    def run(clients):
        seed = SEED or random.randrange(1, 2**31)
        sys.stdout.write(f"repeat with: TAPEDECK_TEST_SEED={seed} pytest {__file__}\n")
        all_partitions = partitions(seed)

        def live(numbers):
            """The next one has connected before one registers: something waits for it."""
            waiting, alive, lives = connect(), [], []
            for number in numbers:
                client, waiting = waiting, connect()
                chance = random.Random(f"{seed} client {number}")
                used = take_part(client, chance, 1 + number // THREADS % 5)
                alive.append((client, used))
                if len(alive) > ALIVE:
                    lives.append(leave(*alive.pop(0), mailboxes))
            return [*lives, *(leave(*one, mailboxes) for one in alive)]

        shares = [range(start, clients, THREADS) for start in range(THREADS)]
        with stream(all_partitions, value_of), ThreadPoolExecutor(THREADS) as pool:
            lives = [one for share in pool.map(live, shares) for one in share]
        assert len(lives) == clients
        for life in lives:
            check(life, all_partitions)
        return lives

    return run


def test_nothing_is_lost_and_nothing_comes_twice_while_hundreds_register(race):
    lives = race(72)
    assert sum(len(life.used) for life in lives) >= 200
    assert any(errors(life.client, "QUEUE_FULL") for life in lives)


@pytest.mark.soak
def test_nothing_is_lost_and_nothing_comes_twice_while_thousands_register(race):
    race(1000)
