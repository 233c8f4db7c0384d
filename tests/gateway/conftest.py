"""A real gateway process on real tables, and clients that speak to it over real sockets."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
import requests
import websocket
from botocore.config import Config

from local.ports import answers, free_ports

START_S = 15


def _load(name):
    path = Path(__file__).parents[1] / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


function_tables = _load("function_tables")
protocol_schema = _load("protocol_schema")


@dataclass
class Connected:
    """A client of the gateway; `id` is its connection id, `talk` what it says and hears."""

    socket: websocket.WebSocket
    id: str
    talk: object

    def send(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        self.talk.sent(text)
        self.socket.send(text)

    def receive(self, seconds=10, *, ours=True):
        """The next message; one that is not `ours` was posted by a test and may be anything."""
        self.socket.settimeout(seconds)
        text = self.socket.recv()
        if text and ours:  # empty when the server closed the connection
            self.talk.received(text)
        return json.loads(text)

    def ask(self, message):
        self.send(message)
        return self.receive()

    def is_silent(self):
        """Whether nothing is on its way: a ping's pong is the next thing that comes."""
        return self.ask({"type": "ping"})["type"] == "pong"


@dataclass
class Gateway:
    """A running gateway process."""

    process: subprocess.Popen
    api: str
    stream: str
    ws: str
    candles: str
    log: Path
    key: str = function_tables.KEY
    clients: list = field(default_factory=list)

    def connect(self, **options):
        options = {"header": [f"Authorization: Bearer {self.key}"], **options}
        known = {one["id"] for one in self.connections()}
        url = options.pop("url", f"ws://{self.stream}/stream")
        socket = websocket.create_connection(url, timeout=10, **options)
        self.clients.append(socket)
        [new] = [one["id"] for one in self.connections() if one["id"] not in known]
        talk = protocol_schema.Talk(protocol_schema.channel_of(url))
        return Connected(socket, new, talk)

    def connections(self):
        return requests.get(f"{self.api}/_control/connections", timeout=10).json()[
            "connections"
        ]

    def fault(self, kind, **more):
        answer = requests.post(
            f"{self.api}/_control/faults", json={"kind": kind, **more}, timeout=10
        )
        answer.raise_for_status()
        return answer.json()

    def faults(self):
        return requests.get(f"{self.api}/_control/faults", timeout=10).json()["faults"]

    def management(self, read_timeout=5):
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=f"{self.api}/_management/stream",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout),
        )

    def post(self, connection_id, data):
        return self.management().post_to_connection(ConnectionId=connection_id, Data=data)

    def close_clients(self):
        for socket in self.clients:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                socket.shutdown()
        self.clients.clear()

    def forget_clients(self):
        self.close_clients()
        requests.delete(f"{self.api}/_control/faults", timeout=10)


@pytest.fixture(scope="session")
def tables(dynamodb):
    """The functions' variables for tables of these tests' own."""
    return function_tables.create(dynamodb)


@pytest.fixture(scope="session")
def start_gateway(tables, tmp_path_factory, wait_until):
    """`start_gateway(*options)`: a context manager that runs a gateway process."""

    @contextlib.contextmanager
    def start(*options, **variables):
        api, stream, candles = free_ports(3)
        log = tmp_path_factory.mktemp("gateway") / "log"
        command = [sys.executable, "-m", "local.gateway", "--host", "127.0.0.1"]
        command += ["--api-port", str(api), "--stream-port", str(stream)]
        command += ["--candles-port", str(candles), *options]
        environment = {
            **os.environ,
            **tables,
            "CALLBACK_URL_STREAM": f"http://127.0.0.1:{api}/_management/stream",
            "CALLBACK_URL_WS": f"http://127.0.0.1:{api}/_management/ws",
            "CALLBACK_URL_CANDLES": f"http://127.0.0.1:{api}/_management/candles",
            "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{api}/_lambda",
            **variables,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stderr=output, stdout=output)
        gateway = Gateway(
            process,
            api=f"http://127.0.0.1:{api}",
            stream=f"127.0.0.1:{stream}",
            ws=f"ws://127.0.0.1:{api}/ws",
            candles=f"ws://127.0.0.1:{candles}/",
            log=log,
        )
        try:
            wait_until(
                lambda: process.poll() is not None or (answers(api) and answers(stream)),
                START_S,
                "the gateway's start",
            )
            assert process.poll() is None, log.read_text()
            yield gateway
        finally:
            gateway.close_clients()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(10)

    return start


@pytest.fixture(scope="session")
def shared_gateway(start_gateway):
    with start_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway, tables, wait_until):
    """The session's gateway; each test's clients and faults are gone after it."""
    yield shared_gateway
    shared_gateway.forget_clients()
    wait_until(lambda: not shared_gateway.connections(), 10, "the clients' leaving")
    function_tables.empty_connections(tables)
    function_tables.empty_ring(tables)


@pytest.fixture
def client(gateway):
    """A connected client."""
    return gateway.connect()


@dataclass
class Held:
    """What the tables hold of a connection; `reserved` is None when it is not known."""

    reserved: list | None
    served: list


@pytest.fixture(scope="session")
def held(tables):
    """`held(connection_id)`: what the tables hold of it now."""
    database = function_tables.client_of(tables["AWS_ENDPOINT_URL_DYNAMODB"])

    def read(connection_id):
        pages = database.get_paginator("scan").paginate(
            TableName=tables["CONNECTIONS_TABLE"], ConsistentRead=True
        )
        found = Held(None, [])
        for item in (item for page in pages for item in page["Items"]):
            kind, *rest = item["pk"]["S"].split("#")
            if item["sk"]["S"] != connection_id:
                continue
            if kind == "CONN":
                found.reserved = sorted(item["symbols"]["M"])
            elif kind == "SUB":
                found.served.append(rest[1])
        found.served.sort()
        return found

    return read


@pytest.fixture
def subscriber(gateway, held, wait_until):
    """`subscriber(*names)`: a new client that is served these names."""

    def make(*names):
        client = gateway.connect()
        assert client.ask({"type": "subscribe", "symbols": names})["type"] == "subscribed"
        wait_until(lambda: held(client.id).served == sorted(names), 5, "the subscription")
        return client

    return make


@pytest.fixture
def free_port():
    """A port that nobody listens on."""
    return free_ports(1)[0]
