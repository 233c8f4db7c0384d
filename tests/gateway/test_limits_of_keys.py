"""Keys at a running gateway: who gets in, how many, how often; and no key in any log."""

import contextlib
import json
import signal
import socket as sockets
import subprocess
import sys

import boto3
import pytest
import requests
import websocket

from marketdata.api_keys import StoredKey, key_hash, key_item

pytestmark = pytest.mark.services

HOLD = """
import sys, websocket
held = [websocket.create_connection(sys.argv[1]) for _ in range(int(sys.argv[2]))]
print("held", flush=True)
sys.stdin.read()
"""

UPGRADES = ("?api_key=KEY&api_key=KEY&KEY=KEY", "/KEY", "?api_key=KEY%ff", "?API_KEY=KEY")
MESSAGES = (
    "KEY",
    '{"type":"KEY"}',
    '{"type":"subscribe","symbols":["KEY"]}',
    '{"type":"register","filters":{"KEY":1}}',
    "subscribe,KEY",
)
TORN = (
    "GET /stream?api_key=KEY HTTP/9.9\r\n\r\n",
    "GET /stream?api_key=KEY\r\n\r\n",
    "KEY /stream HTTP/1.1\r\n\r\n",
    "GET /stream HTTP/1.1\r\nAuthorization Bearer KEY\r\n\r\n",
    "GET /stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\x00\r\n\r\n",
    f"GET /stream?api_key={'KEY' * 4000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
)
"""What may go wrong with a key in it; KEY stands for it."""


@pytest.fixture(scope="module")
def database(tables):
    return boto3.client("dynamodb", endpoint_url=tables["AWS_ENDPOINT_URL_DYNAMODB"])


@pytest.fixture
def own_key(tables, database, request):
    """`own_key(**limits)`: a new key of this test's own."""

    def make(**limits):
        name = request.node.name
        stored = StoredKey(**{"id": name, "name": name, "scope": "read", **limits})
        secret = f"secret-of-{name}"
        item = key_item(key_hash(secret), stored)
        database.put_item(TableName=tables["KEYS_TABLE"], Item=item)
        return secret

    return make


@pytest.fixture
def age(tables, database, request):
    """`age(seconds)`: makes the slots of the test's key so much older."""

    def older(seconds):
        pk = {":pk": {"S": f"SLOT#{request.node.name}"}}
        table = tables["LIMITS_TABLE"]
        found = database.query(
            TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=pk
        )["Items"]
        for item in found:
            since = int(item["since_ms"]["N"]) - seconds * 1000
            database.put_item(TableName=table, Item={**item, "since_ms": {"N": str(since)}})
        return len(found)

    return older


def refusal(gateway, **options):
    """The status and the error message of an upgrade that is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        gateway.connect(header=[], **options)
    headers = {name.lower(): value for name, value in refused.value.resp_headers.items()}
    assert headers["content-type"].startswith("application/json")
    return refused.value.status_code, json.loads(refused.value.resp_body)


def url(gateway, key):
    return f"ws://{gateway.stream}/stream?api_key={key}"


def can_connect(gateway, key):
    with contextlib.suppress(websocket.WebSocketBadStatusException):
        return gateway.connect(url=url(gateway, key), header=[])
    return None


def test_the_eleventh_connection_is_429_until_one_of_the_ten_is_closed(
    gateway, own_key, wait_until
):
    key = own_key()
    clients = [gateway.connect(url=url(gateway, key), header=[]) for _ in range(10)]
    status, error = refusal(gateway, url=url(gateway, key))
    assert (status, error["code"], error["message"]) == (
        429,
        "RATE_LIMITED",
        "Too many requests",
    )
    assert error["detail"].startswith("this key may have 10 connections at a time")
    assert error["retry_after"] == 30
    clients[4].socket.close()
    wait_until(lambda: can_connect(gateway, key), 5, "the freed connection")


def test_clients_that_are_killed_give_their_connections_back(gateway, own_key, wait_until):
    key = own_key(connections=3)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, url(gateway, key), "3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    assert refusal(gateway, url=url(gateway, key))[0] == 429
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    wait_until(lambda: can_connect(gateway, key), 5, "the killed clients' connections")
    holder.stdin.close()
    holder.stdout.close()


def test_a_crash_without_a_goodbye_locks_nobody_out_for_longer_than_30_s(
    gateway, own_key, age, wait_until
):
    """`$disconnect` never comes; the full key asks who is there and takes what is not."""
    key = own_key(connections=2)
    crashed = gateway.connect(url=url(gateway, key), header=[])
    alive = gateway.connect(url=url(gateway, key), header=[])
    gateway.fault("no_disconnect", connection=crashed.id)
    gateway.fault("cut", connection=crashed.id)
    wait_until(lambda: len(gateway.connections()) == 1, 5, "the cut")
    assert refusal(gateway, url=url(gateway, key))[0] == 429
    assert age(31) == 2
    assert can_connect(gateway, key)
    assert refusal(gateway, url=url(gateway, key))[0] == 429
    assert alive.ask({"type": "ping"})["type"] == "pong"


def test_the_rate_counts_connects_and_subscribes_and_tells_when_to_come_back(gateway, own_key):
    key = own_key(rate=1, burst=3)
    client = gateway.connect(url=url(gateway, key), header=[])
    assert client.ask({"type": "subscribe", "symbols": ["BTC/USDT"]})["type"] == "subscribed"
    assert (
        client.ask({"type": "unsubscribe", "symbols": ["BTC/USDT"]})["type"] == "unsubscribed"
    )
    told = client.ask({"type": "subscribe", "symbols": ["ETH/USDT"]})
    assert (told["type"], told["code"]) == ("error", "RATE_LIMITED")
    assert "1 requests a minute, 3 of them at once" in told["detail"]
    assert 1 <= told["retry_after"] <= 60
    status, error = refusal(gateway, url=url(gateway, key))
    assert (status, error["code"]) == (429, "RATE_LIMITED")
    assert client.ask({"type": "ping"})["type"] == "pong"


def test_the_open_ws_asks_for_no_key_but_refuses_a_wrong_one(gateway):
    assert gateway.connect(url=gateway.ws, header=[]).id
    for wrong in ("wrong", "x" * 5000):
        status, error = refusal(gateway, url=f"{gateway.ws}?api_key={wrong}")
        assert (status, error["code"]) == (401, "UNAUTHORIZED")


def test_a_revoked_key_is_401_at_once(gateway, own_key, tables, database):
    key = own_key()
    gateway.connect(url=url(gateway, key), header=[])
    pk = {"pk": {"S": f"KEY#{key_hash(key)}"}, "sk": {"S": "META"}}
    database.delete_item(TableName=tables["KEYS_TABLE"], Key=pk)
    status, error = refusal(gateway, url=url(gateway, key))
    assert (status, error["message"]) == (401, "Authentication failed")


def send_raw(gateway, data):
    host, port = gateway.stream.split(":")
    with sockets.create_connection((host, int(port)), 5) as plain, contextlib.suppress(OSError):
        plain.sendall(data)
        plain.shutdown(sockets.SHUT_WR)
        while plain.recv(4096):
            pass


def knock(gateway, key):
    """Send a key in every place that a request has."""
    headers = [f"Authorization: Bearer {key}", f"Cookie: key={key}", f"X-{key}: {key}"]
    for address in (f"ws://{gateway.stream}/stream", gateway.ws, gateway.candles):
        for more in UPGRADES:
            with contextlib.suppress(websocket.WebSocketException):
                gateway.connect(url=address + more.replace("KEY", key), header=[])
        with contextlib.suppress(websocket.WebSocketException):
            gateway.connect(url=address, header=headers, subprotocols=[key, "b"])
    for path in ("/api/symbols", "/api/archive", f"/api/{key}", "/healthz"):
        bearer = {"Authorization": f"Bearer {key}"}
        requests.get(f"{gateway.api}{path}?api_key={key}", headers=bearer, timeout=10)
    for raw in TORN:
        send_raw(gateway, raw.replace("KEY", key).encode())


def test_no_key_is_in_the_gateways_whole_log_whatever_was_sent(start_gateway, own_key):
    """Good and wrong ones in header, query, subprotocol, cookie, path, body, torn requests."""
    good, bad = own_key(connections=100, rate=10_000, burst=1000), "wrong-secret-of-somebody"
    with start_gateway() as gateway:
        client = gateway.connect(url=url(gateway, good), header=[])
        for key in (good, bad):
            knock(gateway, key)
            for text in MESSAGES:
                client.ask(text.replace("KEY", key))
        client.socket.send_binary(good.encode())
    log = gateway.log.read_text()
    assert '"connected"' in log
    assert [line for line in log.splitlines() if good in line or bad in line] == []
    assert "Traceback" not in log
