"""A client on real tables, and the topic `events` as far as the ring goes."""

import itertools
import json
import time
import uuid

import pytest

from functions import push, register
from functions.logic.matching import due, offers
from functions.ring import RingRecord
from functions.settings import settings
from functions.tables import connections_table, registrations_table, ring_table
from marketdata.connection_items import shard_of
from marketdata.ring_items import Source
from marketdata.topics import TOPICS


class Feed:
    """Fills the ring as the push does."""

    def __init__(self):
        self.next = itertools.count(1)
        self.sent = []

    def event(self, kind="transfer", partition=0, *, has_expired=False):
        """One more event in a partition's ring; returns its id."""
        source = Source("events", partition)
        head = ring_table().heads([source]).get(source)
        offset = head.next if head else 0
        record = RingRecord(offset, b"stellar:events", value_of(kind, next(self.next)), 0, {})
        exp_s = int(time.time()) + (-1 if has_expired else 60)
        ring_table().append(source, "events", offset, offset + 1, [record], exp_s)
        ring_table().advance(source, "events", offset + 1)
        self.sent.append((source, record))
        return json.loads(record.value)["id"]

    def pushed(self, client):
        """The ids that the push would send a client now of everything in the feed."""
        shard = shard_of(client.id)
        found = registrations_table().of_feed("events", shard, int(time.time()))
        own = [one for one in found if one.connection_id == client.id]
        return [
            json.loads(text)["id"]
            for one in own
            for source, record in self.sent
            for _, text in due(one, offers(source, "events", [record]))
        ]


def value_of(kind, number):
    members = {
        "type": "contract_event",
        "ledger": number,
        "transaction_hash": "",
        "contract_id": "C",
        "topics": [{"symbol": kind}],
        "data": {"i128": "10000000"},
        "id": f"{number:019d}-0000000000",
        "timestamp": "2026-01-01T00:00:00Z",
        "event_type": "contract",
        "transaction_index": 0,
        "operation_index": 0,
        "in_successful_call": True,
    }
    return json.dumps(members).encode()


class Client:
    """A connection that `$connect` has let in, and what it was sent."""

    def __init__(self, server, stage):
        self.id = uuid.uuid4().hex
        self.stage = stage
        self.failed = 0
        self._server = server
        heads = ring_table().heads(
            Source(topic, partition)
            for topic in settings().ring_topics
            for partition in range(TOPICS[topic].partitions)
        )
        self.start = {source: head.next for source, head in heads.items()}
        connections_table().open(
            self.id,
            key_id="",
            stage=stage,
            connected_ms=time.time_ns() // 1_000_000,
            start=self.start if stage == "ws" else None,
        )

    def register(self, **members):
        """Send a `register` of these members; the function's response."""
        context = {
            "eventType": "MESSAGE",
            "stage": self.stage,
            "connectionId": self.id,
            "connectedAt": time.time_ns() // 1_000_000,
        }
        body = json.dumps({"type": "register", **members})
        return register.handler({"requestContext": context, "body": body}, None)

    @property
    def got(self):
        return [json.loads(text) for text in self._server.texts(self.id)]

    @property
    def types(self):
        return [message["type"] for message in self.got]

    @property
    def ids(self):
        return [one["id"] for one in self.got if one["type"] == "contract_event"]


@pytest.fixture
def feed(functions):
    """The topic `events`; one for each test, in the same ring."""
    return Feed()


@pytest.fixture(name="value_of")
def value_of_fixture():
    """`value_of(kind, number)`: a record of the topic, its first topic `kind`."""
    return value_of


@pytest.fixture
def connect(functions):
    """Connects a client, as `$connect` does, to a server; it is forgotten in the end."""
    push._pushing.cache_clear()
    clients = []

    def one(stage="ws", server=functions, *, forgets=True):
        client = Client(server, stage)
        clients.extend([client] * forgets)
        return client

    yield one
    for client in clients:
        connections_table().forget(client.stage, client.id)
