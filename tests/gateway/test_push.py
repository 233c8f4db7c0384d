"""Batches of ticks to real clients: through the real tables, poster, gateway and sockets."""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config

from functions.connections import ConnectionsTable
from functions.event_loop import LoopThread
from functions.gateway import ManagementApi
from functions.logic.pushing import Pushing
from functions.logic.slow_connections import SlowConnections
from functions.posting import ClientPosts
from functions.signing import Credentials
from marketdata.errors import GatewayUnavailable, StoreUnavailable

pytestmark = pytest.mark.services

FOR_EVER = float("inf")
YOUNG_MS = 30_000


def now_ms():
    return time.time_ns() // 1_000_000


def tick(price, ticker="BTCUSDT", *, rates='["1s"]', age_ms=0):
    symbol = f"{ticker.removesuffix('USDT')}/USDT"
    value = (
        f'{{"type":"price_update","symbol":"{symbol}","price":{price},"volume":null,'
        f'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance","rates":{rates}}}'
    )
    return record(f"binance:{ticker}".encode(), value.encode(), age_ms=age_ms)


def record(key, value, *, age_ms=0):
    return {
        "topic": "ticks",
        "partition": 0,
        "offset": 0,
        "timestamp": now_ms() - age_ms,
        "timestampType": "LOG_APPEND_TIME",
        "headers": [],
        "key": base64.b64encode(key).decode(),
        "value": base64.b64encode(value).decode(),
    }


def event(*records):
    return {"eventSource": "aws:kafka", "records": {"ticks-0": list(records)}}


class Pusher:
    """The logic of the function `push`, joined to the gateway of the test."""

    def __init__(self, endpoint, tables, table_endpoint=None):
        client = boto3.client(
            "dynamodb",
            endpoint_url=table_endpoint or tables["AWS_ENDPOINT_URL_DYNAMODB"],
            config=Config(
                max_pool_connections=32, connect_timeout=1, retries={"total_max_attempts": 1}
            ),
        )
        api = ManagementApi(
            endpoint, region="us-east-1", credentials=lambda: Credentials("local", "secret")
        )
        self.posts = ClientPosts(api, LoopThread())
        self.readers = ThreadPoolExecutor(8)
        self.pushing = Pushing(
            connections=ConnectionsTable(client, tables["CONNECTIONS_TABLE"]),
            posts=self.posts,
            readers=self.readers,
            slow=SlowConnections(),
            clock=time.monotonic,
        )

    def push(self, *records, later_ms=0, until_s=FOR_EVER):
        return self.pushing.push(event(*records), now_ms=now_ms() + later_ms, until_s=until_s)

    def close(self):
        self.posts.close()
        self.readers.shutdown()


@pytest.fixture
def pusher(gateway, tables):
    pusher = Pusher(f"{gateway.api}/_management/stream", tables)
    yield pusher
    pusher.close()


def prices(client, count):
    return [client.receive()["price"] for _ in range(count)]


def test_a_client_gets_the_documents_six_members_and_the_exchanges_digits(pusher, subscriber):
    client = subscriber("BTC/USDT")
    report = pusher.push(tick("45123.50"))
    client.socket.settimeout(10)
    assert client.socket.recv() == (
        '{"type":"price_update","symbol":"BTC/USDT","price":45123.50,"volume":null,'
        '"timestamp":"2025-10-10T14:30:00.000Z","source":"binance"}'
    )
    assert (report["sent"], report["connections"]) == (1, 1)


def test_each_is_answered_in_the_form_used(pusher, subscriber):
    by_symbol, by_ticker = subscriber("BTC/USDT"), subscriber("BTCUSDT")
    by_both = subscriber("BTC/USDT", "BTCUSDT")
    pusher.push(tick("1.0"), tick("2.0", "ETHUSDT"))
    assert by_symbol.receive()["symbol"] == "BTC/USDT"
    assert by_ticker.receive()["symbol"] == "BTCUSDT"
    assert {by_both.receive()["symbol"] for _ in range(2)} == {"BTC/USDT", "BTCUSDT"}
    assert all(client.is_silent() for client in (by_symbol, by_ticker, by_both))


def test_only_the_pace_of_a_second_is_pushed(pusher, subscriber):
    client = subscriber("BTC/USDT")
    report = pusher.push(
        tick("1", rates='["250ms"]'),
        tick("2", rates='["250ms","1s"]'),
        tick("3", rates='["10s"]'),
    )
    assert prices(client, 1) == [2]
    assert client.is_silent()
    assert report["other_pace"] == 2


def test_many_prices_come_in_order(pusher, subscriber):
    client = subscriber("BTC/USDT", "ETH/USDT")
    records = [tick(str(n), "BTCUSDT" if n % 3 else "ETHUSDT") for n in range(60)]
    pusher.push(*records)
    assert prices(client, 60) == list(range(60))


def test_poison_is_counted_and_passed_over(pusher, subscriber):
    client = subscriber("BTC/USDT")
    good = tick("7")
    report = pusher.push(
        record(b"no-colon", b"{}"),
        record(b"binance:BTCUSDT", b"{not json"),
        record(b"binance:BTCUSDT", b'{"type":"price_update"}'),
        {**good, "value": "%%%"},
        {**good, "value": None},
        {**good, "key": 5},
        tick('"NaN"'),
        tick("true"),
        "not a record",
        good,
    )
    assert prices(client, 1) == [7]
    assert report["poison"] == 9


def test_after_an_outage_only_the_newest_of_each_is_pushed(pusher, subscriber):
    client = subscriber("BTC/USDT", "ETH/USDT")
    report = pusher.push(tick("1", age_ms=6_000), tick("2", "ETHUSDT"), tick("3"), tick("4"))
    assert prices(client, 2) == [2, 4]
    assert client.is_silent()
    assert report["cut"] == 2


def test_a_batch_delivered_twice_is_only_pushed_twice(pusher, subscriber):
    client = subscriber("BTC/USDT")
    batch = [tick("1"), tick("2")]
    assert pusher.push(*batch)["sent"] == 2
    assert pusher.push(*batch)["sent"] == 2
    assert prices(client, 4) == [1, 2, 1, 2]


def test_a_connection_that_is_gone_is_forgotten(pusher, gateway, subscriber, held, wait_until):
    gone, other = subscriber("BTC/USDT", "ETH/USDT"), subscriber("BTC/USDT")
    gateway.fault("no_disconnect", connection=gone.id)
    gone.socket.shutdown()
    wait_until(lambda: len(gateway.connections()) == 1, 5, "the end of the connection")
    batch = [tick(price, age_ms=-YOUNG_MS) for price in ("1", "2")]
    report = pusher.push(*batch, later_ms=YOUNG_MS)
    assert (report["gone"], report["forgotten"], report["skipped"]) == (1, 1, 1)
    assert held(gone.id).reserved is None
    assert held(gone.id).served == []
    assert prices(other, 2) == [1, 2]


def test_410_on_a_young_connection_is_not_a_goodbye(pusher, gateway, subscriber, held):
    client = subscriber("BTC/USDT")
    gateway.fault("gone", connection=client.id)
    report = pusher.push(tick("1"))
    assert (report["gone"], report["forgotten"]) == (1, 0)
    assert held(client.id).served == ["BTC/USDT"]
    pusher.push(tick("2"))
    assert prices(client, 1) == [2]


def test_one_429_is_tried_again_and_nothing_is_lost(pusher, gateway, subscriber):
    client = subscriber("BTC/USDT")
    gateway.fault("throttled", connection=client.id)
    assert pusher.push(tick("1"), tick("2"))["retried"] == 1
    assert prices(client, 2) == [1, 2]


def test_after_a_second_429_the_rest_of_the_batch_is_left_out(pusher, gateway, subscriber):
    client, other = subscriber("BTC/USDT"), subscriber("BTC/USDT")
    gateway.fault("throttled", connection=client.id, times=2)
    report = pusher.push(tick("1"), tick("2"), tick("3"))
    assert (report["throttled"], report["skipped"]) == (1, 2)
    assert prices(other, 3) == [1, 2, 3]
    pusher.push(tick("4"))
    assert prices(client, 1) == [4]


def test_413_drops_that_message_alone(pusher, gateway, subscriber):
    client = subscriber("BTC/USDT")
    gateway.fault("too_large", connection=client.id)
    assert pusher.push(tick("1"), tick("2"))["too_large"] == 1
    assert prices(client, 1) == [2]


def test_a_dead_client_does_not_hold_up_the_others(pusher, gateway, subscriber):
    """The others have the whole batch while the post to the dead one still hangs."""
    dead, *others = (subscriber("BTC/USDT") for _ in range(4))
    gateway.fault("hang", connection=dead.id, seconds=4)
    reports = []
    pushing = threading.Thread(
        target=lambda: reports.append(pusher.push(*(tick(str(n)) for n in range(20))))
    )
    pushing.start()
    assert [prices(other, 20) for other in others] == [list(range(20))] * 3
    assert pushing.is_alive()
    pushing.join(10)
    assert (reports[0]["timed_out"], reports[0]["skipped"], reports[0]["sent"]) == (1, 19, 60)
    assert pusher.push(tick("20"))["paused"] == 1
    assert [prices(other, 1) for other in others] == [[20]] * 3


def test_no_post_begins_after_the_deadline(pusher, subscriber):
    client = subscriber("BTC/USDT")
    report = pusher.push(tick("1"), tick("2"), until_s=time.monotonic() - 1)
    assert (report["skipped"], report["sent"]) == (2, 0)
    assert client.is_silent()


@pytest.mark.parametrize("kind", ["error", "forbidden"])
def test_a_management_api_that_fails_as_a_whole_raises(pusher, gateway, subscriber, kind):
    subscriber("BTC/USDT")
    subscriber("BTC/USDT")
    gateway.fault(kind, times=8)
    with pytest.raises(GatewayUnavailable, match="no client could be sent to"):
        pusher.push(tick("1"))


def test_a_management_api_that_fails_for_one_client_does_not_raise(pusher, gateway, subscriber):
    broken, other = subscriber("BTC/USDT"), subscriber("BTC/USDT")
    gateway.fault("error", connection=broken.id, times=2)
    assert pusher.push(tick("1"))["failed"] == 1
    assert prices(other, 1) == [1]


def test_a_management_api_that_is_not_there_raises(tables, subscriber, free_port):
    subscriber("BTC/USDT")
    pusher = Pusher(f"http://127.0.0.1:{free_port}/_management/stream", tables)
    with pytest.raises(GatewayUnavailable, match="unreachable"):
        pusher.push(tick("1"))
    pusher.close()


def test_a_database_that_is_not_there_raises(gateway, tables, free_port):
    pusher = Pusher(gateway.api, tables, table_endpoint=f"http://127.0.0.1:{free_port}")
    with pytest.raises(StoreUnavailable, match="reading the subscribers failed"):
        pusher.push(tick("1"))
    pusher.close()


def test_expired_subscriptions_are_not_served(pusher, subscriber):
    """DynamoDB removes expired items days later; until then they are passed over."""
    subscriber("BTC/USDT")
    assert pusher.push(tick("1"), later_ms=7_600_000)["connections"] == 0


def test_subscribed_comes_before_the_first_update_while_a_pusher_races(pusher, gateway, held):
    stop = threading.Event()
    pushed = []

    def push():
        while not stop.is_set():
            pushed.append(pusher.push(tick(str(len(pushed)))))

    pushing = threading.Thread(target=push)
    pushing.start()
    try:
        for _ in range(15):
            client = gateway.connect()
            client.send({"type": "subscribe", "symbols": ["BTC/USDT"]})
            assert client.receive()["type"] == "subscribed"
            first = client.receive()
            assert first["type"] == "price_update"
            later = prices(client, 2)
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
    finally:
        stop.set()
        pushing.join(10)
