"""`$connect` and `$disconnect` on real tables: what is kept, who is asked, who is refused."""

import json
import time
import uuid

import pytest

from functions import connect, disconnect
from functions.connections import ConnectionsTable
from functions.dynamodb import dynamodb
from functions.newcomers import Newcomer
from functions.settings import settings
from functions.tables import newcomers_table, ring_table
from marketdata.connection_items import connections_pk, shard_of
from marketdata.errors import StoreError
from marketdata.ring_items import Source

pytestmark = pytest.mark.services


def socket_event(kind, connection_id, *, stage="ws", key_id="", headers=None):
    return {
        "headers": headers,
        "requestContext": {
            "eventType": kind,
            "stage": stage,
            "connectionId": connection_id,
            "connectedAt": time.time_ns() // 1_000_000,
            "authorizer": {"key_id": key_id, "connections": "2"},
        },
    }


@pytest.fixture
def lambdas(functions, monkeypatch):
    """Lambda's Invoke is answered by the same server as the posts."""
    connect._functions_client.cache_clear()
    origin = functions.endpoint.removesuffix("/stream")
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", origin)
    yield functions
    connect._functions_client.cache_clear()


@pytest.fixture
def item_of(database, table_variables):
    """The item of a connection as it lies in the table; None when there is none."""

    def find(stage, connection_id):
        pk = connections_pk(stage, shard_of(connection_id))
        answer = database.get_item(
            TableName=table_variables["CONNECTIONS_TABLE"],
            Key={"pk": {"S": pk}, "sk": {"S": connection_id}},
            ConsistentRead=True,
        )
        return answer.get("Item")

    return find


def invocations(server):
    return [one for one in server.requests if "/functions/" in one[0]]


def test_ws_remembers_where_every_source_stood(lambdas, item_of):
    source = Source("events", 2)
    head = ring_table().heads([source]).get(source)
    stands = head.next + 7 if head else 7
    ring_table().advance(source, "events", stands)
    name = uuid.uuid4().hex
    assert connect.handler(socket_event("CONNECT", name), None) == {"statusCode": 200}
    assert item_of("ws", name)["start"]["M"]["events:2"] == {"N": str(stands)}
    newcomer = newcomers_table().begin("ws", name, "token", 1)
    assert isinstance(newcomer, Newcomer)
    assert newcomer.start[source] == stands


@pytest.mark.parametrize("stage", ["stream", "candles"])
def test_the_other_stages_wait_for_nothing_and_are_not_welcomed(lambdas, item_of, stage):
    name = uuid.uuid4().hex
    connect.handler(socket_event("CONNECT", name, stage=stage), None)
    assert "start" not in item_of(stage, name)
    assert not invocations(lambdas)


def test_welcome_is_asked_for_without_waiting_for_it(lambdas):
    name = uuid.uuid4().hex
    event = socket_event("CONNECT", name)
    connect.handler(event, None)
    [(path, headers, body)] = invocations(lambdas)
    assert path == "/2015-03-31/functions/welcome/invocations"
    assert headers["X-Amz-Invocation-Type"] == "Event"
    connected_ms = event["requestContext"]["connectedAt"]
    assert json.loads(body) == {
        "connection_id": name,
        "stage": "ws",
        "connected_ms": connected_ms,
    }


def test_a_client_is_let_in_when_welcome_cannot_be_asked_for(lambdas, item_of, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    name = uuid.uuid4().hex
    assert connect.handler(socket_event("CONNECT", name), None) == {"statusCode": 200}
    assert item_of("ws", name) is not None


def test_a_stage_that_is_none_is_refused(lambdas):
    refused = connect.handler(socket_event("CONNECT", "x", stage="else"), None)
    assert refused == {"statusCode": 403}


def test_a_key_that_has_enough_is_told_so_until_one_of_its_connections_ends(lambdas, item_of):
    key_id, names = uuid.uuid4().hex, [uuid.uuid4().hex for _ in range(3)]

    def join(name):
        event = socket_event("CONNECT", name, stage="stream", key_id=key_id)
        return connect.handler(event, None)

    assert [join(name)["statusCode"] for name in names] == [200, 200, 429]
    refused = join(names[2])
    assert json.loads(refused["body"])["code"] == "RATE_LIMITED"
    assert item_of("stream", names[2]) is None
    disconnect.handler(
        socket_event("DISCONNECT", names[0], stage="stream", key_id=key_id), None
    )
    assert item_of("stream", names[0]) is None
    assert join(names[2])["statusCode"] == 200


def test_a_connection_that_cannot_be_remembered_takes_no_place(lambdas, monkeypatch):
    key_id = uuid.uuid4().hex
    with monkeypatch.context() as broken:
        broken.setattr(connect, "connections_table", _no_table)
        for _ in range(3):
            event = socket_event("CONNECT", uuid.uuid4().hex, stage="stream", key_id=key_id)
            with pytest.raises(StoreError):
                connect.handler(event, None)
    for _ in range(2):
        event = socket_event("CONNECT", uuid.uuid4().hex, stage="stream", key_id=key_id)
        assert connect.handler(event, None) == {"statusCode": 200}


def _no_table():
    return ConnectionsTable(dynamodb(), f"gone-{settings().connections_table}")


def test_the_first_subprotocol_is_taken_on_ws_too(lambdas):
    event = socket_event(
        "CONNECT", uuid.uuid4().hex, headers={"Sec-WebSocket-Protocol": "a, b"}
    )
    answer = connect.handler(event, None)
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "a"}}
