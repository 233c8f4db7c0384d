"""What a real keeper ends: connections that did not register, are idle, revoked or gone."""

import time

import pytest
import websocket

from marketdata import connection_items

GONE = "bm90LXRoZXJlPQ="


@pytest.fixture(scope="module")
def keeper(start_shared_keeper):
    return start_shared_keeper(
        KEEP_REGISTER_S="10", KEEP_PONG_S="3600", KEEP_LIFE_S="0.5", KEEP_IDLE_S="300"
    )


@pytest.fixture
def on_ws(gateway):
    """`on_ws()`: a client of the stage `ws`, which says nothing after its welcome."""

    def connect():
        return gateway.connect(url=gateway.ws, header=[])

    return connect


def close_code(client, seconds=10):
    """The code of the close that comes, whatever comes before it; None when none does."""
    client.socket.settimeout(seconds)
    try:
        while True:
            kind, data = client.socket.recv_data()
            if kind == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")
    except websocket.WebSocketTimeoutException:
        return None


def test_who_does_not_register_on_ws_is_closed_with_1000_and_the_others_stay(
    keeper, on_ws, items, wait_until
):
    silent, registered, registering = on_ws(), on_ws(), on_ws()
    begun = time.monotonic()
    until = {"N": str(round(time.time() * 1000) + 30_000)}
    items.connection("ws", registering.id, age_s=20, register_until_ms=until)
    items.connection("ws", silent.id, age_s=9.5)
    items.connection("ws", registered.id, age_s=3000, registered={"BOOL": True})
    assert close_code(silent) == 1000
    assert time.monotonic() - begun > 0.5
    wait_until(lambda: items.of(silent.id) == [], 10, "the clearing up")
    assert close_code(registered, 0.3) is None
    assert close_code(registering, 0.3) is None


def test_an_idle_connection_is_closed_and_one_that_spoke_is_not(keeper, gateway, items):
    idle, spoke = gateway.connect(), gateway.connect()
    now_ms = round(time.time() * 1000)
    items.connection("stream", idle.id, age_s=301)
    items.connection("stream", spoke.id, age_s=301, last_in_ms={"N": str(now_ms - 1000)})
    assert close_code(idle) == 1000
    assert close_code(spoke, 0.3) is None


def test_connections_of_a_revoked_key_are_closed(keeper, gateway, items, tables):
    revoked, other = gateway.connect(), gateway.connect()
    items.connection("stream", revoked.id, key_id={"S": "k-revoked"})
    items.connection("stream", other.id, key_id={"S": "k-good"})
    now_ms = round(time.time() * 1000)
    items.client.put_item(
        TableName=tables["KEYS_TABLE"],
        Item={
            "pk": {"S": "REVOKED"},
            "sk": {"S": "k-revoked"},
            "at_ms": {"N": str(now_ms)},
            "exp": {"N": str(now_ms // 1000 + 3600)},
        },
    )
    assert close_code(revoked) == 1000
    assert close_code(other, 0.3) is None


def test_everything_of_a_connection_that_is_gone_is_deleted_and_a_young_one_stays(
    keeper, items, wait_until
):
    young = "eW91bmc="
    for connection_id, age_s in ((young, 5), (GONE, 1000)):
        shard = connection_items.shard_of(connection_id)
        items.connection("ws", connection_id, age_s, ("A",), registered={"BOOL": True})
        for feed in ("ticks", "candles", "depth", "prices"):
            items.subscription("ws", connection_id, feed, "A")
        for feed in ("events", "ticks"):
            pk = connection_items.registrations_pk(feed, shard)
            items.put(pk, connection_id, exp=items.later())
        items.late("ws", connection_id, "ticks", "A")
    wait_until(lambda: items.of(GONE) == [], 15, "the forgetting")
    assert len(items.of(young)) == 8


def test_who_resumes_is_told_once_before_the_gateway_ends_the_connection(
    keeper, gateway, items, wait_until
):
    client = gateway.connect()
    last_in = {"N": str(round(time.time() * 1000))}
    items.connection("stream", client.id, age_s=6901, resume={"BOOL": True}, last_in_ms=last_in)
    told = client.receive(20)
    assert told["type"] == "reconnect"
    assert set(told) == {"type", "reason", "deadline", "timestamp"}
    items.await_sweeps(wait_until, 5)
    assert client.is_silent()


def test_that_kafka_is_away_is_said_once(keeper, items, wait_until):
    wait_until(lambda: keeper.said("keep.kafka_unavailable"), 15, "the sentence")
    items.await_sweeps(wait_until, 3)
    [said] = keeper.said("keep.kafka_unavailable")
    assert "KAFKA_BOOTSTRAP_SERVERS" in said["error"]
