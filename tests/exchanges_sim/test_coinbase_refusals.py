"""The simulated Coinbase: what it refuses, whom it ends, what its faults do."""

import base64
import importlib.util
import json
from decimal import Decimal
from pathlib import Path

import pytest
import websocket

from container_worker.exchanges.coinbase import ADAPTER
from marketdata.times import parse_iso_ms

spec = importlib.util.spec_from_file_location(
    "coinbase_client", Path(__file__).with_name("coinbase_client.py")
)
stranger = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stranger)
Client, true_book, names = stranger.Client, stranger.true_book, stranger.names
read_to_the_close = stranger.read_to_the_close

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


SIGNED = {
    "signature": base64.b64encode(bytes(32)).decode(),
    "key": "k",
    "passphrase": "p",
    "timestamp": "1",
}
FAILED = "Failed to subscribe"


@pytest.mark.parametrize(
    ("request_", "message", "reason"),
    [
        ("{", "Malformed JSON", None),
        ("[]", "Type has to be either subscribe or unsubscribe", None),
        ('{"type":"hello"}', "Type has to be either subscribe or unsubscribe", None),
        (
            '{"type":"subscribe","product_ids":["GIBBERISH-USD"],"channels":["matches"]}',
            FAILED,
            "GIBBERISH-USD is not a valid product",
        ),
        (
            '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["gibberish"]}',
            FAILED,
            "gibberish is not a valid channel",
        ),
        (
            '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","level2"]}',
            FAILED,
            "level2, level3, and full channels now require authentication.",
        ),
        ('{"type":"subscribe","channels":["matches"]}', FAILED, "no product_ids"),
        ('{"type":"subscribe","product_ids":["BTC-USD"]}', FAILED, "no channels"),
        ('{"type":"subscribe","channels":[7]}', FAILED, "a channel is"),
        ('{"type":"unsubscribe","channels":"x"}', "Failed to unsubscribe", "channels must be"),
    ],
)
def test_a_bad_request_is_an_error_and_changes_nothing(
    coinbase, request_, message, reason
) -> None:
    client = Client(coinbase)
    client.ask("ticker")
    client.socket.send(request_)
    answer = client.until(lambda told: told["type"] == "error")
    assert answer["message"] == message
    if reason is None:
        assert "reason" not in answer
    else:
        assert answer["reason"].startswith(reason)
    state = client.ask("ticker")["channels"]
    assert names(state) == {("ticker", "BTC-USD")}


@pytest.mark.parametrize("timestamp", ["1776444217", 1776444217])
def test_level2_is_for_those_who_sign(coinbase, timestamp) -> None:
    client = Client(coinbase)
    message = {"product_ids": ["BTC-USD"], "channels": ["level2"], **SIGNED}
    message["timestamp"] = timestamp
    client.send(type="subscribe", **message)
    assert client.until(lambda told: told["type"] == "snapshot")["product_id"] == "BTC-USD"
    client.until(lambda told: told["type"] == "l2update")


def test_who_does_not_subscribe_in_time_is_disconnected(start_exchange) -> None:
    exchange = start_exchange(
        "--coinbase-tickers",
        "BTC-USD",
        "--set",
        "coinbase.subscribe_seconds=0.2",
        name="coinbase",
    )
    message, code = read_to_the_close(Client(exchange))
    assert (message["type"], code) == ("error", 1008)


def test_who_sends_too_much_is_told_and_disconnected(start_exchange) -> None:
    exchange = start_exchange(
        "--coinbase-tickers",
        "BTC-USD",
        "--set",
        "coinbase.messages_per_second=5",
        name="coinbase",
    )
    client = Client(exchange)
    for _ in range(8):
        client.send(type="subscribe", product_ids=["BTC-USD"], channels=["heartbeat"])
    message, code = read_to_the_close(client)
    assert (message["type"], message["message"], code) == ("error", "ErrSlowRead", 1008)


def test_who_does_not_read_is_told_and_disconnected(start_exchange, wait_until) -> None:
    tickers = [f"T{number}-USD" for number in range(40)]
    exchange = start_exchange(
        "--coinbase-tickers", ",".join(tickers), "--set", "coinbase.messages_per_second=10000",
        name="coinbase",
    )  # fmt: skip
    client = Client(exchange)
    for _ in range(60):
        client.send(type="subscribe", product_ids=tickers, channels=["level2_batch"])
    message, code = read_to_the_close(client)
    assert (message["type"], message["message"], code) == ("error", "ErrSlowConsume", 1008)
    [outcome] = ADAPTER.socket.decode(json.dumps(message).encode(), 1)
    assert type(outcome).__name__ == "Leaving"


def test_more_connections_than_the_limit_are_refused(start_exchange) -> None:
    exchange = start_exchange(
        "--coinbase-tickers", "BTC-USD", "--set", "coinbase.connects_burst=3",
        "--set", "coinbase.connects_per_second=1", name="coinbase",
    )  # fmt: skip
    for _ in range(3):
        exchange.connect("/")
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        exchange.connect("/")
    assert caught.value.status_code == 429


def test_dropped_updates_leave_a_wrong_book_until_it_is_stated_anew(coinbase) -> None:
    client = Client(coinbase)
    client.ask("level2_batch")
    number = coinbase.fault(kind="drop", ticker="BTC-USD", stream="level2", frames=20)
    client.until(lambda _: sum(hit["frames"] for hit in coinbase.hits(number)) == 20)
    [hit] = coinbase.hits(number)
    assert (hit["stream"], hit["lost"]) == ("level2", True)
    assert hit["last_id"] > hit["first_id"]
    coinbase.pause()
    client.catch_up()
    assert wrong_book(client, coinbase)
    client.messages.clear()
    client.ask("level2_batch")
    client.catch_up()
    assert client.books()["BTC-USD"] == true_book(coinbase, "BTC-USD")


def wrong_book(client, exchange):
    """Whether what a client that saw no hole holds is not the truth."""
    book = {"buy": {}, "sell": {}}
    for message in client.of_type("snapshot", "l2update"):
        if message["type"] == "snapshot":
            book = {"buy": dict(message["bids"]), "sell": dict(message["asks"])}
            continue
        for side, price, size in message["changes"]:
            book[side][price] = size
    standing = {
        side: {Decimal(price): Decimal(size) for price, size in levels.items() if Decimal(size)}
        for side, levels in book.items()
    }
    return standing != true_book(exchange, "BTC-USD")


def test_a_clock_that_jumps_is_in_the_times_alone(coinbase) -> None:
    client = Client(coinbase)
    client.ask("matches")
    coinbase.fault(kind="clock", ticker="BTC-USD", stream="matches", ahead_s=7200)
    ahead = client.until(
        lambda message: message["type"] == "match" and is_ahead(coinbase, message)
    )
    after = client.until(lambda message: message["type"] == "match")
    assert after["trade_id"] == ahead["trade_id"] + 1
    assert not is_ahead(coinbase, after)


def is_ahead(exchange, message):
    """Whether a match of the feed is two hours later than REST tells it."""
    number = message["trade_id"]
    [row] = exchange.get(f"/products/BTC-USD/trades?limit=1&after={number + 1}")
    assert row["trade_id"] == number
    later_ms = parse_iso_ms(message["time"]) - parse_iso_ms(row["time"])
    assert later_ms in (0, 7_200_000)
    assert message["time"][-4:] == row["time"][-4:]
    return later_ms > 0
