"""Everybody who listens by one read is who the parts of each name and feed say."""

import random

import pytest

from functions.connections import ConnectionsTable
from functions.listeners import LARGE_S, Listeners, ListenersTable
from functions.registrations import RegistrationsTable
from functions.subscriptions import SubscriptionsTable
from marketdata.connection_items import SHARDS, shard_of, subscriptions_pk
from marketdata.event_filters import FEEDS
from marketdata.subscriptions import CHANNEL_FEEDS

NAMES = ("BTC/USDT", "BTC/USD", "A#B/C")
NOW_S = 1_800_000_000


def item(rng, number):
    """One of whatever is in the table; a part of it is over."""
    exp = {"N": str(NOW_S + rng.choice((-1, 60)))}
    id_ = f"{number}="
    common = {"stage": {"S": "stream"}, "connected_ms": {"N": "7"}, "exp": exp}
    shard = shard_of(id_)
    match rng.choice(("SUB", "SUB", "SUB", "REG", "CONN", "LATE")):
        case "SUB":
            pk = subscriptions_pk(rng.choice(CHANNEL_FEEDS), rng.choice(NAMES), shard)
            own = {"rate": {"S": rng.choice(("1s", "10s"))}}
        case "REG":
            pk = f"REG#{rng.choice(FEEDS)}#{shard}"
            own = {"filters": {"S": ""}, "cursors": {"BOOL": True}, "before": {"L": []}}
        case "CONN":
            pk, own = f"CONN#stream#{shard}", {"symbols": {"M": {}}}
        case _:
            pk, own = "LATE", {"at_ns": {"N": "1"}}
    return {"pk": {"S": pk}, "sk": {"S": id_}, **common, **own}


@pytest.fixture
def table(new_tables):
    """A table of this test's own."""
    return new_tables()["CONNECTIONS_TABLE"]


def test_one_read_finds_whom_the_parts_name(database, table):
    rng = random.Random(11)
    for number in range(120):
        database.put_item(TableName=table, Item=item(rng, number))
    found = ListenersTable(database, table).all(NOW_S)
    subscriptions = SubscriptionsTable(database, ConnectionsTable(database, table))
    registrations = RegistrationsTable(database, table)
    for feed in CHANNEL_FEEDS:
        for name in NAMES:
            shards = subscriptions.shards(feed, name)
            wanted = [one for each in shards for one in subscriptions.subscribers(each, NOW_S)]
            assert by_id(found.subscribers.get((feed, name), [])) == by_id(wanted)
    for feed in FEEDS:
        wanted = [
            one for shard in range(SHARDS) for one in registrations.of_feed(feed, shard, NOW_S)
        ]
        assert by_id(found.registrations.get(feed, [])) == by_id(wanted)
    assert sum(map(len, found.subscribers.values())) > 20
    assert sum(map(len, found.registrations.values())) > 5


def by_id(found):
    return sorted(found, key=lambda one: one.connection_id)


def test_a_table_with_more_than_a_page_is_not_read_again_for_a_minute(database, table):
    rng, now_s, asked = random.Random(12), [100.0], []
    for number in range(9):
        database.put_item(TableName=table, Item=item(rng, number))
    database.meta.events.register("before-call.dynamodb.Scan", lambda **_: asked.append(1))
    listeners = ListenersTable(database, table, most_items=5, clock=lambda: now_s[0])
    assert listeners.all(NOW_S) is None
    now_s[0] += LARGE_S - 1
    assert listeners.all(NOW_S) is None
    assert len(asked) == 1
    now_s[0] += 2
    for one in database.scan(TableName=table)["Items"]:
        database.delete_item(TableName=table, Key={"pk": one["pk"], "sk": one["sk"]})
    assert listeners.all(NOW_S) == Listeners({}, {})
