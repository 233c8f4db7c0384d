"""Further `register`s, other stages, cursors, and what is refused."""

import threading
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from functions import settings
from functions.ring import RingTable
from functions.tables import (
    connections_table,
    newcomers_table,
    registrations_table,
    subscriptions_table,
)

pytestmark = pytest.mark.services

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "types": st.lists(st.sampled_from(["trade", "candle", "", "TRADE"]) | JSON) | JSON,
        "account_ids": st.lists(st.text()) | JSON,
        "asset_codes": st.lists(st.text()) | JSON,
        "min_amount": st.text() | JSON,
    },
)


def test_two_at_once_replay_everything_once(functions, connect, feed):
    client = connect()
    sent = [feed.event() for _ in range(20)]
    both = [threading.Thread(target=client.register) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert client.ids == sent
    assert client.types.count("registered") == 2


def test_what_is_before_a_new_register_goes_by_the_old_filters(functions, connect, feed):
    client = connect()
    client.register(filters={"types": ["payment"]})
    payment, swap = feed.event("transfer"), feed.event("swap")
    client.register(filters={"types": ["trade"]})
    # These two batches were in the ring, but their push had not read who listens.
    assert feed.pushed(client) == [payment]
    feed.event("transfer")
    newer = feed.event("swap")
    assert feed.pushed(client) == [payment, newer]
    client.register(filters={"types": ["candle"]})
    feed.event("swap")
    assert feed.pushed(client) == [payment, newer]
    assert swap not in client.ids


def test_a_feed_that_is_named_later_begins_then(functions, connect, feed):
    client = connect()
    client.register(filters={"types": ["candle"]})
    feed.event()
    client.register()
    newer = feed.event()
    assert feed.pushed(client) == [newer]
    assert client.ids == []


@pytest.mark.parametrize("stage", ["stream", "candles"])
def test_elsewhere_a_registration_begins_now_and_without_a_welcome(
    functions, connect, feed, stage
):
    client = connect(stage)
    feed.event()
    client.register()
    newer = feed.event()
    assert client.types == ["registered"]
    assert feed.pushed(client) == [newer]


def test_all_feeds_are_registered_again_though_they_never_stand_still_together(
    functions, connect, feed, monkeypatch
):
    """Each time that several heads are read, one of them has moved before the commit."""
    client = connect()
    client.register(filters={"types": ["payment"]})
    read = RingTable.heads

    def heads(ring, sources):
        found = read(ring, asked := list(sources))
        if len(asked) > 1:
            push = threading.Thread(target=feed.event, args=("transfer",))
            push.start()
            push.join()
        return found

    monkeypatch.setattr(RingTable, "heads", heads)
    client.register(filters={"types": ["trade", "price_update", "candle", "depth"]})
    monkeypatch.undo()
    assert client.types == ["welcome", "registered", "registered"]
    assert len(registrations_table().of_connection(client.id)) == 4
    before = feed.pushed(client)
    swaps = [feed.event("swap", partition) for partition in range(3)]
    feed.event("transfer")
    assert feed.pushed(client) == [*before, *swaps]


def test_one_that_dies_between_two_commits_leaves_nothing_from_before_it_to_replay(
    connect, feed
):
    """It had subscribed: what `$connect` noted is not where its registration began."""
    feed.event()
    client = connect()
    subscriptions_table().reserve(connections_table().get("ws", client.id), {}, {})
    died = newcomers_table().begin("ws", client.id, "died", 1)
    assert died.start is None
    assert registrations_table().commit(died, {}, [], resume=False, is_last=False)
    found = newcomers_table().begin("ws", client.id, "next", time.time_ns() // 10**6)
    assert (found.start, found.from_now, found.broke_off) == ({}, True, True)


def test_without_a_ring_everything_from_now_on_is_pushed(functions, connect, feed, monkeypatch):
    monkeypatch.setenv("RING_TOPICS", "")
    settings.settings.cache_clear()
    client = connect()
    client.register()
    newer = feed.event()
    assert client.types == ["welcome", "registered"]
    assert feed.pushed(client)[-1] == newer


def test_cursors_lead_back_to_what_was_missed(functions, connect, feed):
    first = connect()
    feed.event(partition=0)
    feed.event(partition=1)
    feed.event(partition=2)
    first.register(resume=True)
    cursors = [one["cursor"] for one in first.got[2:]]
    missed = feed.event()
    again = connect()
    newer = feed.event()
    again.register(resume=True, **{"from": cursors})
    registered = again.got[1]
    assert registered["recovered"] is True
    assert sorted(registered["cursors"]) == sorted(cursors)
    assert again.ids == [missed, newer]
    assert again.got[-1]["cursor"].startswith("events:events:0:")


def test_without_a_cursor_of_each_source_it_is_not_recovered(functions, connect, feed):
    for partition in range(3):
        feed.event(partition=partition)
    client = connect()
    given_back = ["events:events:0:0", "events:another-life:1:0", "events:events:2:9999"]
    client.register(**{"from": given_back})
    assert client.got[1]["recovered"] is False


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"from": ["events:0"]}, "not a cursor: 'events:0'"),
        ({"filters": {"types": ["payments"]}}, "'payments' is no type of event"),
        ({"filters": {"min_amount": "-3"}}, "`min_amount`"),
        ({"filters": None}, "filters"),
    ],
)
def test_what_is_refused_changes_nothing(functions, connect, feed, members, said):
    client = connect()
    client.register(filters={"types": ["payment"]})
    client.register(**members)
    refused = client.got[-1]
    assert refused["code"] == "VALIDATION_ERROR"
    assert said in refused["detail"]
    assert feed.pushed(client) == []
    assert feed.event("transfer") in feed.pushed(client)


def test_from_is_for_the_first_register(functions, connect):
    client = connect()
    client.register()
    client.register(**{"from": []})
    assert "`from` is for the first" in client.got[-1]["detail"]
    client.register()
    assert client.types[-1] == "registered"


def test_a_connection_that_is_not_known_is_told_to_connect_again(connect):
    client = connect("stream")
    connections_table().forget("stream", client.id)
    client.register()
    [refused] = client.got
    assert refused["code"] == "INTERNAL"
    assert "connect again" in refused["detail"]


def test_forgetting_a_connection_ends_its_registrations(functions, connect, feed):
    client = connect()
    client.register(filters={"types": ["trade", "depth", "candle", "price_update"]})
    assert len(registrations_table().of_connection(client.id)) == 4
    connections_table().forget("ws", client.id)
    assert registrations_table().of_connection(client.id) == {}


@pytest.fixture
def fuzzed(connect):
    return connect("stream")


@hypothesis_settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(FILTERS, st.none() | st.lists(st.text()) | JSON)
def test_any_filters_are_answered(fuzzed, filters, from_):
    before = len(fuzzed.got)
    assert fuzzed.register(filters=filters, **{"from": from_}) == {"statusCode": 200}
    [answer] = fuzzed.got[before:]
    assert answer["type"] == "registered" or answer["code"] == "VALIDATION_ERROR"
    assert answer["type"] == "registered" or answer["detail"]
