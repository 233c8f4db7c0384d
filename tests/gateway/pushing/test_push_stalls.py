"""What a push does when posts hang: what is lost, and to whom (rule 22)."""

import contextlib
import time

import pytest

from functions import gateway as management
from functions.logic import slow_connections
from marketdata.errors import GatewayUnavailable

pytestmark = pytest.mark.services

LIMIT_S = 0.2


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A post may take a fifth of a second: what is tested does not depend on the number."""
    monkeypatch.setattr(management, "POST_LIMIT_S", LIMIT_S)


def of_late(items, client):
    return [one["sk"]["S"] for one in items if one["sk"]["S"].startswith(client.id)]


def test_when_everybody_times_out_the_batch_comes_again_and_nobody_is_left_out(
    pusher, gateway, subscriber
):
    clients = [subscriber("BTC/USDT") for _ in range(3)]
    gateway.fault("hang", times=3, seconds=1)
    batch = [pusher.tick("1"), pusher.tick("2")]
    with pytest.raises(GatewayUnavailable, match="no client could be sent to: timed_out"):
        pusher.push(*batch)
    report = pusher.push(*batch)
    assert (report["paused"], report["sent"]) == (0, 6)
    assert [pusher.prices(one, 2) for one in clients] == [[1, 2]] * 3


def test_clients_that_are_all_dead_hold_a_batch_up_for_a_while_and_only_once(
    pusher, gateway, subscriber, monkeypatch, late_items
):
    monkeypatch.setattr(slow_connections, "STALL_LIMIT_S", 3 * LIMIT_S)
    dead = [subscriber("BTC/USDT") for _ in range(2)]
    for one in dead:
        gateway.fault("hang", connection=one.id, times=50, seconds=1)
    batch = [pusher.tick("1")]
    with pytest.raises(GatewayUnavailable):
        pusher.push(*batch)
    assert late_items() == []
    report = None
    while report is None:
        with contextlib.suppress(GatewayUnavailable):
            report = pusher.push(*batch)
    assert (report["timed_out"], report["late"]) == (2, 2)
    assert pusher.push(pusher.tick("2"))["paused"] == 2


def test_a_client_that_alone_does_not_answer_fails_no_batch(
    pusher, gateway, subscriber, late_items
):
    """It misses what is sent while it is left out: its newest value is the keeper's to send."""
    dead = subscriber("BTC/USDT", "ETH/USDT")
    gateway.fault("hang", connection=dead.id, seconds=1)
    assert pusher.push(pusher.tick("1"))["late"] == 1
    assert of_late(late_items(), dead) == [f"{dead.id}#ticks#BTC/USDT"]
    report = pusher.push(pusher.tick("2", "ETHUSDT"))
    assert (report["paused"], report["late"]) == (1, 1)
    assert f"{dead.id}#ticks#ETH/USDT" in of_late(late_items(), dead)


def test_nothing_comes_again_for_those_who_were_slow_before(
    pusher, gateway, subscriber, wait_until, late_items
):
    slow = subscriber("BTC/USDT")
    gateway.fault("throttled", connection=slow.id, times=2)
    pusher.push(pusher.tick("1"))
    report = pusher.push(pusher.tick("2"), until_s=time.monotonic() - 1)
    assert (report["not_tried"], report["late"]) == (1, 1)
    assert of_late(late_items(), slow) == [f"{slow.id}#ticks#BTC/USDT"]
