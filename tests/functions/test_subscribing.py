"""Subscriptions on real tables, with messages of one connection overtaking each other."""

import json
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.connections import LIFE_S, ConnectionsTable, Shard
from functions.gateway import Outcome
from functions.instruments import InstrumentsTable
from functions.logic.subscribing import Subscribing, end_subscriptions
from marketdata.client_protocol import Subscribe, Unsubscribe
from marketdata.errors import ClientError, GatewayUnavailable

pytestmark = pytest.mark.services

NOW_MS = 4_000_000_000_000  # DynamoDB removes what has expired by its own clock
TEN = [f"C{number}/USDT" for number in range(10)]


class Client:
    """One connection, its subscribes and what it was told."""

    counter = 0

    def __init__(self, database, variables, outcome=Outcome.SENT):
        Client.counter += 1
        self.id = f"client-{Client.counter}-{time.monotonic_ns()}="
        self.table = ConnectionsTable(database, variables["CONNECTIONS_TABLE"])
        instruments = InstrumentsTable(database, variables["INSTRUMENTS_TABLE"])
        self.outcome = outcome
        self.told = []
        self.when_told = lambda: None
        self.subscribing = Subscribing(self.table, instruments, self._post)
        self.open()

    def open(self):
        self.table.open(self.id, key_id="key-1", stage="stream", connected_ms=NOW_MS)

    def _post(self, connection_id, text):
        assert connection_id == self.id
        self.told.append(json.loads(text))
        self.when_told()
        return self.outcome

    def subscribe(self, *names):
        self.subscribing.subscribe(self.id, Subscribe(names), NOW_MS)

    def unsubscribe(self, *names):
        message = Unsubscribe(names or None)
        return json.loads(end_subscriptions(self.table, self.id, message, NOW_MS))["symbols"]

    def reserved(self):
        found = self.table.get(self.id)
        return None if found is None else sorted(found.names)

    def served(self, names=TEN):
        return sorted(
            name
            for name in names
            for shard in self.table.shards(name)
            for one in self.table.subscribers(shard, NOW_MS // 1000)
            if one.connection_id == self.id
        )


@pytest.fixture
def client(database, table_variables):
    return Client(database, table_variables)


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
    client.when_told = lambda: client.table.forget(client.id)
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


def test_a_confirmation_that_cannot_be_sent_changes_nothing(client):
    client.subscribe(*TEN[:3])
    client.outcome = Outcome.THROTTLED
    with pytest.raises(GatewayUnavailable):
        client.subscribe(*TEN[2:6])
    assert client.reserved() == TEN[:3]
    assert client.served() == TEN[:3]
    client.outcome = Outcome.GONE
    client.subscribe(*TEN[2:6])
    assert client.reserved() == TEN[:3]


def test_a_connection_that_is_not_known_is_told_to_connect_again(client):
    client.table.forget(client.id)
    with pytest.raises(ClientError, match="connect again") as refused:
        client.subscribe(TEN[0])
    assert refused.value.code == "INTERNAL"
    assert client.unsubscribe() == []
    assert client.served() == []


def test_forgetting_twice_is_harmless_and_takes_what_was_seen(client):
    client.subscribe(*TEN[:2])
    client.table.forget(client.id)
    client.table.forget(client.id, [TEN[5]])
    assert client.served() == []


def test_subscriptions_expire_with_their_connection(client):
    client.subscribe(TEN[0])
    [subscriber] = [
        one
        for shard in client.table.shards(TEN[0])
        for one in client.table.subscribers(shard, NOW_MS // 1000 + LIFE_S - 1)
        if one.connection_id == client.id
    ]
    assert subscriber.connected_ms == NOW_MS
    assert not any(
        client.table.subscribers(Shard(TEN[0], number), NOW_MS // 1000 + LIFE_S)
        for number in range(4)
    )


def test_more_subscribers_than_a_page_holds_are_all_found(database, table_variables):
    """A page of DynamoDB ends at one megabyte; fifteen items of 100 KB are two."""
    table = table_variables["CONNECTIONS_TABLE"]
    for number in range(15):
        item = {
            "pk": {"S": "SYM#MANY#0"},
            "sk": {"S": f"{number}="},
            "connected_ms": {"N": "1"},
            "exp": {"N": "99999999999"},
            "padding": {"S": "x" * 100_000},
        }
        database.put_item(TableName=table, Item=item)
    found = ConnectionsTable(database, table).subscribers(Shard("MANY", 0), 0)
    assert {one.connection_id for one in found} == {f"{number}=" for number in range(15)}


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    plan=st.lists(
        st.tuples(
            st.sampled_from(["subscribe", "unsubscribe"]),
            st.lists(st.sampled_from(TEN[:4]), min_size=1, max_size=3, unique=True),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_however_messages_overtake_each_other_both_halves_agree(
    database, table_variables, plan
):
    """Each message of the plan is handled while the one before it waits for its post."""
    client = Client(database, table_variables)
    waiting = list(plan)

    def next_one():
        if waiting:
            kind, names = waiting.pop(0)
            getattr(client, kind)(*names)

    client.when_told = next_one
    while waiting:
        next_one()
    assert client.served() == client.reserved()
