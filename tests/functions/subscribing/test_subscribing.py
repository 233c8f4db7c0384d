"""Subscriptions on real tables, with messages of one connection overtaking each other."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.connections import ConnectionsTable, meta_key
from functions.gateway import Outcome
from functions.subscriptions import Shard, SubscriptionsTable
from marketdata.connection_items import LIFE_S
from marketdata.errors import ClientError, GatewayUnavailable
from marketdata.partitions import source_of
from marketdata.ring_items import Source
from marketdata.topics import TICKS

pytestmark = pytest.mark.services

NOW_MS = 4_000_000_000_000
TEN = [f"C{number}/USDT" for number in range(10)]
SEAM = "C26/USDT"
KEY = b"binance:C26USDT"
SOURCE = source_of("ticks", KEY)


def test_nothing_is_served_before_the_confirmation_is_sent(client):
    seen = []
    client.when_told = lambda: seen.append((client.reserved(), client.served()))
    client.subscribe(*TEN[:2])
    assert seen == [(TEN[:2], [])]
    assert client.served() == TEN[:2]


def test_eight_threads_never_hold_more_than_ten_and_never_half_a_message(client):
    """Each wants three others: three messages fit, five are refused whole."""
    names = [[f"C{3 * n + part}/USDT" for part in range(3)] for n in range(8)]
    begin = threading.Barrier(8)
    results = {}

    def subscribe(number):
        begin.wait(10)
        try:
            client.subscribe(*names[number])
            results[number] = None
        except ClientError as error:
            results[number] = error.code

    threads = [threading.Thread(target=subscribe, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    done = [number for number, code in results.items() if code is None]
    assert sorted(results.values(), key=str) == [None] * 3 + ["SUBSCRIPTION_LIMIT"] * 5
    held = sorted(name for number in done for name in names[number])
    assert client.reserved() == held
    every = [name for three in names for name in three]
    assert client.served(every) == held


def test_an_unsubscribe_that_overtakes_leaves_nothing_served(client):
    client.when_told = lambda: client.unsubscribe(TEN[0])
    client.subscribe(*TEN[:2])
    assert client.reserved() == [TEN[1]]
    assert client.served() == [TEN[1]]


def test_a_disconnect_that_overtakes_leaves_nothing_served(client):
    client.when_told = client.forget
    client.subscribe(*TEN[:2])
    assert client.reserved() is None
    assert client.served() == []


def test_a_newer_subscribe_takes_over_from_one_that_was_overtaken(client):
    """The first serves nothing before the second is confirmed; in the end both are."""
    seen = []

    def overtake():
        client.when_told = lambda: seen.append(client.served())
        client.unsubscribe()
        client.subscribe(TEN[0])

    client.when_told = overtake
    client.subscribe(TEN[0])
    assert seen == [[]]
    assert client.served() == [TEN[0]]
    assert len(client.told) == 2


def tick(price, name=SEAM):
    return (
        f'{{"type":"price_update","symbol":"{name}","price":{price},"volume":null,'
        f'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance","rates":["1s"]}}'
    ).encode()


def prices(client):
    return [one["price"] for one in client.told if "price" in one]


def test_what_comes_while_it_is_confirmed_follows_once_and_nothing_older(client, feed):
    """The last price of a burst is among it; a batch from before that comes again is not."""
    feed.put(SOURCE, KEY, tick(1))

    def arrive():
        client.when_told = lambda: None
        feed.put(SOURCE, KEY, tick(2), tick(3))

    client.when_told = arrive
    told = client.subscribe(SEAM)
    assert set(told) == {"type", "symbols", "timestamp"}
    assert prices(client) == [2, 3]
    assert all("cursor" not in one for one in client.told)
    [item] = client.items(SEAM).values()
    head = client.ring.heads([SOURCE])[SOURCE].next
    assert [item.is_due(SOURCE, offset) for offset in (head - 1, head)] == [False, True]


def test_an_instrument_that_is_listed_later_comes_too(client):
    """Its partition may be another one: each of the topic has a cut."""
    client.subscribe(SEAM)
    [item] = client.items(SEAM).values()
    heads = client.ring.heads(Source("ticks", number) for number in range(TICKS.partitions))
    for number in range(TICKS.partitions):
        at = Source("ticks", number)
        assert item.is_due(at, heads[at].next if at in heads else 0)


@pytest.mark.parametrize("before", [{}, {"rate": "10s", "resume": True}])
def test_one_that_fails_after_it_has_begun_leaves_everything_as_it_was(client, feed, before):
    if before:
        client.subscribe(SEAM, **before)
    was = (client.reserved(), client.wanted(), client.items(SEAM))

    def arrive():
        client.when_told = lambda: None
        feed.put(SOURCE, KEY, tick(2), keep=False)  # the ring has lost it

    client.when_told = arrive
    with pytest.raises(ClientError, match="updates were lost while subscribing"):
        client.subscribe(SEAM, TEN[0])
    assert (client.reserved(), client.wanted(), client.items(SEAM)) == was
    assert client.served() == []


def test_a_commit_that_meets_another_is_tried_again_though_it_has_no_source(
    client, monkeypatch
):
    """`rate: all` is not in the ring: nothing is replayed, and it is served all the same."""
    refused = iter([False] * 5)
    serve = SubscriptionsTable.serve
    monkeypatch.setattr(
        SubscriptionsTable, "serve", lambda *given: next(refused, None) or serve(*given)
    )
    client.subscribe(SEAM, rate="all")
    assert list(client.items(SEAM)) == ["prices"]


def test_a_repeated_subscribe_puts_right_what_died_in_between(client):
    class Died(BaseException):
        pass

    def die():
        raise Died

    client.when_told = die
    with pytest.raises(Died):
        client.subscribe(*TEN)
    assert (client.reserved(), client.served()) == (TEN, [])
    client.when_told = lambda: None
    client.subscribe(*TEN)
    assert client.served() == TEN


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.GONE])
def test_a_confirmation_that_cannot_be_sent_changes_nothing(client, outcome):
    client.subscribe(*TEN[:3])
    before = (client.reserved(), client.wanted(), client.items(TEN[2]))
    client.outcome = outcome
    try:
        client.subscribe(*TEN[2:6], rate="10s")
    except GatewayUnavailable:
        assert outcome is Outcome.THROTTLED
    else:
        assert outcome is Outcome.GONE
    assert (client.reserved(), client.wanted(), client.items(TEN[2])) == before
    assert client.served() == TEN[:3]


def test_a_connection_that_is_not_known_is_told_to_connect_again(client):
    client.forget()
    with pytest.raises(ClientError, match="connect again") as refused:
        client.subscribe(TEN[0])
    assert refused.value.code == "INTERNAL"
    assert client.unsubscribe() == []
    assert client.served() == []


def test_forgetting_twice_is_harmless_and_takes_every_feed(client):
    client.subscribe(*TEN[:2], channels=("prices",))
    client.subscribe(TEN[2], rate="all")
    client.forget()
    client.forget([TEN[5]])
    assert client.served() == []


def test_subscriptions_expire_with_their_connection(client):
    client.subscribe(TEN[0])

    def found(now_s):
        return [
            one
            for shard in client.subscriptions.shards("ticks", TEN[0])
            for one in client.subscriptions.subscribers(shard, now_s)
            if one.connection_id == client.id
        ]

    [subscriber] = found(NOW_MS // 1000 + LIFE_S - 1)
    assert subscriber.connected_ms == NOW_MS
    assert found(NOW_MS // 1000 + LIFE_S) == []


def test_a_message_is_a_sign_of_life_that_is_written_once_a_minute(client, database):
    def written():
        key = meta_key(client.stage, client.id)
        found = database.get_item(TableName=client.table.table, Key=key, ConsistentRead=True)
        return found["Item"].get("last_in_ms", {}).get("N")

    for later_ms, seen_ms in ((0, 0), (59_999, 0), (60_001, 60_001)):
        client.table.touch(client.stage, client.id, NOW_MS + later_ms)
        ConnectionsTable(database, client.table.table).touch(
            client.stage, client.id, NOW_MS + later_ms
        )
        assert written() == str(NOW_MS + seen_ms)
    client.forget()
    client.table.touch(client.stage, client.id, NOW_MS + 300_000)
    assert client.reserved() is None


def test_more_subscribers_than_a_page_holds_are_all_found(database, table_variables):
    """A page of DynamoDB ends at one megabyte; fifteen items of 100 KB are two."""
    table = ConnectionsTable(database, table_variables["CONNECTIONS_TABLE"])
    for number in range(15):
        item = {
            "pk": {"S": "SUB#ticks#MANY#0"},
            "sk": {"S": f"{number}="},
            "stage": {"S": "stream"},
            "connected_ms": {"N": "1"},
            "exp": {"N": "99999999999"},
            "padding": {"S": "x" * 100_000},
        }
        database.put_item(TableName=table.table, Item=item)
    found = SubscriptionsTable(database, table).subscribers(Shard("ticks", "MANY", 0), 0)
    assert {one.connection_id for one in found} == {f"{number}=" for number in range(15)}


ACTIONS = st.one_of(
    st.tuples(st.just("subscribe"), st.sampled_from(["1s", "all"])),
    st.tuples(st.just("unsubscribe"), st.sampled_from([None, ("prices",), ("depth",)])),
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    plan=st.lists(
        st.tuples(
            ACTIONS,
            st.lists(st.sampled_from(TEN[:4]), min_size=1, max_size=3, unique=True),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_however_messages_overtake_each_other_both_halves_agree(new_client, plan):
    """Each message of the plan is handled while the one before it waits for its post."""
    client = new_client()
    waiting = list(plan)

    def next_one():
        if waiting:
            (kind, detail), names = waiting.pop(0)
            if kind == "subscribe":
                client.subscribe(*names, rate=detail)
            else:
                client.unsubscribe(*names, channels=detail)

    client.when_told = next_one
    while waiting:
        next_one()
    served = {name: sorted(client.items(name)) for name in client.served()}
    assert served == {name: sorted(feeds) for name, feeds in client.wanted().items()}
    assert client.reserved() == sorted(client.wanted())
