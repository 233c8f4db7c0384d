"""Pongs and takeovers of real keepers: one for each beat, whoever sends it; Kafka is away."""

import signal
import time

import pytest
import websocket

PONG_S = 0.3
BEATING = {"KEEP_PONG_S": str(PONG_S)}


@pytest.fixture
def listen(gateway, items):
    """`listen()`: a client of `stream` whose connection the table knows."""

    def connect():
        client = gateway.connect()
        items.connection("stream", client.id)
        return client

    return connect


def pongs(client, seconds):
    """How many pongs come within so many seconds; nothing else may."""
    until, count = time.monotonic() + seconds, 0
    while (left := until - time.monotonic()) > 0:
        try:
            assert client.receive(left)["type"] == "pong"
        except websocket.WebSocketTimeoutException:
            break
        count += 1
    return count


def await_pong(client):
    assert client.receive(10)["type"] == "pong"


def test_two_keepers_send_each_beat_once_and_after_sigkill_the_other_goes_on(
    start_keeper, listen, wait_until
):
    first = start_keeper(**BEATING)
    wait_until(lambda: first.said("keep.lease_taken"), 20, "the first keeper")
    second = start_keeper(**BEATING)
    wait_until(lambda: second.said("keep.started"), 20, "the second keeper")
    begun, client = time.monotonic(), listen()
    for _ in range(3):
        await_pong(client)
    first.end(signal.SIGKILL)
    wait_until(lambda: second.said("keep.lease_taken"), 10, "the takeover")
    for _ in range(2):
        await_pong(client)
    count = 5 + pongs(client, 2 * PONG_S)
    assert count <= (time.monotonic() - begun) / PONG_S


def test_a_keeper_that_ends_hands_its_lease_over_at_once(start_keeper, wait_until):
    patience = {"KEEP_TAKEOVER_S": "60"}
    first = start_keeper(**patience)
    wait_until(lambda: first.said("keep.lease_taken"), 20, "the first keeper")
    second = start_keeper(**patience)
    wait_until(lambda: second.said("keep.started"), 20, "the second keeper")
    assert first.end() == 0
    wait_until(lambda: second.said("keep.lease_taken"), 10, "the handover")


def test_while_the_database_is_away_a_keeper_waits_says_so_once_and_goes_on(
    start_keeper, listen, link, wait_until
):
    keeper = start_keeper(**BEATING, AWS_ENDPOINT_URL_DYNAMODB=link.endpoint)
    client = listen()
    await_pong(client)
    link.cut()
    wait_until(lambda: keeper.said("keep.store_unavailable"), 15, "the sentence")
    pongs(client, 0.2)
    assert pongs(client, 2 * PONG_S) == 0
    link.mend()
    wait_until(lambda: keeper.said("keep.store_back"), 15, "the way back")
    await_pong(client)
    assert len(keeper.said("keep.store_unavailable")) == 1
