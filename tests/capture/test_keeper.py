"""The keeper of a line's sockets, with hand-made links and a hand-made clock."""

import random

import pytest

from container_worker.capture.keeper import Keeper
from container_worker.capture.timing import Timing
from marketdata.errors import BrokerError, ExchangeUnavailable, RestrictedLocation

TIMING = Timing(stall=10.0, backoff_base=1.0, backoff_cap=8.0, restricted=900.0)


class FakeLink:
    def __init__(self):
        self.data_ns = 0
        self.opened_s = self.ends_s = None
        self.is_accepted = self.is_leaving = self.is_gone = self.closed = self.started = False
        self.error = None
        self.cause = "disconnect"
        self.flows = True

    def start(self):
        self.started = True

    def close(self, cause=None):
        self.cause = cause or self.cause
        self.closed = True

    def accept(self, now_s):
        self.opened_s, self.is_accepted = now_s, True

    def end(self, error=None):
        self.error, self.is_gone = error, True


class FakeLine:
    exchange = "binance"

    def __init__(self):
        self.calls = []
        self.may = False

    def disrupted(self, cause):
        self.calls.append(("disrupted", cause))

    def share(self, new):
        self.calls.append("share")

    def overlap(self, overlap):
        self.calls.append("overlap")

    def may_part(self, now_s):
        return self.may

    def part(self):
        self.calls.append("part")


class World:
    def __init__(self):
        self.line, self.links, self.troubles = FakeLine(), [], []
        self.wait_s = 0.0
        self.keeper = Keeper(
            self.line,
            self._open,
            life_s=1000.0,
            timing=TIMING,
            chance=random.Random(1),
            connect_wait_s=lambda _now_s: self.wait_s,
            report=self.troubles.append,
        )
        self.keeper.step(0.0)
        self.links[0].accept(0.0)
        self.keeper.step(0.1)

    def _open(self):
        self.links.append(FakeLink())
        return self.links[-1]


@pytest.fixture
def world():
    return World()


def test_a_line_is_connected_once_its_subscriptions_are_accepted(world) -> None:
    assert world.keeper.current is world.links[0]
    assert world.keeper.connected
    assert world.line.calls == []


@pytest.mark.parametrize("reason", ["leaving", "age", "asked"])
def test_a_socket_is_replaced_before_it_ends(world, reason) -> None:
    old, now_s = world.links[0], 5.0
    old.data_ns = 1
    if reason == "leaving":
        old.is_leaving = True
    elif reason == "asked":
        world.keeper.replace()
    else:
        now_s = 1001.0
    world.keeper.step(now_s)
    new = world.links[1]
    assert new.started
    new.accept(now_s + 1)
    world.keeper.step(now_s + 1)
    world.keeper.step(now_s + 2)
    assert not old.closed
    world.line.may = True
    world.keeper.step(now_s + 3)
    assert old.closed
    assert world.keeper.current is new
    assert world.line.calls == ["share", "overlap", "part"]
    world.keeper.step(now_s + 4)
    assert len(world.links) == 2


def test_an_old_socket_that_dies_during_the_overlap_is_no_disruption(world) -> None:
    world.keeper.replace()
    world.keeper.step(1.0)
    world.links[1].accept(2.0)
    world.keeper.step(2.0)
    world.links[0].end(ExchangeUnavailable("gone"))
    world.keeper.step(3.0)
    assert world.keeper.current is world.links[1]
    assert world.line.calls == ["share", "overlap", "part"]


def test_an_old_socket_that_dies_before_the_new_one_is_accepted_is_a_disruption(world) -> None:
    world.keeper.replace()
    world.keeper.step(1.0)
    world.links[0].end()
    world.keeper.step(2.0)
    assert world.line.calls == ["share", ("disrupted", "disconnect"), "part"]
    world.links[1].accept(3.0)
    world.keeper.step(3.0)
    assert world.keeper.current is world.links[1]


def test_a_replacement_that_fails_leaves_the_old_socket_and_is_tried_again(world) -> None:
    world.keeper.replace()
    world.keeper.step(1.0)
    world.links[1].end(ExchangeUnavailable("refused"))
    world.keeper.step(2.0)
    assert world.keeper.current is world.links[0]
    assert world.line.calls == ["share", "part"]
    world.keeper.step(20.0)
    assert len(world.links) == 3


def test_silence_ends_a_socket_with_the_cause_stall(world) -> None:
    old = world.links[0]
    old.data_ns = 5
    world.keeper.step(8.0)
    world.keeper.step(17.0)
    assert not old.closed
    world.keeper.step(18.5)
    assert (old.closed, old.cause) == (True, "stall")
    old.end()
    world.keeper.step(19.0)
    assert ("disrupted", "stall") in world.line.calls


def test_a_socket_that_is_only_quiet_is_given_twice_the_time_each_time(world) -> None:
    now_s, lives = 1.0, []
    for number in range(1, 4):
        link = world.links[-1]
        link.data_ns = number
        begun_s = now_s = now_s + 0.1
        while not link.closed:
            world.keeper.step(now_s)
            now_s += 0.5
        lives.append(round(now_s - begun_s))
        link.end()
        world.keeper.step(now_s)
        now_s = world.keeper._due_s + 0.001
        world.keeper.step(now_s)
        world.links[-1].accept(now_s)
        world.keeper.step(now_s)
    assert lives == [11, 21, 41]


def test_a_socket_that_has_flowed_again_has_the_usual_time(world) -> None:
    world.keeper._patience_s = 40.0
    for tenth in range(150):
        world.links[0].data_ns = tenth + 1
        world.keeper.step(1.0 + tenth / 10)
    world.keeper.step(27.0)
    assert world.links[0].closed


def test_a_session_that_runs_out_is_replaced_before(world) -> None:
    world.links[0].ends_s = 5.0
    world.keeper.step(4.9)
    assert len(world.links) == 1
    world.keeper.step(5.1)
    assert len(world.links) == 2
    assert not world.links[0].closed


def test_connections_wait_for_the_exchanges_budget(world) -> None:
    world.wait_s = 3.0
    world.keeper.replace()
    world.keeper.step(1.0)
    assert len(world.links) == 1
    world.wait_s = 0.0
    world.keeper.step(3.9)
    assert len(world.links) == 1
    world.keeper.step(4.1)
    assert len(world.links) == 2


def test_failures_in_a_row_wait_longer_until_the_first_good_frame(world) -> None:
    now_s, waits = 1.0, []
    world.links[0].end(ExchangeUnavailable("cut"))
    for _ in range(60):
        world.keeper.step(now_s)
        waits.append(world.keeper._due_s - now_s)
        now_s = world.keeper._due_s + 0.001
        world.keeper.step(now_s)
        world.links[-1].end(ExchangeUnavailable("refused"))
    assert max(waits[:2]) <= 2.0
    assert 4.0 < max(waits) <= TIMING.backoff_cap
    world.keeper.step(now_s)
    now_s = world.keeper._due_s + 0.001
    world.keeper.step(now_s)
    good = world.links[-1]
    good.accept(now_s)
    world.keeper.step(now_s)
    good.data_ns = 9
    world.keeper.step(now_s + 1)
    good.end()
    world.keeper.step(now_s + 2)
    assert world.keeper._due_s - (now_s + 2) <= TIMING.backoff_base


def reconnect(world, now_s, *, flows, lives_s):
    """A socket that brings a frame and ends; when it ended, and the pause that followed."""
    link = world.links[-1]
    link.flows = flows
    link.accept(now_s)
    world.keeper.step(now_s)
    link.data_ns = int(now_s * 1e9) + 1
    world.keeper.step(now_s + 0.1)
    world.keeper.step(now_s + lives_s)
    link.end(ExchangeUnavailable("closed (1006)"))
    world.keeper.step(now_s + lives_s)
    pause_s = world.keeper._due_s - (now_s + lives_s)
    world.keeper.step(world.keeper._due_s + 0.001)
    return world.keeper._due_s + 0.001, pause_s


def test_sockets_that_bring_nothing_but_their_opening_are_no_success(world) -> None:
    world.links[0].end(ExchangeUnavailable("cut"))
    world.keeper.step(1.0)
    now_s = world.keeper._due_s + 0.001
    world.keeper.step(now_s)
    pauses = []
    for _ in range(40):
        now_s, pause_s = reconnect(world, now_s, flows=False, lives_s=0.5)
        pauses.append(pause_s)
    assert 4.0 < max(pauses) <= TIMING.backoff_cap
    assert sum(pauses) / len(pauses) > 2.0
    now_s, pause_s = reconnect(world, now_s, flows=True, lives_s=0.5)
    assert pause_s <= TIMING.backoff_base
    for _ in range(10):
        now_s, pause_s = reconnect(world, now_s, flows=False, lives_s=0.5)
    now_s, pause_s = reconnect(world, now_s, flows=False, lives_s=TIMING.stall + 0.05)
    assert pause_s <= TIMING.backoff_base


def test_a_restricted_location_is_tried_again_after_a_long_pause(world) -> None:
    world.links[0].end(RestrictedLocation("451"))
    world.keeper.step(1.0)
    world.keeper.step(899.0)
    assert len(world.links) == 1
    world.keeper.step(902.0)
    assert len(world.links) == 2
    assert [str(error) for error in world.troubles] == ["451"]


def test_a_refusal_by_kafka_is_not_survived(world) -> None:
    world.links[0].end(BrokerError("refused"))
    with pytest.raises(BrokerError):
        world.keeper.step(1.0)


def test_closing_ends_both_sockets(world) -> None:
    world.keeper.replace()
    world.keeper.step(1.0)
    assert world.keeper.close() == world.links
    assert all(link.closed for link in world.links)
