"""Late subscribers get the newest value as they would have had it (rule 22); real Kafka."""

import time
from dataclasses import dataclass

import msgspec
import pytest

from container_worker.topic_ids import topic_ids
from marketdata import codec, connection_items, messages, topics
from marketdata.times import iso_ms

CALM = {"KEEP_PONG_S": "3600", "KEEP_IDLE_S": "3600"}
SECONDS = 20


def raw(text):
    return msgspec.Raw(text.encode())


def tick(ticker, price, rates=("1s",), source="binance"):
    value = messages.Tick(
        symbol=f"{ticker.removesuffix('USDT')}/USDT",
        price=raw(price),
        volume=messages.NULL,
        timestamp=iso_ms(round(time.time() * 1000)),
        source=source,
        rates=rates,
    )
    return codec.Record(topics.TICKS.name, codec.key(source, ticker), codec.encode(value), [])


def candle(ticker, close, source="binance"):
    numbers = [raw(text) for text in ("1.0", "2.0", "0.5", close, "10")]
    value = messages.Candle(f"{ticker}-P", 60_000, *numbers, source, "1m", closed=False)
    return codec.Record(topics.CANDLES.name, codec.key(source, ticker), codec.encode(value), [])


@dataclass
class Late:
    """Makes subscribers that missed a value; `ended` waits until nothing is owed."""

    gateway: object
    items: object
    wait_until: object

    def client(self, feed, name, **want):
        client = self.gateway.connect()
        self.items.connection("stream", client.id, names=(name,))
        self.items.subscription("stream", client.id, feed, name, **want)
        self.items.late("stream", client.id, feed, name, **want)
        return client

    def leave(self, client, feed, name):
        shard = connection_items.shard_of(client.id)
        pk = connection_items.subscriptions_pk(feed, name, shard)
        key = {"pk": {"S": pk}, "sk": {"S": client.id}}
        self.items.client.delete_item(TableName=self.items.table, Key=key)

    def ended(self, client):
        self.wait_until(
            lambda: connection_items.LATE not in self.items.of(client.id),
            SECONDS,
            "the end of the late item",
        )


@pytest.fixture
def late(gateway, items, wait_until):
    return Late(gateway, items, wait_until)


@pytest.fixture(scope="module")
def keeper(start_shared_keeper, broker):
    """A keeper that follows Kafka."""
    return start_shared_keeper(KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap_servers, **CALM)


def test_the_newest_price_at_the_subscribers_pace_comes_by_its_name(
    keeper, late, ticker, produce
):
    symbol = f"{ticker.removesuffix('USDT')}/USDT"
    produce(tick(ticker, "1.50"), tick(ticker, "2.50"), tick(ticker, "3.50", ("250ms",)))
    by_ticker = late.client("ticks", ticker, rate={"S": "250ms"})
    assert by_ticker.receive(SECONDS)["price"] == 3.5
    by_symbol = late.client("ticks", symbol, rate={"S": "1s"})
    assert by_symbol.receive(SECONDS) | {"timestamp": ""} == {
        "type": "price_update",
        "symbol": symbol,
        "price": 2.5,
        "volume": None,
        "timestamp": "",
        "source": "binance",
    }
    for client in (by_symbol, by_ticker):
        late.ended(client)
        assert client.is_silent()


def test_a_client_that_is_throttled_again_keeps_its_place_and_gets_the_value_once(
    keeper, gateway, late, ticker, produce
):
    produce(tick(ticker, "1.50"))
    gateway.fault("throttled", times=3)
    slow = late.client("ticks", ticker)
    assert slow.receive(SECONDS)["price"] == 1.5
    assert gateway.faults() == []
    late.ended(slow)
    assert slow.is_silent()


def test_who_unsubscribed_meanwhile_gets_nothing(keeper, gateway, late, ticker, produce):
    produce(tick(ticker, "1.50"))
    gateway.fault("throttled", times=1000)
    left = late.client("ticks", ticker)
    late.leave(left, "ticks", ticker)
    late.ended(left)
    gateway.forget_faults()
    assert left.is_silent()


def test_a_bare_candle_comes_from_the_subscribers_exchange_only(keeper, late, ticker, produce):
    produce(candle(ticker, "1.1", "coinbase"), candle(ticker, "1.2", "blockchain"))
    bare = late.client("candles", ticker, bare={"BOOL": True}, source={"S": "blockchain"})
    assert bare.receive(SECONDS) == {
        "pair": ticker,
        "timestamp": 60_000,
        "open": 1.0,
        "high": 2.0,
        "low": 0.5,
        "close": 1.2,
        "volume": 10,
    }
    assert bare.is_silent()


def test_the_ring_table_knows_the_id_of_every_topic_that_is_pushed(
    keeper, broker, items, wait_until
):
    pushed = (topics.TICKS, topics.PRICES, topics.CANDLES, topics.DEPTH, topics.EVENTS)

    def known():
        keys = [{"pk": {"S": f"TOPIC#{one.name}"}, "sk": {"S": "ID"}} for one in pushed]
        table = items.variables["RING_TABLE"]
        found = [items.client.get_item(TableName=table, Key=key).get("Item") for key in keys]
        return all(found) and [item["topic_id"]["S"] for item in found]

    ids = topic_ids(broker, pushed)
    assert wait_until(known, SECONDS, "the ids") == [ids[one.name] for one in pushed]
