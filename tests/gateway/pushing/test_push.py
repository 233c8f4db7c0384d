"""Batches of ticks to real clients: through the real tables, poster, gateway and sockets."""

import threading

import pytest

pytestmark = pytest.mark.services

NEIGHBOUR = "C1USDT"
"""In one partition with BTCUSDT: updates of both are in one order."""


def test_a_client_gets_the_documents_six_members_and_the_exchanges_digits(pusher, subscriber):
    client = subscriber("BTC/USDT")
    report = pusher.push(pusher.tick("45123.50"))
    client.socket.settimeout(10)
    assert client.socket.recv() == (
        '{"type":"price_update","symbol":"BTC/USDT","price":45123.50,"volume":null,'
        '"timestamp":"2025-10-10T14:30:00.000Z","source":"binance"}'
    )
    assert (report["sent"], report["connections"]) == (1, 1)


def test_each_is_answered_in_the_form_used(pusher, subscriber):
    by_symbol, by_ticker = subscriber("BTC/USDT"), subscriber("BTCUSDT")
    by_both = subscriber("BTC/USDT", "BTCUSDT")
    pusher.push(pusher.tick("1.0"), pusher.tick("2.0", "ETHUSDT"))
    assert by_symbol.receive()["symbol"] == "BTC/USDT"
    assert by_ticker.receive()["symbol"] == "BTCUSDT"
    assert {by_both.receive()["symbol"] for _ in range(2)} == {"BTC/USDT", "BTCUSDT"}
    assert all(client.is_silent() for client in (by_symbol, by_ticker, by_both))


def test_each_gets_the_pace_that_it_asked_for(pusher, subscriber):
    client, fast, slow = (
        subscriber("BTC/USDT", **members)
        for members in ({}, {"rate": "250ms"}, {"rate": "10s"})
    )
    pusher.push(
        pusher.tick("1", rates='["250ms"]'),
        pusher.tick("2", rates='["250ms","1s"]'),
        pusher.tick("3", rates='["10s"]'),
    )
    assert (pusher.prices(client, 1), pusher.prices(fast, 2), pusher.prices(slow, 1)) == (
        [2],
        [1, 2],
        [3],
    )
    assert all(one.is_silent() for one in (client, fast, slow))


def test_many_prices_come_in_order(pusher, subscriber):
    client = subscriber("BTC/USDT", NEIGHBOUR)
    records = [pusher.tick(str(n), "BTCUSDT" if n % 3 else NEIGHBOUR) for n in range(60)]
    pusher.push(*records)
    assert pusher.prices(client, 60) == list(range(60))


def test_poison_is_counted_and_passed_over(pusher, subscriber):
    client = subscriber("BTC/USDT")
    good = pusher.tick("7")
    report = pusher.push(
        pusher.record(b"no-colon", b"{}"),
        pusher.record(b"binance:BTCUSDT", b"{not json"),
        pusher.record(b"binance:BTCUSDT", b'{"type":"price_update"}'),
        {**good, "value": "%%%"},
        {**good, "value": None},
        {**good, "key": 5},
        pusher.tick('"NaN"'),
        pusher.tick("true"),
        "not a record",
        {**good, "offset": next(pusher.offsets)},
    )
    assert pusher.prices(client, 1) == [7]
    assert report["poison"] == 9


def test_after_an_outage_only_the_newest_of_each_is_pushed(pusher, subscriber):
    client = subscriber("BTC/USDT", NEIGHBOUR)
    report = pusher.push(
        pusher.tick("1", age_ms=6_000),
        pusher.tick("2", NEIGHBOUR),
        pusher.tick("3"),
        pusher.tick("4"),
    )
    assert pusher.prices(client, 2) == [2, 4]
    assert client.is_silent()
    assert report["cut"] == 2


def test_a_batch_delivered_twice_is_only_pushed_twice(pusher, subscriber):
    client = subscriber("BTC/USDT")
    batch = [pusher.tick("1"), pusher.tick("2")]
    assert pusher.push(*batch)["sent"] == 2
    assert pusher.push(*batch)["sent"] == 2
    assert pusher.prices(client, 4) == [1, 2, 1, 2]


def test_expired_subscriptions_are_not_served(pusher, subscriber):
    """DynamoDB removes expired items days later; until then they are passed over."""
    subscriber("BTC/USDT")
    assert pusher.push(pusher.tick("1"), later_ms=7_600_000)["connections"] == 0


def test_subscribed_comes_before_the_first_update_while_a_pusher_races(pusher, gateway, held):
    stop = threading.Event()
    pushed = []

    def push():
        while not stop.is_set():
            pushed.append(pusher.push(pusher.tick(str(len(pushed)))))

    pushing = threading.Thread(target=push)
    pushing.start()
    try:
        for _ in range(8):
            client = gateway.connect()
            client.send({"type": "subscribe", "symbols": ["BTC/USDT"]})
            assert client.receive()["type"] == "subscribed"
            first = client.receive()
            assert first["type"] == "price_update"
            later = pusher.prices(client, 2)
            assert later == [first["price"] + 1, first["price"] + 2]
            client.send({"type": "unsubscribe"})
            while client.receive()["type"] != "unsubscribed":
                pass
            done = len(pushed)
            client.send({"type": "ping"})
            after = []
            while (message := client.receive())["type"] != "pong":
                after.append(message["price"])
            assert all(price <= done for price in after)
            assert len(after) <= 1
            client.socket.close()
    finally:
        stop.set()
        pushing.join(10)
