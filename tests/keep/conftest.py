"""Real keeper processes beside the real gateway, tables and, where values flow, Kafka."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from container_worker import kafka as kafka_port
from container_worker.keep import lease
from container_worker.settings import KafkaSettings
from marketdata import connection_items, topics

NOWHERE = "127.0.0.1:1"
FAST = {
    "KEEP_PERIOD_S": "0.1",
    "KEEP_REGISTER_S": "3600",
    "KEEP_TAKEOVER_S": "1",
    "KEEP_TOUCH_S": "0",
}


def _load(path):
    spec = importlib.util.spec_from_file_location(f"keep_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


_tests = Path(__file__).parents[1]
_gateway = _load(_tests / "gateway/conftest.py")
function_tables = _load(_tests / "function_tables.py")
cuttable_link = _load(Path(__file__).with_name("cuttable_link.py"))
tables = _gateway.tables
start_gateway = _gateway.start_gateway
shared_gateway = _gateway.shared_gateway


@dataclass
class Keeper:
    """A running keeper process."""

    process: subprocess.Popen
    log: Path

    def said(self, event):
        """Its log lines of one event."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [one for one in map(json.loads, lines) if one["event"] == event]

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(15)


@dataclass
class Items:
    """What the tests write and read in the tables, in the form of the functions."""

    client: object
    variables: dict

    @property
    def table(self):
        return self.variables["CONNECTIONS_TABLE"]

    def put(self, pk, sk, **attributes):
        item = {"pk": {"S": pk}, "sk": {"S": sk}, **attributes}
        self.client.put_item(TableName=self.table, Item=item)

    def connection(self, stage, connection_id, age_s=0.0, names=(), **more):
        """Says of a connection what the test needs; it is `age_s` old."""
        now_ms = round((time.time() - age_s) * 1000)
        shard = connection_items.shard_of(connection_id)
        self.put(
            connection_items.connections_pk(stage, shard),
            connection_id,
            stage={"S": stage},
            connected_ms={"N": str(now_ms)},
            exp={"N": str(now_ms // 1000 + 7500)},
            rev={"N": "0"},
            symbols={"M": {name: {"N": "1"} for name in names}},
            **more,
        )

    def subscription(self, stage, connection_id, feed, name, **more):
        shard = connection_items.shard_of(connection_id)
        pk = connection_items.subscriptions_pk(feed, name, shard)
        self.put(pk, connection_id, stage={"S": stage}, exp=self.later(), **more)

    def late(self, stage, connection_id, feed, name, **more):
        sk = connection_items.late_sk(connection_id, feed, name)
        self.put(connection_items.LATE, sk, stage={"S": stage}, exp=self.later(), **more)

    def await_sweeps(self, wait_until, number):
        """Waits until a keeper has swept so many times more; it may have no lease yet."""

        def swept():
            found = self.client.get_item(TableName=self.table, Key=lease.KEY).get("Item")
            return int(found["renewals"]["N"]) if found else 0  # emptied after a test

        begun = wait_until(swept, 10, "a sweep")
        wait_until(lambda: swept() >= begun + number, 10, f"{number} sweeps")

    def later(self):
        return {"N": str(int(time.time()) + 300)}

    def of(self, connection_id):
        """The sort keys and partitions of everything that belongs to a connection."""
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.table, ConsistentRead=True
        )
        items = [item for page in pages for item in page["Items"]]
        places = [(item["pk"]["S"], item["sk"]["S"]) for item in items]
        return sorted(pk for pk, sk in places if sk.partition("#")[0] == connection_id)


class Clients:
    """The session's gateway, and which of its clients are connected."""

    def __init__(self, gateway):
        self._gateway = gateway

    def __getattr__(self, name):
        return getattr(self._gateway, name)

    def has(self, client):
        return client.id in {one["id"] for one in self._gateway.connections()}

    def forget_faults(self):
        requests.delete(f"{self.api}/_control/faults", timeout=10).raise_for_status()


@pytest.fixture
def gateway(shared_gateway, tables, wait_until):
    """The session's gateway; each test's clients, faults and items are gone after it."""
    yield Clients(shared_gateway)
    shared_gateway.forget_clients()
    wait_until(lambda: not shared_gateway.connections(), 10, "the clients' leaving")
    function_tables.empty_connections(tables)


@pytest.fixture(scope="session")
def items(tables):
    client = function_tables.client_of(tables["AWS_ENDPOINT_URL_DYNAMODB"])
    return Items(client, tables)


@contextlib.contextmanager
def keepers(gateway, tables, folder):
    """`start(**variables)`: a keeper process, without Kafka unless told; all end with it."""
    started = []

    def start(**variables):
        log = folder / f"keeper-{len(started)}.log"
        urls = {
            f"CALLBACK_URL_{stage.upper()}": f"{gateway.api}/_management/{stage}"
            for stage in connection_items.STAGES
        }
        nowhere = {"KAFKA_BOOTSTRAP_SERVERS": NOWHERE}
        environment = {**os.environ, **tables, **urls, **nowhere, **FAST, **variables}
        command = [sys.executable, "-m", "container_worker", "keep"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stderr=output)
        started.append(Keeper(process, log))
        return started[-1]

    try:
        yield start
    finally:
        for keeper in started:
            keeper.end(signal.SIGKILL)


@pytest.fixture
def start_keeper(gateway, tables, tmp_path):
    """`start_keeper(**variables)`: a keeper of this test."""
    with keepers(gateway, tables, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_keeper(shared_gateway, tables, tmp_path_factory):
    """The same for a keeper of all tests of a file."""
    folder = tmp_path_factory.mktemp("keeper")
    with keepers(shared_gateway, tables, folder) as start:
        yield start


@pytest.fixture
def link(tables):
    """A way to the database that can be cut."""
    with cuttable_link.Link(tables["AWS_ENDPOINT_URL_DYNAMODB"]) as made:
        yield made


@pytest.fixture(scope="session")
def broker(kafka):
    """The session's broker, with the topics that go to clients."""
    settings = KafkaSettings(bootstrap_servers=kafka)
    pushed = (topics.TICKS, topics.PRICES, topics.CANDLES, topics.DEPTH, topics.EVENTS)
    kafka_port.create_missing(settings, pushed)
    return settings


@dataclass
class Produce:
    """`produce(*records)`: acknowledged when it returns."""

    kafka: KafkaSettings
    producer: kafka_port.Producer
    wait_until: object

    def __call__(self, *records):
        assert all(self.producer.send(record) for record in records)
        assert self.producer.flush(10) == 0

    def until(self, record, condition):
        """The record again and again until the condition holds; None waits only."""
        self.wait_until(lambda: (record and self(record)) or condition(), 30, "the condition")


@pytest.fixture
def produce(broker, wait_until):
    return Produce(broker, kafka_port.Producer(broker), wait_until)


@pytest.fixture
def ticker():
    """A ticker that no other test has."""
    return f"K{uuid.uuid4().hex[:8].upper()}USDT"
