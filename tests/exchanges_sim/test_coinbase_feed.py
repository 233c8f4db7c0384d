"""The simulated Coinbase feed as a stranger sees it, and as the adapter reads it."""

import importlib.util
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from container_worker.exchanges.adapter import NOBODY, Channel
from container_worker.exchanges.coinbase import ADAPTER
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    LastTrade,
    TickerState,
    Trade,
    Unknown,
)
from marketdata.times import parse_iso_ms

spec = importlib.util.spec_from_file_location(
    "coinbase_client", Path(__file__).with_name("coinbase_client.py")
)
stranger = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stranger)
Client, true_book, names = stranger.Client, stranger.true_book, stranger.names

OPTIONS = (
    "--coinbase-tickers", "BTC-USD,SKL-BTC,DOGE-USD", "--seed", "5", "--speed", "6",
    "--set", "coinbase.requests_burst=1000", "--set", "coinbase.connects_burst=1000",
)  # fmt: skip


@pytest.fixture(scope="module")
def running(request):
    plugins = request.config.pluginmanager.get_plugins()
    [conftest] = [each for each in plugins if hasattr(each, "Follower")]
    exchange = conftest.Exchange(OPTIONS, name="coinbase")
    yield exchange
    exchange.stop()


@pytest.fixture
def coinbase(running, wait_until):
    """The module's feed, without connections, faults or a pause before and after."""
    yield running
    running.resume()
    running.disconnect()
    running.request("/_control/faults", method="DELETE")
    wait_until(lambda: not running.status()["connections"], what="every goodbye")


def test_a_snapshot_and_every_update_after_it_make_the_true_book(coinbase) -> None:
    client, tickers = Client(coinbase), ["BTC-USD", "SKL-BTC", "DOGE-USD"]
    client.ask("level2_batch", products=tickers)
    while len(client.of_type("l2update")) < 150:
        client.read()
    coinbase.pause()
    client.catch_up()
    assert client.books() == {ticker: true_book(coinbase, ticker) for ticker in tickers}
    for message in client.of_type("snapshot"):
        asks = [Decimal(price) for price, _ in message["asks"]]
        bids = [Decimal(price) for price, _ in message["bids"]]
        assert (asks, bids) == (sorted(asks), sorted(bids, reverse=True))
    assert max(len(message["changes"]) for message in client.of_type("l2update")) > 1
    zeros = {
        size
        for message in client.of_type("l2update")
        for _, _, size in message["changes"]
        if not Decimal(size)
    }
    assert zeros <= {"0.00000000", "0.0"}


def test_the_adapter_reads_the_same_book_and_all_else_that_is_sent(coinbase) -> None:
    tickers = ["BTC-USD", "SKL-BTC"]
    channels = [Channel(ticker, type_) for ticker in tickers for type_ in ADAPTER.types]
    client = Client(coinbase)
    awaited = set()
    for each in ADAPTER.socket.subscriptions(channels, NOBODY):
        client.socket.send(each.payload)
        awaited |= each.awaits
    while len(client.of_type("match")) < 10 or len(client.of_type("heartbeat")) < 2:
        client.read()
    coinbase.pause()
    client.catch_up()
    reader = AdapterReader(client.frames)
    assert awaited <= reader.accepted
    assert {TickerState, Trade, BookState, BookDelta, LastTrade} <= reader.kinds
    assert Unknown not in reader.kinds
    for ticker in tickers:
        true = coinbase.true_book(ticker)
        for book, side in zip(reader.books[ticker], ("bids", "asks"), strict=True):
            standing = {price: size for price, size in book.items() if Decimal(size)}
            assert standing == dict(true[side])


class AdapterReader:
    """What the adapter makes of frames; trades must follow each other."""

    def __init__(self, frames):
        self.accepted, self.kinds, self.books, self.last = set(), set(), {}, {}
        for frame in frames:
            for outcome in ADAPTER.socket.decode(frame, time.time_ns()):
                self.kinds.add(type(outcome))
                self.take(outcome)

    def take(self, outcome):
        match outcome:
            case Accepted():
                self.accepted |= outcome.names
            case BookState(message=message):
                self.books[message.s] = [dict(message.b), dict(message.a)]
            case BookDelta(message=message):
                self.books[message.s][0].update(message.b)
                self.books[message.s][1].update(message.a)
            case LastTrade():
                self.last.setdefault(outcome.ticker, outcome.id)
            case Trade():
                assert outcome.id == self.last[outcome.ticker] + 1
                self.last[outcome.ticker] = outcome.id


def test_a_match_follows_the_last_one_and_its_ticker_has_the_other_side(coinbase) -> None:
    client = Client(coinbase)
    client.ask("matches", "ticker")
    client.until(lambda _: len(client.of_type("match")) >= 25)
    [last] = client.of_type("last_match")
    matches, tickers = client.of_type("match"), client.of_type("ticker")
    ids = [message["trade_id"] for message in matches]
    assert ids == list(range(last["trade_id"] + 1, last["trade_id"] + 1 + len(ids)))
    by_id = {message["trade_id"]: message for message in (last, *matches)}
    pairs = [(by_id[each["trade_id"]], each) for each in tickers if each["trade_id"] in by_id]
    assert len(pairs) > 5
    for match, ticker in pairs:
        assert {match["side"], ticker["side"]} == {"buy", "sell"}
        assert [match[name] for name in ("sequence", "time", "price", "size")] == [
            ticker[name] for name in ("sequence", "time", "price", "last_size")
        ]
    sequences = [message["sequence"] for message in matches]
    assert sequences == sorted(sequences)
    assert any(later > first + 1 for first, later in pairwise(sequences))
    orders = [message[f"{who}_order_id"] for message in matches for who in ("maker", "taker")]
    assert len(set(orders)) == len(orders)


def test_times_of_a_product_have_six_digits_and_never_go_back(coinbase) -> None:
    client = Client(coinbase)
    client.ask("matches", "level2_batch")
    client.until(lambda _: len(client.of_type("match")) >= 5)
    times = [message["time"] for message in client.of_type("match", "l2update")]
    assert times == sorted(times)
    assert all(len(each) == len("2021-04-17T16:43:37.075687Z") for each in times)


def test_a_heartbeat_comes_every_second_of_the_exchange_with_the_newest_trade(coinbase) -> None:
    client = Client(coinbase)
    client.ask("matches", "heartbeat")
    client.until(lambda _: len(client.of_type("heartbeat")) >= 4)
    beats = client.of_type("heartbeat")
    seconds = [parse_iso_ms(each["time"]) // 1000 for each in beats]
    assert seconds == list(range(seconds[0], seconds[0] + len(beats)))
    newest = None
    for message in client.of_type("last_match", "match", "heartbeat"):
        if message["type"] == "heartbeat":
            assert message["last_trade_id"] == newest
        else:
            newest = message["trade_id"]


def test_subscriptions_add_up_and_the_ack_is_the_whole_state(coinbase) -> None:
    client = Client(coinbase)
    client.ask("matches", {"name": "ticker", "product_ids": ["SKL-BTC"]})
    state = client.ask("status", "level2_batch")["channels"]
    expected = {("matches", "BTC-USD"), ("ticker", "SKL-BTC"), ("level2_50", "BTC-USD")}
    assert names(state) == expected
    assert {each["name"] for each in state} == {"matches", "ticker", "level2_50", "status"}
    client.until(lambda message: message["type"] == "status")


def test_leaving_a_channel_ends_it_and_coming_back_states_it_anew(coinbase) -> None:
    client = Client(coinbase)
    client.ask("level2_batch", "matches")
    client.until(lambda message: message["type"] == "l2update")
    leave, enter = ADAPTER.socket.resubscribe(Channel("BTC-USD", "ws_diff_depth"), NOBODY)
    client.socket.send(leave.payload)
    left = client.until(lambda message: message["type"] == "subscriptions")
    assert names(left["channels"]) == {("matches", "BTC-USD")}
    seen = len(client.messages)
    client.until(lambda message: message["type"] == "match")
    assert not [each for each in client.messages[seen:] if each["type"] == "l2update"]
    client.socket.send(enter.payload)
    client.until(lambda message: message["type"] == "snapshot")
    client.until(lambda message: message["type"] == "l2update")
    coinbase.pause()
    client.catch_up()
    assert client.books()["BTC-USD"] == true_book(coinbase, "BTC-USD")
    everything = client.ask("matches", products=(), type_="unsubscribe")
    assert names(everything["channels"]) == {("level2_50", "BTC-USD")}
