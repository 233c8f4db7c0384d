"""Cursors: a subscription that goes on where another ended."""

from dataclasses import replace

import pytest

from functions.gateway import Outcome
from marketdata.errors import ClientError
from marketdata.partitions import source_of
from marketdata.ring_items import Source, parse_cursor
from marketdata.topics import TICKS

pytestmark = pytest.mark.services

KEY = b"binance:C25USDT"
NAME = "C25/USDT"
SOURCE = source_of("ticks", KEY)


def tick(price, rates='["1s"]'):
    return (
        f'{{"type":"price_update","symbol":"{NAME}","price":{price},"volume":null,'
        f'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance","rates":{rates}}}'
    ).encode()


def updates(client):
    return [(one["price"], one["cursor"]) for one in client.told if "price" in one]


def cuts(client):
    """One in each partition of the topic, where its head stands."""
    sources = [Source("ticks", number) for number in range(TICKS.partitions)]
    heads = client.ring.heads(sources)
    return {at: heads[at].next if at in heads else 0 for at in sources}


def test_the_confirmation_has_the_places_of_its_sources_and_updates_their_cursors(client, feed):
    [last] = feed.put(SOURCE, KEY, tick(0))

    def arrive():
        client.when_told = lambda: None
        arrive.cursors = feed.put(SOURCE, KEY, tick(1), tick(2, '["250ms"]'), tick(3))

    client.when_told = arrive
    told = client.subscribe(NAME, resume=True)
    assert told["cursors"] == [last]
    assert "recovered" not in told
    assert updates(client) == [(1, arrive.cursors[0]), (3, arrive.cursors[2])]
    [item] = client.items(NAME).values()
    assert item.cursors
    assert item.cuts == cuts(client)
    assert item.cuts[SOURCE] == parse_cursor(arrive.cursors[2]).offset + 1


def test_from_a_cursor_everything_after_it_comes_once(client, feed):
    cursors = feed.put(SOURCE, KEY, tick(1), tick(2), tick(3))
    told = client.subscribe(NAME, resume=True, from_=(cursors[0], "events:x:1:5"))
    assert (told["recovered"], told["cursors"]) == (True, [cursors[0]])
    assert updates(client) == [(2, cursors[1]), (3, cursors[2])]
    assert client.told[0] == told


def test_from_the_newest_cursor_nothing_comes_again(client, feed):
    cursors = feed.put(SOURCE, KEY, tick(1), tick(2))
    assert client.subscribe(NAME, from_=(cursors[1],))["recovered"]
    assert updates(client) == []


def test_of_two_lives_of_a_topic_the_cursor_of_the_present_one_counts(client, feed):
    cursors = feed.put(SOURCE, KEY, tick(1), tick(2))
    older = f"ticks:older:{SOURCE.partition}:900"
    for given in ((older, cursors[0]), (cursors[0], older)):
        assert client.subscribe(NAME, resume=True, from_=given)["recovered"] is True
    assert updates(client) == [(2, cursors[1])] * 2


@pytest.mark.parametrize("case", ["none", "another life", "ahead", "a hole", "too many"])
def test_what_cannot_be_recovered_is_said_and_it_begins_now(new_client, feed, case):
    client = new_client(most=2)
    cursors = feed.put(SOURCE, KEY, tick(1), tick(2), tick(3), tick(4))
    given = cursors[1]
    if case == "a hole":
        feed.put(SOURCE, KEY, tick(5), keep=False)
    newest = client.ring.heads([SOURCE])[SOURCE].next - 1
    given = {
        "none": (),
        "another life": (f"ticks:older:{SOURCE.partition}:{newest}",),
        "ahead": (f"ticks:ticks:{SOURCE.partition}:{newest + 1}",),
        "a hole": (cursors[1],),
        "too many": (cursors[0],),
    }[case]
    told = client.subscribe(NAME, resume=True, from_=given)
    assert told["recovered"] is False
    assert told["cursors"] == [f"ticks:ticks:{SOURCE.partition}:{newest}"]
    assert updates(client) == []
    assert list(client.items(NAME)) == ["ticks"]


def test_behind_a_hole_everything_comes_and_the_place_is_behind_it(client, feed):
    [given, _] = feed.put(SOURCE, KEY, tick(1), tick(2))
    [lost] = feed.put(SOURCE, KEY, tick(3), keep=False)
    kept = feed.put(SOURCE, KEY, tick(4), tick(5))
    told = client.subscribe(NAME, resume=True, from_=(given,))
    assert (told["recovered"], told["cursors"]) == (False, [lost])
    assert updates(client) == [(4, kept[0]), (5, kept[1])]


def test_a_topic_that_is_not_in_the_ring_is_never_recovered_but_served(client, feed):
    told = client.subscribe(NAME, rate="all", from_=())
    assert told["recovered"] is False
    [item] = client.items(NAME).values()
    assert (item.cursors, item.cuts) == (True, None)


@pytest.mark.parametrize(
    "bad",
    ["", "ticks:1:2", "ticks:a:0:-1", "ticks:a:0:" + "9" * 21, "ticks:a:" + "9" * 5000 + ":1"],
)
def test_a_cursor_that_is_none_is_named_and_nothing_changes(client, bad):
    with pytest.raises(ClientError) as refused:
        client.subscribe(NAME, from_=(bad,))
    assert refused.value.code == "VALIDATION_ERROR"
    assert bad[:20] in str(refused.value)
    assert (client.told, client.reserved()) == ([], [])


def test_asking_to_resume_later_puts_cursors_on_what_is_served_and_replays_nothing(
    client, feed
):
    client.subscribe(NAME)
    [before] = client.items(NAME).values()
    client.when_told = lambda: feed.put(SOURCE, KEY, tick(9))
    client.subscribe(NAME, resume=True)
    assert updates(client) == []
    [item] = client.items(NAME).values()
    assert (before.cursors, item) == (False, replace(before, cursors=True))


def test_a_repeated_subscribe_changes_nothing_of_one_that_resumes(client, feed):
    client.subscribe(NAME, resume=True)
    before = client.items(NAME)
    client.when_told = lambda: feed.put(SOURCE, KEY, tick(9))
    client.subscribe(NAME)
    assert (updates(client), client.items(NAME)) == ([], before)


def test_a_client_that_leaves_in_the_middle_of_what_it_missed_is_served_nothing(client, feed):
    cursors = feed.put(SOURCE, KEY, tick(1), tick(2))

    def leave():
        client.outcome = Outcome.GONE

    client.when_told = lambda: client.told[1:] and leave()
    with pytest.raises(Exception, match="missed updates were sent"):
        client.subscribe(NAME, from_=(cursors[0],))
    assert (client.items(NAME), client.reserved()) == ({}, [])
