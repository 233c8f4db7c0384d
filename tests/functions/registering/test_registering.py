"""The first `register` of a connection: `welcome`, `registered`, replay, then live."""

import threading
import time

import pytest

from functions import newcomers, settings, welcome
from functions.tables import connections_table, newcomers_table, subscriptions_table

pytestmark = pytest.mark.services


def new_event(connection_id):
    return {"connection_id": connection_id, "stage": "ws", "connected_ms": 1}


def test_whoever_registers_first_is_welcomed_first_and_only_once(functions, connect):
    client = connect()
    client.register()
    welcome.handler(new_event(client.id), None)
    client.register()
    assert client.types == ["welcome", "registered", "registered"]
    expected = {"types": [], "account_ids": [], "asset_codes": [], "min_amount": ""}
    first = client.got[0]
    assert first["format"] == {"type": "register", "filters": expected}


def test_a_young_connection_that_is_not_there_yet_is_welcomed_once_it_is(functions, connect):
    client = connect()
    functions.answers[client.id] = [410, 410, 200]
    welcome.handler(new_event(client.id), None)
    client.register()
    assert client.types == ["welcome", "registered"]


def test_registered_never_overtakes_a_welcome_that_is_on_its_way(functions, connect):
    client = connect()
    on_its_way, go_on = threading.Event(), threading.Event()

    def hold(_, body):
        if b'"welcome"' in body:
            on_its_way.set()
            go_on.wait(5)

    functions.on_post = hold
    saying = threading.Thread(target=welcome.handler, args=(new_event(client.id), None))
    saying.start()
    assert on_its_way.wait(5)
    registering = threading.Thread(target=client.register)
    registering.start()
    registering.join(0.3)
    assert client.types == ["welcome"]
    go_on.set()
    saying.join()
    registering.join()
    assert client.types == ["welcome", "registered"]


def test_whoever_dies_over_the_welcome_is_replaced(functions, connect, monkeypatch):
    monkeypatch.setattr(newcomers, "WELCOME_CLAIM_MS", 300)
    client = connect()
    newcomers_table().claim_welcome("ws", client.id, "dead", time.time_ns() // 1_000_000)
    client.register()
    assert client.types == ["welcome", "registered"]


def test_filters_are_echoed_complete(functions, connect):
    client = connect()
    client.register(filters={"types": None, "asset_codes": ["USDC"], "min_amount": 100})
    assert client.got[1] == {
        "type": "registered",
        "message": "Registration successful, processing queued events",
        "filters": {
            "types": [],
            "account_ids": [],
            "asset_codes": ["USDC"],
            "min_amount": 100,
        },
    }


def test_what_came_since_connecting_is_replayed_where_it_matches(functions, connect, feed):
    feed.event()
    client = connect()
    wanted = [feed.event("swap", partition=2)]
    feed.event("transfer", partition=2)
    wanted.append(feed.event("trade", partition=2))
    client.register(filters={"types": ["trade"]})
    assert client.ids == wanted
    assert feed.pushed(client) == []
    newer = feed.event("swap", partition=2)
    feed.event("transfer")
    assert feed.pushed(client) == [newer]


def test_beyond_the_queue_one_error_tells_how_many_were_dropped(
    functions, connect, feed, monkeypatch
):
    monkeypatch.setenv("MAX_QUEUE_SIZE", "3")
    settings.settings.cache_clear()
    client = connect()
    kept = [feed.event() for _ in range(7)][:3]
    client.register()
    assert client.ids == kept
    assert client.types[-2:] == ["contract_event", "error"]
    last = client.got[-1]
    assert (last["code"], last["message"]) == ("QUEUE_FULL", "message queue full")
    assert last["dropped"] == 4


def test_what_the_ring_still_has_comes_though_older_events_are_gone(functions, connect, feed):
    """Nobody knows how many are gone: `dropped` is not there."""
    client = connect()
    feed.event(has_expired=True)
    kept = [feed.event()]
    feed.event(has_expired=True)
    kept.append(feed.event())
    client.register()
    assert client.ids == kept
    assert client.got[-1]["code"] == "QUEUE_FULL"
    assert "dropped" not in client.got[-1]


def test_an_event_that_no_message_can_hold_is_told_as_dropped(functions, connect, feed):
    client = connect()
    sent = [feed.event() for _ in range(3)]
    functions.answers[client.id] = [200, 200, 200, 413]
    client.register()
    assert client.ids == [sent[0], sent[2]]
    assert (client.got[-1]["code"], client.got[-1]["dropped"]) == ("QUEUE_FULL", 1)


def test_that_the_queue_was_full_is_told_once_though_not_at_the_first_try(
    functions, connect, feed, monkeypatch
):
    monkeypatch.setenv("MAX_QUEUE_SIZE", "1")
    settings.settings.cache_clear()
    client = connect()
    kept = [feed.event() for _ in range(3)][:1]
    # The welcome, the confirmation and the event pass, then it is throttled twice.
    functions.answers[client.id] = [200, 200, 200, 429, 429]
    client.register()
    assert client.got[-1]["code"] == "INTERNAL"
    client.register()
    client.register()
    told = [one for one in client.got if one.get("code") == "QUEUE_FULL"]
    assert (client.ids, [one["dropped"] for one in told]) == (kept, [2])


def test_a_replay_that_broke_off_goes_on_where_it_was(functions, connect, feed):
    client = connect()
    sent = [feed.event() for _ in range(4)]
    # The welcome, the confirmation and two events pass; the third is throttled twice.
    functions.answers[client.id] = [200, 200, 200, 200, 429, 429, 200]
    client.register()
    assert client.ids == sent[:2]
    assert client.got[-1]["code"] == "INTERNAL"
    assert feed.pushed(client) == []
    client.register()
    assert client.ids == sent


def test_who_subscribed_first_begins_now_in_each_feed_though_a_register_broke_off(
    functions, connect, feed
):
    """The ring's older events are not for one that began by `subscribe,BTC-USD`."""
    feed.event(partition=1)
    client = connect()
    subscriptions_table().reserve(connections_table().get("ws", client.id), {}, {})
    feed.event()
    functions.answers[client.id] = [200, 429, 429]  # the welcome passes
    client.register(filters={"types": ["depth"]})
    assert client.got[-1]["code"] == "INTERNAL"
    feed.event()
    client.register()
    assert client.types[-1] == "registered"
    assert feed.pushed(client) == []
    newer = feed.event(partition=2)
    assert (client.ids, feed.pushed(client)) == ([], [newer])
