"""What a push does when a client, the management API or DynamoDB fails."""

import threading
import time

import pytest

from marketdata.errors import GatewayUnavailable, StoreUnavailable

pytestmark = pytest.mark.services

YOUNG_MS = 30_000


def test_a_connection_that_is_gone_is_forgotten(pusher, gateway, subscriber, held, wait_until):
    gone, other = subscriber("BTC/USDT", "ETH/USDT"), subscriber("BTC/USDT")
    gateway.fault("no_disconnect", connection=gone.id)
    gone.socket.shutdown()
    wait_until(lambda: len(gateway.connections()) == 1, 5, "the end of the connection")
    batch = [pusher.tick(price, age_ms=-YOUNG_MS) for price in ("1", "2")]
    report = pusher.push(*batch, later_ms=YOUNG_MS)
    assert (report["gone"], report["forgotten"], report["skipped"]) == (1, 1, 1)
    assert held(gone.id).reserved is None
    assert held(gone.id).served == []
    assert pusher.prices(other, 2) == [1, 2]


def test_410_on_a_young_connection_is_not_a_goodbye(pusher, gateway, subscriber, held):
    client = subscriber("BTC/USDT")
    gateway.fault("gone", connection=client.id)
    report = pusher.push(pusher.tick("1"))
    assert (report["gone"], report["forgotten"]) == (1, 0)
    assert held(client.id).served == ["BTC/USDT"]
    pusher.push(pusher.tick("2"))
    assert pusher.prices(client, 1) == [2]


def test_one_429_is_tried_again_and_nothing_is_lost(pusher, gateway, subscriber):
    client = subscriber("BTC/USDT")
    gateway.fault("throttled", connection=client.id)
    assert pusher.push(pusher.tick("1"), pusher.tick("2"))["retried"] == 1
    assert pusher.prices(client, 2) == [1, 2]


def test_after_a_second_429_the_rest_of_the_batch_is_left_out_and_the_newest_noted(
    pusher, gateway, subscriber, late_items
):
    client, other = subscriber("BTC/USDT"), subscriber("BTC/USDT")
    gateway.fault("throttled", connection=client.id, times=2)
    report = pusher.push(pusher.tick("1"), pusher.tick("2"), pusher.tick("3"))
    assert (report["throttled"], report["skipped"], report["late"]) == (1, 2, 1)
    [late] = late_items()
    assert late["sk"] == {"S": f"{client.id}#ticks#BTC/USDT"}
    assert (late["stage"], late["rate"]) == ({"S": "stream"}, {"S": "1s"})
    assert pusher.prices(other, 3) == [1, 2, 3]
    pusher.push(pusher.tick("4"))
    assert pusher.prices(client, 1) == [4]


def test_413_drops_that_message_alone(pusher, gateway, subscriber):
    client = subscriber("BTC/USDT")
    gateway.fault("too_large", connection=client.id)
    assert pusher.push(pusher.tick("1"), pusher.tick("2"))["too_large"] == 1
    assert pusher.prices(client, 1) == [2]


def test_a_dead_client_does_not_hold_up_the_others(pusher, gateway, subscriber):
    """The others have the whole batch while the post to the dead one still hangs."""
    dead, *others = (subscriber("BTC/USDT") for _ in range(4))
    gateway.fault("hang", connection=dead.id, seconds=4)
    reports = []
    pushing = threading.Thread(
        target=lambda: reports.append(pusher.push(*(pusher.tick(str(n)) for n in range(20))))
    )
    pushing.start()
    assert [pusher.prices(other, 20) for other in others] == [list(range(20))] * 3
    assert pushing.is_alive()
    pushing.join(10)
    assert (reports[0]["timed_out"], reports[0]["skipped"], reports[0]["sent"]) == (1, 19, 60)
    assert pusher.push(pusher.tick("20"))["paused"] == 1
    assert [pusher.prices(other, 1) for other in others] == [[20]] * 3


def test_no_post_begins_after_the_deadline(pusher, subscriber):
    client = subscriber("BTC/USDT")
    with pytest.raises(GatewayUnavailable, match="over before 1 clients had their turn"):
        pusher.push(pusher.tick("1"), pusher.tick("2"), until_s=time.monotonic() - 1)
    assert client.is_silent()


@pytest.mark.parametrize("kind", ["error", "forbidden"])
def test_a_management_api_that_fails_as_a_whole_raises(pusher, gateway, subscriber, kind):
    subscriber("BTC/USDT")
    subscriber("BTC/USDT")
    gateway.fault(kind, times=8)
    with pytest.raises(GatewayUnavailable, match="no client could be sent to"):
        pusher.push(pusher.tick("1"))


def test_a_management_api_that_fails_for_one_client_does_not_raise(pusher, gateway, subscriber):
    broken, other = subscriber("BTC/USDT"), subscriber("BTC/USDT")
    gateway.fault("error", connection=broken.id, times=2)
    assert pusher.push(pusher.tick("1"))["failed"] == 1
    assert pusher.prices(other, 1) == [1]


def test_a_management_api_that_is_not_there_raises(make_pusher, subscriber, free_port):
    subscriber("BTC/USDT")
    pusher = make_pusher(f"http://127.0.0.1:{free_port}/_management/stream")
    with pytest.raises(GatewayUnavailable, match="unreachable"):
        pusher.push(pusher.tick("1"))


def test_a_database_that_is_not_there_raises(make_pusher, free_port):
    pusher = make_pusher(table_endpoint=f"http://127.0.0.1:{free_port}")
    with pytest.raises(StoreUnavailable, match="reading a topic's id failed"):
        pusher.push(pusher.tick("1"))
