"""The function `push` on every feed: subscriptions, registrations, stages, the ring."""

import json
import time
from base64 import b64encode

import pytest

from functions import connect, default, posting, push, register, settings, subscribe
from functions.tables import connections_table, ring_table
from marketdata.partitions import source_of

pytestmark = pytest.mark.services

PAIR = "FEEDUSDT"
SYMBOL = "FEED/USDT"
KEY = f"binance:{PAIR}".encode()
TIME = "2025-10-10T14:30:00.000Z"


class Context:
    def get_remaining_time_in_millis(self):
        return 30_000


def message_event(kind, body=None, *, connection_id, stage="stream"):
    return {
        "headers": None,
        "requestContext": {
            "eventType": kind,
            "stage": stage,
            "connectionId": connection_id,
            "connectedAt": time.time_ns() // 1_000_000,
            "authorizer": {"key_id": ""},
        },
        "body": body,
    }


@pytest.fixture(scope="module", autouse=True)
def listed(database, table_variables):
    """An instrument with every channel."""
    for name in (PAIR, SYMBOL):
        item = {
            "pk": {"S": f"NAME#{name}"},
            "sk": {"S": "binance"},
            "exchange": {"S": "binance"},
            "ticker": {"S": PAIR},
            "symbol": {"S": SYMBOL},
            "base": {"S": "FEED"},
        }
        database.put_item(TableName=table_variables["INSTRUMENTS_TABLE"], Item=item)


@pytest.fixture
def client(functions):
    """`client(text, stage)`: a connection that has sent a message; its id."""
    opened = []

    def make(text, stage="stream"):
        one = f"feed-{time.monotonic_ns()}="
        connect.handler(message_event("CONNECT", connection_id=one, stage=stage), None)
        text = text if isinstance(text, str) else json.dumps(text)
        handler = default if text.startswith("subscribe,") else subscribe
        handler = register if '"register"' in text else handler
        handler.handler(message_event("MESSAGE", text, connection_id=one, stage=stage), None)
        opened.append((stage, one))
        return one

    yield make
    for stage, one in opened:
        connections_table().forget(stage, one)


class Topic:
    """Delivers records of one key to the function; offsets go on."""

    def __init__(self, name, key=KEY):
        self.source = source_of(name, key)
        self.key = key

    def deliver(self, *values, first=None, age_ms=0, **headers):
        head = ring_table().heads([self.source]).get(self.source)
        first = (head.next if head else 1) if first is None else first
        records = [
            {
                "offset": first + number,
                "timestamp": time.time_ns() // 1_000_000 - age_ms,
                "key": b64encode(self.key).decode(),
                "value": b64encode(value.encode()).decode(),
                "headers": [{name: list(text.encode())} for name, text in headers.items()],
            }
            for number, value in enumerate(values)
        ]
        name = f"{self.source.topic}-{self.source.partition}"
        push.handler({"records": {name: records}}, Context())
        return first


def candle(minute, *, closed="true", interval="1m"):
    return (
        f'{{"pair":"{SYMBOL}","timestamp":{minute * 60_000},"open":1,"high":2,"low":1,'
        f'"close":1.50,"volume":0.1,"source":"binance","interval":"{interval}",'
        f'"closed":{closed}}}'
    )


def depth(price, **more):
    levels = [[price, "1"]]
    return json.dumps(
        {
            "type": "depth",
            "symbol": SYMBOL,
            "timestamp": TIME,
            "source": "binance",
            "bids": levels,
            "asks": [],
            "id": 5,
            "hash": "0" * 64,
            **more,
        }
    )


def transfer(ledger):
    return json.dumps(
        {
            "type": "contract_event",
            "ledger": ledger,
            "transaction_hash": "h",
            "contract_id": "C",
            "topics": [{"symbol": "transfer"}],
            "data": {"i128": "5"},
            "id": str(ledger),
            "timestamp": TIME,
            "event_type": "contract",
            "transaction_index": 1,
            "operation_index": 0,
            "in_successful_call": True,
        }
    )


def updates(management, one, kind):
    found = [json.loads(text) for text in management.texts(one)]
    return [message for message in found if message.get("type") == kind]


def test_a_candle_reaches_channel_bare_and_registration_each_in_its_form(functions, client):
    channel = client({"type": "subscribe", "symbols": [PAIR], "channels": ["candles"]})
    bare = client(f"subscribe,{PAIR}", "ws")
    registered = client({"type": "register", "filters": {"types": ["candle"]}}, "ws")
    Topic("candles").deliver(candle(1), candle(5, interval="5m"), candle(2, closed="false"))
    found = updates(functions, channel, "candle")
    assert [(one["timestamp"], one["symbol"]) for one in found] == [
        (60_000, PAIR),
        (120_000, PAIR),
    ]
    found = updates(functions, bare, None)
    assert [(one["timestamp"], one["pair"]) for one in found] == [
        (60_000, PAIR),
        (120_000, PAIR),
    ]
    found = updates(functions, registered, "candle")
    assert [(one["timestamp"], one["symbol"]) for one in found] == [
        (60_000, SYMBOL),
        (120_000, SYMBOL),
    ]
    paths = {path.split("/")[1] for path, *_ in functions.requests}
    assert paths == {"stream", "ws"}


def test_depth_is_cut_to_the_newest_after_an_outage_and_candles_never(functions, client):
    wanted = {"type": "subscribe", "symbols": [SYMBOL], "channels": ["depth", "candles"]}
    one = client({**wanted, "interval": "5m"})
    Topic("depth").deliver(depth("1"), depth("2", provisional=True), age_ms=6_000)
    Topic("candles").deliver(*(candle(n, interval="5m") for n in (5, 10)), age_ms=6_000)
    [top] = updates(functions, one, "depth")
    assert (top["bids"], top["provisional"]) == ([["2", "1"]], True)
    assert len(updates(functions, one, "candle")) == 2


def test_every_trade_comes_to_those_who_ask_and_what_fills_a_gap_to_nobody(functions, client):
    one = client({"type": "subscribe", "symbols": [SYMBOL], "rate": "all"})
    other = client({"type": "subscribe", "symbols": [SYMBOL]})
    trades = [
        f'{{"type":"price_update","symbol":"{SYMBOL}","price":{n}.0,"volume":null,'
        f'"timestamp":"{TIME}","source":"binance","trade_id":{n},"quantity":1,"side":"BUY"}}'
        for n in range(3)
    ]
    topic = Topic("prices")
    topic.deliver(*trades, type="ws_trades")
    topic.deliver(trades[0], type="ws_trades", backfill="1")
    assert [update["price"] for update in updates(functions, one, "price_update")] == [0, 1, 2]
    assert updates(functions, other, "price_update") == []
    assert ring_table().heads([topic.source]) == {}


def test_events_come_to_registrations_once_even_when_delivered_again(functions, client):
    topic = Topic("events", b"stellar:contracts")
    topic.deliver(transfer(1))
    one = client({"type": "register", "filters": {"types": ["payment"]}, "resume": True}, "ws")
    first = topic.deliver(transfer(2), transfer(3), age_ms=6_000)
    found = updates(functions, one, "contract_event")
    assert [update["ledger"] for update in found] == [2, 3]
    late = client({"type": "register"}, "ws")
    topic.deliver(transfer(2), transfer(3), first=first)
    assert updates(functions, late, "contract_event") == []


def test_a_stage_that_was_taken_away_does_not_stop_the_others(functions, client, monkeypatch):
    """Its clients are left until they expire."""
    gone = client({"type": "subscribe", "symbols": [PAIR], "channels": ["depth"]}, "candles")
    one = client({"type": "subscribe", "symbols": [PAIR], "channels": ["depth"]})
    monkeypatch.delenv("CALLBACK_URL_CANDLES")
    posting.close()
    for made in (settings.settings, push._pushing):
        made.cache_clear()
    Topic("depth").deliver(depth("7"))
    assert len(updates(functions, one, "depth")) == 1
    assert updates(functions, gone, "depth") == []
