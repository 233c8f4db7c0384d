"""Push and subscribers at the same time, on real tables: no seam (rules 20, 21)."""

import json
import os
import random
import threading
import time
from base64 import b64encode
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.connections import ConnectionsTable
from functions.gateway import Delivery, Outcome
from functions.listeners import MOST_ITEMS, ListenersTable
from functions.listings import ListingsTable
from functions.logic.audience import Audiences
from functions.logic.pushing import Pushing, Ringing
from functions.logic.reserving import Reserving
from functions.logic.resuming import Resuming
from functions.logic.slow_connections import SlowConnections
from functions.logic.subscribing import Subscribing
from functions.registrations import RegistrationsTable
from functions.ring import RingTable
from functions.subscriptions import SubscriptionsTable
from marketdata.client_protocol import Subscribe
from marketdata.partitions import source_of
from marketdata.ring_items import parse_cursor

pytestmark = pytest.mark.services

TOPICS = frozenset({"ticks"})
TICKERS = [f"SEAM{number}" for number in range(5)]


class Posts:
    """Whoever is connected gets what is posted; what has left is gone."""

    def __init__(self):
        self.received = defaultdict(list)
        self.left = set()
        self.lock = threading.Lock()
        self.on_told = lambda _connection: None

    def post(self, connection_id, text):
        return self.post_many({connection_id: [text]})[connection_id].last

    def post_many(self, messages, *, limits_s=None, until_s=0.0):
        del limits_s, until_s
        return {one: self._deliver(one, texts) for one, texts in messages.items()}

    def _deliver(self, one, texts):
        for done, text in enumerate(texts):
            if b'"subscribed"' in text:
                self.on_told(one)
            with self.lock:
                if one in self.left:
                    return Delivery(sent=done, skipped=len(texts) - done, last=Outcome.GONE)
                self.received[one].append(json.loads(text))
        return Delivery(sent=len(texts), last=Outcome.SENT)

    def leave(self, one):
        with self.lock:
            self.left.add(one)


class Tape:
    """One partition of `ticks` and what its event source delivers, a share of it again."""

    def __init__(self, source, tickers, first, rng, again):
        self.source, self.tickers, self.rng, self.again = source, tickers, rng, again
        self.repeated = set()
        self.first = self.committed = first
        self.records = []

    def deliver(self, pushing):
        """Each delivery begins where the last successful one ended."""
        new = self.rng.randint(1, 4)
        for _ in range(new):
            ticker = self.rng.choice(self.tickers)
            self.records.append((self.first + len(self.records), ticker))
        end = self.first + len(self.records)
        while self.committed < end:
            last = self.rng.randint(self.committed + 1, end)
            batch = [one for one in self.records if self.committed <= one[0] < last]
            pushing.push(self._event(batch), now_ms=time.time_ns() // 10**6, until_s=1e12)
            if self.rng.random() < self.again:
                self.repeated.update(offset for offset, _ in batch)
            else:
                self.committed = last

    def _event(self, batch):
        name = f"{self.source.topic}-{self.source.partition}"
        return {"records": {name: [_record(*one) for one in batch]}}


def _record(offset, ticker):
    value = (
        f'{{"type":"price_update","symbol":"{ticker}","price":{offset},"volume":null,'
        f'"timestamp":"t","source":"binance","rates":["1s"]}}'
    )
    return {
        "offset": offset,
        "timestamp": time.time_ns() // 10**6,
        "key": b64encode(f"binance:{ticker}".encode()).decode(),
        "value": b64encode(value.encode()).decode(),
    }


class Reader:
    """A client that comes back several times, each time from where it was."""

    def __init__(self, number, names, world):
        self.number, self.names, self.world = number, names, world
        self.begins = {}
        self.place = {}
        self.got = defaultdict(list)
        self.doubled = defaultdict(set)

    def run(self, times, pause):
        for life in range(times):
            self.connection = f"reader-{self.number}-{life}-{time.monotonic_ns()}="
            self.world.connections.open(
                self.connection,
                key_id="",
                stage="stream",
                connected_ms=time.time_ns() // 10**6,
            )
            given = None if life == 0 else tuple(map(str, self.place.values()))
            message = Subscribe(self.names, resume=True, from_=given)
            self.world.subscribing.subscribe(self.connection, message, 0)
            if life < times - 1:
                pause(lambda: len(self.world.posts.received[self.connection]) > 3)
                self.leave()

    def leave(self):
        """What was received until now is all that this connection gets."""
        self.world.posts.leave(self.connection)
        told, *updates = self.world.posts.received[self.connection]
        if not self.begins:
            cursors = map(parse_cursor, told["cursors"])
            self.begins = {one.source: one.offset for one in cursors}
            self.place = {one.source: one for one in map(parse_cursor, told["cursors"])}
        else:
            assert told["recovered"] is True
        for update in updates:
            cursor = parse_cursor(update["cursor"])
            assert update["price"] == cursor.offset
            known = self.place.get(cursor.source)
            if known and cursor.offset <= known.offset:
                self.doubled[cursor.source].add(cursor.offset)
                continue
            self.place[cursor.source] = cursor
            self.got[cursor.source].append((cursor.offset, update["symbol"]))


class PlainReader:
    """A client of the document: it says nothing of cursors, and begins anew each time.

    It knows the place of an update by its price.
    """

    def __init__(self, number, names, world):
        self.number, self.names, self.world = number, names, world
        self.lives = []

    def run(self, times, pause):
        for life in range(times):
            connection = f"plain-{self.number}-{life}-{time.monotonic_ns()}="
            self.world.connections.open(
                connection, key_id="", stage="stream", connected_ms=time.time_ns() // 10**6
            )
            before = self.world.places()
            self.world.subscribing.subscribe(connection, Subscribe(self.names), 0)
            if life == 0:  # once more changes nothing, however it meets the push
                self.world.subscribing.subscribe(connection, Subscribe(self.names), 0)
            pause(lambda one=connection: len(self.world.posts.received[one]) > 5)
            self.world.posts.leave(connection)
            self.lives.append((connection, before))

    def check(self, tapes, seed):
        for connection, before in self.lives:
            told, *updates = self.world.posts.received[connection]
            assert set(told) == {"type", "symbols", "timestamp"}
            updates = [one for one in updates if one["type"] == "price_update"]
            for tape in tapes:
                offsets = [one["price"] for one in updates if one["symbol"] in tape.tickers]
                if not offsets:
                    continue
                once = sorted(set(offsets))
                wanted = [
                    offset
                    for offset, ticker in tape.records
                    if ticker in self.names and once[0] <= offset <= once[-1]
                ]
                assert once == wanted, f"seed {seed}, plain {self.number}"
                assert offsets[0] == once[0] >= before.get(tape.source, 0), f"seed {seed}"
                came = self.world.told[connection].get(tape.source, 0)
                missed = [
                    offset
                    for offset, ticker in tape.records
                    if ticker in self.names and came <= offset < once[0]
                ]
                assert missed == [], f"seed {seed}, plain {self.number}"
                again = {one for one in once if offsets.count(one) > 1}
                assert again <= tape.repeated, f"seed {seed}, plain {self.number}"
                assert list(dict.fromkeys(offsets)) == once, f"seed {seed}"


class World:
    """Tables, posts, the push, and how readers subscribe."""

    def __init__(self, database, variables, most_listeners):
        self.connections = ConnectionsTable(database, variables["CONNECTIONS_TABLE"])
        self.ring = RingTable(database, variables["RING_TABLE"])
        self.posts = Posts()
        self.told = {}
        self.posts.on_told = lambda one: self.told.setdefault(one, self.places())
        self.workers = ThreadPoolExecutor(8)
        subscriptions = SubscriptionsTable(database, self.connections)
        registrations = RegistrationsTable(database, variables["CONNECTIONS_TABLE"])
        self.pushing = Pushing(
            ringing=Ringing(self.ring, TOPICS, 300),
            connections=self.connections,
            audiences=Audiences(
                ListenersTable(
                    database, variables["CONNECTIONS_TABLE"], most_items=most_listeners
                ),
                subscriptions,
                registrations,
                self.workers,
            ),
            posts=lambda _stage: self.posts,
            workers=self.workers,
            slow=SlowConnections(),
            clock=time.monotonic,
        )
        reserving = Reserving(self.connections, subscriptions)
        self.subscribing = Subscribing(
            stage="stream",
            listings=ListingsTable(database, variables["INSTRUMENTS_TABLE"]),
            reserving=reserving,
            resuming=Resuming(self.ring, TOPICS, reserving, self.posts, 100_000),
            posts=self.posts,
            rate_all=False,
        )

    def places(self):
        """Where the heads stand now."""
        sources = {source_of("ticks", f"binance:{ticker}".encode()) for ticker in TICKERS}
        return {at: head.next for at, head in self.ring.heads(sources).items()}

    def tapes(self, rng, again):
        tickers = defaultdict(list)
        for ticker in TICKERS:
            tickers[source_of("ticks", f"binance:{ticker}".encode())].append(ticker)
        assert len(tickers) > 1
        heads = self.ring.heads(tickers)
        made = [
            Tape(
                at,
                own,
                heads[at].next if at in heads else 1,
                random.Random(rng.random()),
                again,
            )
            for at, own in tickers.items()
        ]
        for tape in made:
            tape.deliver(self.pushing)
        return made


@pytest.fixture
def world(request, database, table_variables):
    for ticker in TICKERS:
        item = {
            "pk": {"S": f"NAME#{ticker}"},
            "sk": {"S": "binance"},
            **{name: {"S": ticker} for name in ("symbol", "ticker", "base")},
            "exchange": {"S": "binance"},
        }
        database.put_item(TableName=table_variables["INSTRUMENTS_TABLE"], Item=item)
    world = World(database, table_variables, request.param)
    yield world
    world.workers.shutdown()


@pytest.mark.parametrize(
    ("world", "readers", "lives", "again"),
    [
        pytest.param(MOST_ITEMS, 5, 3, 0.0, id="all-at-once"),
        pytest.param(1, 5, 3, 0.3, id="name-by-name"),
        pytest.param(MOST_ITEMS, 60, 6, 0.3, marks=pytest.mark.soak, id="60-readers"),
    ],
    indirect=["world"],
)
def test_nothing_is_lost_nothing_comes_twice_and_all_in_order(
    world, wait_until, readers, lives, again
):
    """Readers come and go while batches are pushed, some again and cut otherwise.

    What a batch that is delivered again brings twice is known by its cursor. Those who do not
    resume have everything from `subscribed` on.
    """
    seed = int(os.environ.get("TAPEDECK_SEED", time.time_ns() % 10**9))
    print(f"seed {seed}: TAPEDECK_SEED={seed} pytest {__file__}")  # noqa: T201
    rng = random.Random(seed)
    tapes = world.tapes(rng, again)
    everybody = [
        Reader(number, tuple(rng.sample(TICKERS, rng.randint(1, 4))), world)
        for number in range(readers)
    ]
    plain = [
        PlainReader(number, tuple(rng.sample(TICKERS, rng.randint(1, 4))), world)
        for number in range(readers)
    ]
    stop = threading.Event()

    def push(tape):
        while not stop.is_set():
            tape.deliver(world.pushing)

    def pause(enough):
        wait_until(enough, 60, "updates for a reader")

    with ThreadPoolExecutor(len(tapes) + 2 * readers) as threads:
        pushers = [threads.submit(push, tape) for tape in tapes]
        done = [threads.submit(one.run, lives, pause) for one in (*everybody, *plain)]
        try:
            for one in done:
                one.result(240)
        finally:
            stop.set()
        for one in pushers:
            one.result(60)
    for reader in plain:
        reader.check(tapes, seed)
    for reader in everybody:
        reader.leave()
        for tape in tapes:
            begin = reader.begins.get(tape.source)
            wanted = [
                one
                for one in tape.records
                if begin and one[0] > begin and one[1] in reader.names
            ]
            assert reader.got[tape.source] == wanted, f"seed {seed}, reader {reader.number}"
            assert reader.doubled[tape.source] <= tape.repeated, f"seed {seed}"
