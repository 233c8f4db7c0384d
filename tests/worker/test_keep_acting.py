"""Late values a connection at a time: a full or slow one costs the others nothing."""

import threading

import pytest

from container_worker.keep import acting
from container_worker.keep.acting import Acting
from container_worker.keep.connection import Outcome
from container_worker.keep.late import Late

FULL, SLOW, HEALTHY = "full", "slow", "healthy"


def late(connection_id, name):
    return Late(connection_id, "stream", "ticks", name, {})


class Deeds:
    """Answers by the connection's name; `tried` has every late item that was tried."""

    outcomes = {FULL: Outcome.THROTTLED, SLOW: Outcome.TIMED_OUT}  # noqa: RUF012

    def __init__(self):
        self.tried = []
        self.begins = threading.Event()
        self.begins.set()

    def deliver(self, one):
        self.begins.wait(10)
        self.tried.append((one.connection_id, one.name))
        return self.outcomes.get(one.connection_id, Outcome.DONE)


@pytest.fixture
def deeds():
    return Deeds()


@pytest.fixture
def acts(deeds):
    made = Acting(deeds, lambda: True)
    yield made
    made.close()


@pytest.fixture
def sweep(acts, wait_until):
    """`sweep(*connection ids, ended=n)`: three late items of each; then n have ended so far."""

    def make(*connections, ended):
        for connection_id in connections:
            acts.deliver([late(connection_id, name) for name in "ABC"])
        wait_until(lambda: has_ended(acts, ended), 5, "the deliveries' end")

    return make


def has_ended(acts, number):
    acts.finished()
    return acts.counts.total() == number


def test_all_that_a_healthy_client_is_owed_comes_in_order_in_one_sweep(sweep, deeds):
    sweep(HEALTHY, ended=3)
    assert deeds.tried == [(HEALTHY, name) for name in "ABC"]


@pytest.mark.parametrize("connection_id", [FULL, SLOW])
def test_a_client_that_does_not_take_one_value_is_not_tried_with_the_next(
    sweep, deeds, connection_id
):
    sweep(connection_id, HEALTHY, ended=4)
    sweep(connection_id, HEALTHY, ended=7)
    assert [one for one in deeds.tried if one[0] != HEALTHY] == [(connection_id, "A")]
    assert deeds.tried.count((HEALTHY, "C")) == 2


def test_a_full_client_is_tried_again_soon_and_a_slow_one_later(sweep, deeds, monkeypatch):
    monkeypatch.setattr(acting, "FULL_S", 0.0)
    sweep(FULL, SLOW, ended=2)
    sweep(FULL, SLOW, ended=3)
    assert sorted(deeds.tried) == [(FULL, "A"), (FULL, "A"), (SLOW, "A")]


def test_what_is_under_way_is_not_begun_a_second_time(acts, deeds, wait_until):
    deeds.begins.clear()
    for _ in range(2):
        acts.deliver([late(HEALTHY, "A")])
    deeds.begins.set()
    wait_until(lambda: has_ended(acts, 1), 5, "the delivery's end")
    assert deeds.tried == [(HEALTHY, "A")]


def test_without_the_lease_nothing_is_delivered(deeds, wait_until):
    standing_by = Acting(deeds, lambda: False)
    standing_by.deliver([late(HEALTHY, "A")])
    wait_until(lambda: has_ended(standing_by, 1), 5, "the end")
    standing_by.close()
    assert deeds.tried == []
    assert standing_by.counts == {"late_not_tried": 1}
