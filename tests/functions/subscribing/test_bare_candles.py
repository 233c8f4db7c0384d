"""`subscribe,BTC-USD`: the latest candle, then each new one."""

import json

import msgspec
import pytest

from functions.gateway import Outcome
from functions.logic.bare_candles import Command, command_of
from functions.logic.candle_items import CandleRecord, PairSource
from marketdata import codec
from marketdata.errors import ClientError, GatewayUnavailable
from marketdata.messages import Candle
from marketdata.partitions import source_of
from marketdata.ring_items import Source
from marketdata.topics import CANDLES

pytestmark = pytest.mark.services

PAIR = "C20USDT"
SYMBOL = "C20/USDT"
KEY = b"binance:C20USDT"
SOURCE = source_of("candles", KEY)


def candle(minute, close="2.50", *, closed=True, interval="1m"):
    numbers = [msgspec.Raw(text.encode()) for text in ("1", "3", "0.5", close, "1E-3")]
    return Candle(SYMBOL, minute * 60_000, *numbers, "binance", interval, closed)


def starts(client):
    return [one["timestamp"] // 60_000 for one in client.told]


@pytest.fixture
def known(client):
    """The table has a candle of the pair."""
    at = PairSource("binance", SYMBOL, PAIR)
    client.candles.put_pair(at)
    client.candles.put(CandleRecord(candle(7), PAIR, "candles", offset=0, epoch=0))


def test_the_answer_is_the_documents_candle_with_the_exchanges_digits(client, known):
    client.bare.subscribe(client.id, [PAIR])
    assert client.told == [
        {
            "pair": PAIR,
            "timestamp": 420_000,
            "open": 1,
            "high": 3,
            "low": 0.5,
            "close": 2.50,
            "volume": 0.001,
        }
    ]
    [item] = client.items(PAIR).values()
    assert (item.want.bare, item.want.source, item.want.interval) == (True, "binance", "1m")
    assert client.table.get(client.stage, client.id).wants == {PAIR: (item.want,)}


def test_what_comes_while_it_is_answered_follows_once_and_no_other_interval(
    client, known, feed
):
    def arrive():
        client.when_told = lambda: None
        values = [candle(8), candle(9, closed=False), candle(5, interval="5m")]
        feed.put(SOURCE, KEY, *map(codec.encode, values))

    client.when_told = arrive
    client.bare.subscribe(client.id, [PAIR])
    assert starts(client) == [7, 8, 9]
    [item] = client.items(PAIR).values()
    sources = [Source("candles", number) for number in range(CANDLES.partitions)]
    heads = client.ring.heads(sources)
    assert item.cuts == {at: heads[at].next if at in heads else 0 for at in sources}
    assert item.cuts[SOURCE] > 0


def test_a_pair_without_a_candle_yet_is_served_from_its_first(client):
    client.bare.subscribe(client.id, ["C21USDT", "C22/USDT"])
    assert client.told == []
    [item] = client.items("C22/USDT").values()
    assert item.want.source == "binance"


def test_an_unknown_pair_is_named_and_nothing_changes(client):
    with pytest.raises(ClientError) as refused:
        client.bare.subscribe(client.id, [PAIR, "BTC-NONE"])
    assert (refused.value.code, tuple(refused.value.symbols)) == (
        "UNKNOWN_SYMBOL",
        ("BTC-NONE",),
    )
    assert client.reserved() == []


def test_it_stands_beside_a_subscribe_by_json_and_ends_alone(client, known):
    client.subscribe(PAIR)
    client.bare.subscribe(client.id, [PAIR])
    assert sorted(client.items(PAIR)) == ["candles", "ticks"]
    client.bare.end(client.id, [PAIR])
    assert sorted(client.items(PAIR)) == ["ticks"]
    client.bare.subscribe(client.id, [PAIR])
    client.unsubscribe(PAIR)
    assert (client.items(PAIR), client.reserved()) == ({}, [])


@pytest.mark.parametrize("outcome", [Outcome.GONE, Outcome.THROTTLED])
def test_a_client_that_cannot_be_told_is_served_nothing(client, known, outcome):
    client.outcome = outcome
    try:
        client.bare.subscribe(client.id, [PAIR])
    except GatewayUnavailable:
        assert outcome is Outcome.THROTTLED
    assert (client.items(PAIR), client.reserved()) == ({}, [])


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("subscribe,BTC-USD", Command("subscribe", ("BTC-USD",))),
        (
            " subscribe, BTC-USD ,ETH-USD,BTC-USD\r\n",
            Command("subscribe", ("BTC-USD", "ETH-USD")),
        ),
        ("unsubscribe,BTC-USD", Command("unsubscribe", ("BTC-USD",))),
        ("Subscribe,BTC-USD", None),
        (json.dumps({"type": "subscribe"}), None),
        ("", None),
    ],
)
def test_a_command_is_read_as_the_document_writes_it(text, command):
    assert command_of(text) == command


@pytest.mark.parametrize(
    "text", ["subscribe", "subscribe,", "subscribe,A,,B", f"subscribe,{'x' * 65}"]
)
def test_a_command_without_a_pair_is_told_how_to_write_it(text):
    with pytest.raises(ClientError) as refused:
        command_of(text)
    assert refused.value.code == "VALIDATION_ERROR"
