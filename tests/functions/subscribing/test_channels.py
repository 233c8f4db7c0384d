"""What a subscribe may ask for beyond the document: channels, paces, intervals."""

import pytest

from functions.subscriptions import Subscriber
from marketdata.errors import ClientError
from marketdata.ring_items import Source
from marketdata.subscriptions import Want
from marketdata.topics import DEPTH

pytestmark = pytest.mark.services

BOOK = "BOOKUSDT"
ALL = ("prices", "candles", "depth")


@pytest.fixture(scope="module", autouse=True)
def listed(database, table_variables):
    """A ticker with every channel, a share with a book only, and what has events only."""
    for ticker, channels in (
        (BOOK, ALL),
        ("SHARE", ("depth",)),
        ("CHAIN", ("events",)),
        ("OLD", ()),
    ):
        item = {
            "pk": {"S": f"NAME#{ticker}"},
            "sk": {"S": "stockbit"},
            **{
                name: {"S": ticker if name != "exchange" else "stockbit"}
                for name in ("symbol", "ticker", "exchange", "base")
            },
            "channels": {"L": [{"S": one} for one in channels]},
        }
        database.put_item(TableName=table_variables["INSTRUMENTS_TABLE"], Item=item)


def wants(client, name):
    return {one.want for one in client.items(name).values()}


@pytest.mark.parametrize(
    ("members", "served"),
    [
        ({}, {Want("ticks", rate="1s")}),
        ({"rate": "250ms"}, {Want("ticks", rate="250ms")}),
        ({"rate": "all"}, {Want("prices")}),
        ({"channels": ("candles",), "interval": "1h"}, {Want("candles", interval="1h")}),
        (
            {"channels": ("depth", "prices", "depth", "candles"), "rate": "10s"},
            {Want("depth"), Want("ticks", rate="10s"), Want("candles", interval="1m")},
        ),
    ],
)
def test_a_subscribe_is_served_what_it_names_and_confirmed_what_it_wrote(
    client, members, served
):
    told = client.subscribe(BOOK, **members)
    assert wants(client, BOOK) == served
    channels = {"channels": ["depth", "prices", "candles"]} if len(served) == 3 else {}
    expected = {name: list(one) if name == "channels" else one for name, one in members.items()}
    expected = {**expected, **channels}
    assert {key: told[key] for key in told if key not in {"type", "symbols", "timestamp"}} == (
        expected
    )


def test_a_repeated_subscribe_replaces_channels_and_pace(client):
    client.subscribe(BOOK, channels=ALL)
    client.subscribe(BOOK, channels=("depth",))
    assert wants(client, BOOK) == {Want("depth")}
    client.subscribe(BOOK, rate="all")
    assert wants(client, BOOK) == {Want("prices")}
    client.subscribe(BOOK, rate="10s")
    assert wants(client, BOOK) == {Want("ticks", rate="10s")}
    assert client.reserved() == [BOOK]


def test_ten_names_with_three_channels_each_are_ten_names(client):
    names = [f"C{number}/USDT" for number in range(9)]
    client.subscribe(*names, rate="all")
    client.subscribe(BOOK, channels=ALL)
    with pytest.raises(ClientError, match="at most 10 symbols"):
        client.subscribe("C9/USDT")
    assert len(client.reserved()) == 10


def test_an_unsubscribe_ends_the_channels_it_names_and_empty_names(client):
    client.subscribe(BOOK, channels=ALL, rate="all")
    client.unsubscribe(BOOK, channels=("prices", "depth"))
    assert wants(client, BOOK) == {Want("candles", interval="1m")}
    client.unsubscribe(channels=("candles",))
    assert (client.reserved(), client.items(BOOK)) == ([], {})


def test_an_unsubscribe_of_channels_that_overtakes_leaves_the_others_served(client):
    client.when_told = lambda: client.unsubscribe(BOOK, channels=("depth",))
    client.subscribe(BOOK, channels=ALL)
    assert {one.feed for one in wants(client, BOOK)} == {"ticks", "candles"}
    assert client.wanted() == {BOOK: ["ticks", "candles"]}


def test_every_trade_is_refused_where_it_is_switched_off(new_client):
    client = new_client(rate_all=False)
    with pytest.raises(ClientError, match="'all' is switched off") as refused:
        client.subscribe(BOOK, rate="all")
    assert refused.value.code == "VALIDATION_ERROR"
    assert client.reserved() == []
    client.subscribe(BOOK, rate="all", channels=("depth",))
    assert wants(client, BOOK) == {Want("depth")}


@pytest.mark.parametrize(
    ("names", "channels", "symbols", "detail"),
    [
        (("NONE", BOOK, "C1/USDTX"), ("prices",), ("NONE", "C1/USDTX"), "NONE, C1/USDTX"),
        (("c1/usdt",), ("prices",), ("c1/usdt",), "try C1/USDT for c1/usdt"),
        (("SHARE", BOOK), ("prices",), ("SHARE",), "no prices: SHARE has depth"),
        (("SHARE",), ALL, ("SHARE",), "no prices and no candles: SHARE has depth"),
        (("CHAIN",), ("depth",), ("CHAIN",), "CHAIN has no channel, only events"),
    ],
)
def test_what_cannot_be_had_is_named_and_nothing_changes(
    client, names, channels, symbols, detail
):
    client.subscribe("C1/USDT")
    with pytest.raises(ClientError) as refused:
        client.subscribe(*names, channels=channels)
    assert refused.value.code == "UNKNOWN_SYMBOL"
    assert tuple(refused.value.symbols) == symbols
    assert detail in str(refused.value)
    assert client.reserved() == ["C1/USDT"]


def test_candles_are_had_of_what_has_trades_and_all_of_what_says_nothing(client):
    client.subscribe("C1/USDT", channels=("candles",))
    client.subscribe("OLD", channels=ALL)
    assert len(client.items("OLD")) == 3


def test_a_subscriber_is_read_as_it_was_written(client):
    client.subscribe(BOOK, channels=("depth",))
    sources = [Source("depth", number) for number in range(DEPTH.partitions)]
    heads = client.ring.heads(sources)
    cuts = {at: heads[at].next if at in heads else 0 for at in sources}
    expected = Subscriber(client.id, "stream", 4_000_000_000_000, Want("depth"), cuts=cuts)
    assert client.items(BOOK) == {"depth": expected}
