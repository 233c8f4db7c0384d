"""A connection on real tables: its subscribes, what it is told and what it is served."""

import itertools
import json
import time

import pytest

from functions.candles import CandlesTable
from functions.connections import ConnectionsTable
from functions.gateway import Delivery, Outcome
from functions.listings import ListingsTable
from functions.logic.bare_candles import BareCandles
from functions.logic.reserving import Reserving
from functions.logic.resuming import Resuming
from functions.logic.subscribing import Subscribing, end_subscriptions
from functions.ring import RingRecord, RingTable
from functions.subscriptions import Shard, SubscriptionsTable
from marketdata.client_protocol import Subscribe, Unsubscribe
from marketdata.connection_items import shard_of
from marketdata.subscriptions import CHANNEL_FEEDS

NOW_MS = 4_000_000_000_000  # DynamoDB removes what has expired by its own clock
NAMES = [f"C{number}/USDT" for number in range(10)]
RING_TOPICS = frozenset({"ticks", "candles", "depth"})


class Client:
    """One connection of the stage `stream`; `outcome` is what its posts are answered by."""

    counter = itertools.count()

    def __init__(self, database, variables, talk_of, *, rate_all=True, most=1000):
        self.id = f"client-{next(Client.counter)}-{time.monotonic_ns()}="
        self.stage = "stream"
        self.talk = talk_of(self.stage)
        self.outcome = Outcome.SENT
        self.told = []
        self.when_told = lambda: None
        self.table = ConnectionsTable(database, variables["CONNECTIONS_TABLE"])
        self.subscriptions = SubscriptionsTable(database, self.table)
        self.ring = RingTable(database, variables["RING_TABLE"])
        self.candles = CandlesTable(database, variables["CANDLES_TABLE"])
        self.reserving = Reserving(self.table, self.subscriptions)
        shared = {
            "stage": self.stage,
            "listings": ListingsTable(database, variables["INSTRUMENTS_TABLE"]),
            "reserving": self.reserving,
            "resuming": Resuming(self.ring, RING_TOPICS, self.reserving, self, most),
            "posts": self,
        }
        self.subscribing = Subscribing(**shared, rate_all=rate_all)
        self.bare = BareCandles(**shared, candles=self.candles, order=("coinbase", "binance"))
        self.open()

    def open(self):
        self.table.open(self.id, key_id="key-1", stage=self.stage, connected_ms=NOW_MS)

    def post(self, connection_id, text):
        return self.post_many({connection_id: [text]})[connection_id].last

    def post_many(self, messages, *, until_s=0.0):
        assert list(messages) == [self.id]
        for text in messages[self.id]:
            self.talk.received(text.decode())
            self.told.append(json.loads(text))
            self.when_told()
        sent = len(messages[self.id]) if self.outcome is Outcome.SENT else 0
        return {self.id: Delivery(sent=sent, last=self.outcome)}

    def subscribe(self, *names, **members):
        message = Subscribe(names, **members)
        given = [name.rstrip("_") for name in members]
        self.subscribing.subscribe(self.id, message, NOW_MS, given)
        return [one for one in self.told if one.get("type") == "subscribed"][-1]

    def unsubscribe(self, *names, channels=None):
        message = Unsubscribe(names or None, channels)
        text = end_subscriptions(self.reserving, self.stage, self.id, message, NOW_MS)
        return json.loads(text)["symbols"]

    def forget(self, seen=()):
        self.table.forget(self.stage, self.id, seen)

    def reserved(self):
        found = self.table.get(self.stage, self.id)
        return None if found is None else sorted(found.names)

    def wanted(self):
        """The feeds that each name is reserved for."""
        wants = self.table.get(self.stage, self.id).wants
        return {name: [one.feed for one in own] for name, own in wants.items()}

    def items(self, name):
        """What is served of a name, by feed, as the push finds it."""
        return {
            feed: one
            for feed in CHANNEL_FEEDS
            for one in self.subscriptions.subscribers(
                Shard(feed, name, shard_of(self.id)), NOW_MS // 1000
            )
            if one.connection_id == self.id
        }

    def served(self, names=NAMES):
        found = self.subscriptions.served(self, names)
        return sorted({name for name, _ in found})


class Feed:
    """Writes to the ring as the push does; offsets go on over all tests of a session."""

    offsets = itertools.count(1)

    def __init__(self, ring):
        self.ring = ring

    def put(self, source, key, *values, topic_id=None, keep=True):
        first = next(Feed.offsets) if source not in self.ring.heads([source]) else None
        first = self.ring.heads([source])[source].next if first is None else first
        records = [
            RingRecord(first + number, key, value, NOW_MS, {"type": "ws_trades"})
            for number, value in enumerate(values)
        ]
        topic_id = topic_id or source.topic
        if keep:
            self.ring.append(source, topic_id, first, first + len(values), records, 2**33)
        self.ring.advance(source, topic_id, first + len(values))
        return [f"{source.topic}:{topic_id}:{source.partition}:{one.offset}" for one in records]


@pytest.fixture
def new_client(database, table_variables, protocol_schema):
    """`new_client(…)`: a further connection, held to what its stage may be told."""
    return lambda **more: Client(database, table_variables, protocol_schema.Talk, **more)


@pytest.fixture
def client(new_client):
    return new_client()


@pytest.fixture
def feed(client):
    return Feed(client.ring)
