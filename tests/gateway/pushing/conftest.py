"""The function `push` joined to a real gateway: real tables, poster, sockets and clients."""

import base64
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config

from functions.connections import ConnectionsTable
from functions.event_loop import LoopThread
from functions.gateway import ManagementApi
from functions.listeners import ListenersTable
from functions.logic.audience import Audiences
from functions.logic.pushing import Pushing, Ringing
from functions.logic.slow_connections import SlowConnections
from functions.posting import ClientPosts
from functions.registrations import RegistrationsTable
from functions.ring import RingTable
from functions.signing import Credentials
from functions.subscriptions import SubscriptionsTable
from marketdata.partitions import source_of

FOR_EVER = float("inf")
RING_TOPICS = frozenset({"ticks", "candles", "depth", "events"})


def now_ms():
    return time.time_ns() // 1_000_000


def event(*records, topic="ticks"):
    """The records by partition; what has no key that could be read is in the first."""
    found = {}
    for one in records:
        found.setdefault(f"{topic}-{partition_of(one, topic)}", []).append(one)
    return {"eventSource": "aws:kafka", "records": found}


def partition_of(record, topic):
    key = record.get("key") if isinstance(record, dict) else None
    known = isinstance(key, str) and b":" in base64.b64decode(key)
    return source_of(topic, base64.b64decode(key)).partition if known else 0


class Pusher:
    """The logic of the function `push`, joined to the gateway of the test."""

    offsets = itertools.count()

    def __init__(self, endpoint, tables, table_endpoint=None, parallel=128):
        client = boto3.client(
            "dynamodb",
            endpoint_url=table_endpoint or tables["AWS_ENDPOINT_URL_DYNAMODB"],
            config=Config(
                max_pool_connections=32, connect_timeout=1, retries={"total_max_attempts": 1}
            ),
        )
        api = ManagementApi(
            endpoint,
            region="us-east-1",
            credentials=lambda: Credentials("local", "secret"),
            parallel=parallel,
        )
        self.loop = LoopThread()
        self.posts = ClientPosts(api, self.loop)
        self.workers = ThreadPoolExecutor(8)
        connections = ConnectionsTable(client, tables["CONNECTIONS_TABLE"])
        registrations = RegistrationsTable(client, tables["CONNECTIONS_TABLE"])
        self.pushing = Pushing(
            ringing=Ringing(RingTable(client, tables["RING_TABLE"]), RING_TOPICS, 300),
            connections=connections,
            audiences=Audiences(
                ListenersTable(client, tables["CONNECTIONS_TABLE"]),
                SubscriptionsTable(client, connections),
                registrations,
                self.workers,
            ),
            posts=lambda _stage: self.posts,
            workers=self.workers,
            slow=SlowConnections(),
            clock=time.monotonic,
        )

    def tick(self, price, ticker="BTCUSDT", *, rates='["1s"]', age_ms=0):
        symbol = f"{ticker.removesuffix('USDT')}/USDT"
        value = (
            f'{{"type":"price_update","symbol":"{symbol}","price":{price},"volume":null,'
            f'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance","rates":{rates}}}'
        )
        return self.record(f"binance:{ticker}".encode(), value.encode(), age_ms=age_ms)

    def record(self, key, value, *, age_ms=0):
        return {
            "topic": "ticks",
            "partition": 0,
            "offset": next(self.offsets),
            "timestamp": now_ms() - age_ms,
            "timestampType": "LOG_APPEND_TIME",
            "headers": [],
            "key": base64.b64encode(key).decode(),
            "value": base64.b64encode(value).decode(),
        }

    def prices(self, client, count):
        """The next prices that a client receives."""
        return [client.receive()["price"] for _ in range(count)]

    def push(self, *records, topic="ticks", later_ms=0, until_s=FOR_EVER):
        return self.pushing.push(
            event(*records, topic=topic), now_ms=now_ms() + later_ms, until_s=until_s
        )

    def close(self):
        self.posts.close()
        self.loop.stop()
        self.workers.shutdown()


@pytest.fixture
def make_pusher(gateway, tables):
    """`make_pusher(endpoint, table_endpoint)`: one that posts and reads where it is told."""
    made = []

    def make(endpoint=f"{gateway.api}/_management/stream", table_endpoint=None, **more):
        made.append(Pusher(endpoint, tables, table_endpoint, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def pusher(make_pusher):
    return make_pusher()


@pytest.fixture
def late_items(tables):
    """What the keeper is to deliver (rule 22)."""
    client = boto3.client("dynamodb", endpoint_url=tables["AWS_ENDPOINT_URL_DYNAMODB"])

    def read():
        return client.query(
            TableName=tables["CONNECTIONS_TABLE"],
            ConsistentRead=True,
            KeyConditionExpression="pk = :late",
            ExpressionAttributeValues={":late": {"S": "LATE"}},
        )["Items"]

    return read


@pytest.fixture
def subscriber(gateway, held, wait_until):
    """`subscriber(*names, **members)`: a new client that is served these names."""

    def make(*names, **members):
        client = gateway.connect()
        told = client.ask({"type": "subscribe", "symbols": names, **members})
        assert told["type"] == "subscribed"
        wait_until(lambda: set(held(client.id).served) == set(names), 5, "the subscription")
        return client

    return make
