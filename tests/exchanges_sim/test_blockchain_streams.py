"""Blockchain.com's simulator as a stranger sees it: requests, numbers, books, candles."""

import importlib.util
import json
from decimal import Decimal
from pathlib import Path

import pytest
import websocket

from container_worker.exchanges.blockchain import decode
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    CandleState,
    ConnectionNumber,
    Heartbeat,
    TickerState,
    Trade,
)

spec = importlib.util.spec_from_file_location(
    "blockchain_client", Path(__file__).with_name("blockchain_client.py")
)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
Client, book_of, told, PATH = client.Client, client.book_of, client.told, client.PATH

FAST = ("--speed", "20", "--seed", "7")


@pytest.fixture(scope="module")
def shared_exchange(request):
    """A simulator of the three pairs for the module, at twenty times the usual pace."""
    plugins = request.config.pluginmanager.get_plugins()
    [conftest] = [each for each in plugins if hasattr(each, "Follower")]
    running = conftest.Exchange(FAST, name="blockchain")
    yield running
    running.stop()


@pytest.fixture
def exchange(exchange):
    """Its time passes before and after each test."""
    yield exchange
    exchange.resume()


@pytest.mark.parametrize("origin", [None, "https://blockchain.com", "http://127.0.0.1"])
def test_without_the_exchanges_own_origin_the_upgrade_is_refused(exchange, origin) -> None:
    options = {"suppress_origin": True} if origin is None else {"origin": origin}
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        exchange.connect(PATH, **options)
    assert caught.value.status_code == 400


def test_all_that_a_connection_gets_is_numbered_from_nought_without_a_hole(exchange) -> None:
    clients = [Client(exchange), Client(exchange)]
    for client in clients:
        client.ask("heartbeat").ask("symbols").ask("nonsense")
        for pair in ("BTC-USD", "ETH-USD", "BTC-EUR"):
            for channel in ("l2", "l3", "trades", "ticker"):
                client.ask(channel, pair)
            client.ask("prices", pair, granularity=60)
        client.until(channel="trades", event="updated")
    for client in clients:
        heard = client.drain()
        assert [each["seqnum"] for each in heard] == list(range(len(heard)))


def test_every_frame_decodes_and_tells_the_true_book(exchange) -> None:
    client = Client(exchange).ask("heartbeat")
    for pair in ("BTC-USD", "ETH-USD", "BTC-EUR"):
        client.ask("l2", pair).ask("l3", pair).ask("trades", pair)
    client.ask("ticker", "BTC-USD").ask("prices", "BTC-USD", granularity=60.0)
    client.until(channel="heartbeat", event="updated")
    client.until(channel="trades", symbol="ETH-USD", event="updated")
    client.until(channel="ticker", symbol="BTC-USD", event="updated")
    client.until(channel="prices", symbol="BTC-USD", event="updated")
    client.drain()
    for pair in ("BTC-USD", "ETH-USD", "BTC-EUR"):
        true = told(exchange.true_book(pair))
        assert book_of(client.of("l2", pair)) == true
        assert decoded_book(client, pair) == true
        assert orders_of(client.of("l3", pair)) == true
    kinds = {
        type(outcome) for frame in client.raw for outcome in decode.decode(frame.encode(), 1)
    }
    assert kinds >= {
        ConnectionNumber, Accepted, BookState, BookDelta, Trade, TickerState, CandleState,
        Heartbeat,
    }  # fmt: skip


def decoded_book(client, pair):
    """The book that our own decoder makes of the same frames."""
    sides = {"bids": {}, "asks": {}}
    for frame in client.raw:
        for outcome in decode.decode(frame.encode(), 1):
            if not isinstance(outcome, BookState | BookDelta) or outcome.message.s != pair:
                continue
            message = outcome.message
            if isinstance(outcome, BookState):
                sides = {"bids": {}, "asks": {}}
            for side, levels in ((sides["bids"], message.b), (sides["asks"], message.a)):
                side.update({Decimal(price): Decimal(quantity) for price, quantity in levels})
    return {
        name: {price: quantity for price, quantity in side.items() if quantity}
        for name, side in sides.items()
    }


def orders_of(messages):
    """The levels that the orders of `l3` add up to."""
    orders = {"bids": {}, "asks": {}}
    for message in messages:
        for name, side in orders.items():
            if message["event"] == "snapshot":
                side.clear()
            for order in message[name]:
                side[order["id"]] = (Decimal(order["px"]), Decimal(order["qty"]))
                if not order["qty"]:
                    del side[order["id"]]
    sums = {"bids": {}, "asks": {}}
    for name, side in orders.items():
        for price, quantity in side.values():
            sums[name][price] = sums[name].get(price, 0) + quantity
    return sums


def test_snapshots_rise_in_price_and_an_update_is_one_level(exchange) -> None:
    client = Client(exchange).ask("l2", "BTC-USD")
    client.until(event="updated")
    first, *updates = client.of("l2")
    assert first["event"] == "snapshot"
    for side in ("bids", "asks"):
        prices = [level["px"] for level in first[side]]
        assert prices == sorted(prices)
    assert all(len(each["bids"]) + len(each["asks"]) == 1 for each in updates)
    assert {"px", "qty", "num"} == set(first["bids"][0])


def test_acknowledgements_repeat_what_they_are_known_to_repeat(exchange) -> None:
    client = Client(exchange).ask("l2", "BTC-USD").ask("trades", "BTC-USD")
    client.ask("prices", "BTC-USD", granularity=60.0).ask("heartbeat")
    for more in (
        {"channel": "l2", "symbol": "BTC-USD", "batching": False},
        {"channel": "trades", "symbol": "BTC-USD"},
        {"channel": "prices", "symbol": "BTC-USD", "granularity": 60},
        {"channel": "heartbeat"},
    ):
        answer = client.until(event="subscribed")
        del answer["seqnum"], answer["event"]
        assert answer == more


SUBSCRIBE = {"action": "subscribe"}
BTC, ETH = {"symbol": "BTC-USD"}, {"symbol": "ETH-USD"}
REJECTS = [
    ("not json", "", "Invalid json received"),
    ("[]", "", "Invalid json received"),
    ({"action": None, "channel": "l2", **BTC}, "l2", "Missing action"),
    ({"channel": None}, "", "Invalid channel"),
    ({"channel": "l9", **BTC}, "l9", "Invalid channel"),
    ({"channel": "l2"}, "l2", "missing symbol field"),
    ({"channel": "l2", "symbol": "btc-usd"}, "l2", "invalid symbol identifier"),
    ({"channel": "ticker", "symbol": "X-Y"}, "ticker", "Invalid symbol"),
    ({"channel": "trades", **BTC}, "trades", "Already subscribed"),
    ({"channel": "prices", **BTC, "granularity": 300}, "prices", "Already subscribed"),
    ({"channel": "prices", **ETH, "granularity": 7}, "prices", "Invalid granularity"),
    ({"channel": "auth", "token": "x"}, "auth", "Authentication Failed"),
]


def test_what_is_wrong_is_rejected_in_the_exchanges_words_and_the_socket_stays(
    exchange,
) -> None:
    client = Client(exchange).ask("trades", "BTC-USD")
    client.ask("prices", "BTC-USD", granularity=60).until(channel="prices")
    for message, channel, text in REJECTS:
        wrong = message if isinstance(message, str) else json.dumps(SUBSCRIBE | message)
        client.socket.send(wrong)
        answer = client.until(event="rejected")
        assert (answer["channel"], answer["text"]) == (channel, text)
        assert "seqnum" in answer
    client.socket.send_binary(b"{}")
    assert client.until(event="rejected")["text"] == "Invalid json received"
    client.ask("prices", "ETH-USD", granularity=300).until(event="subscribed", granularity=300)
    client.ask("prices", "ETH-USD", action="unsubscribe").until(event="unsubscribed")
    client.ask("prices", "ETH-USD", action="unsubscribe").until(text="Not subscribed")


def test_a_closed_symbol_is_acknowledged_and_has_an_empty_book(exchange) -> None:
    client = Client(exchange).ask("l2", "LTC-BTC")
    client.until(event="subscribed")
    snapshot = client.until(event="snapshot")
    assert (snapshot["bids"], snapshot["asks"]) == ([], [])


def test_a_channel_that_is_ended_and_asked_for_again_begins_with_the_book_of_now(
    exchange,
) -> None:
    client = Client(exchange).ask("l2", "ETH-USD")
    client.until(event="updated")
    client.ask("l2", "ETH-USD", action="unsubscribe").until(event="unsubscribed")
    client.heard.clear()
    client.ask("l2", "ETH-USD").until(event="snapshot")
    assert not [each for each in client.heard if each["event"] == "updated"]
    client.until(event="updated")
    client.drain()
    assert book_of(client.of("l2")) == told(exchange.true_book("ETH-USD"))


def test_a_ticker_is_told_once_and_then_by_what_changed(exchange) -> None:
    client = Client(exchange).ask("ticker", "BTC-USD")
    state = dict(client.until(event="snapshot"))
    assert {"price_24h", "volume_24h", "last_trade_price"} <= set(state)
    client.until(event="updated", channel="ticker")
    while "volume_24h" not in client.until(event="updated"):
        told = set(client.heard[-1]) - {"seqnum", "event", "channel", "symbol"}
        assert told in ({"last_trade_price"}, {"mark_price"})
    client.drain()
    for update in client.of("ticker"):
        state |= update
    _, _, told_by_rest = exchange.request("/v3/exchange/tickers/BTC-USD")
    names = ("price_24h", "volume_24h", "last_trade_price", "mark_price")
    assert [float(state[name]) for name in names] == [told_by_rest[name] for name in names]


def test_candles_are_what_the_trades_say_and_are_told_again_while_they_grow(
    start_exchange,
) -> None:
    exchange = start_exchange("--speed", "120", "--seed", "3", name="blockchain")
    client = Client(exchange).ask("trades", "BTC-USD")
    client.ask("prices", "BTC-USD", granularity=60)
    minutes = set()
    while len(minutes) < 4:
        minutes.add(client.until(channel="prices", event="updated")["price"][0])
    heard = [each for each in client.heard if each["event"] == "updated"]
    begun = next(n for n, each in enumerate(heard) if starts_anew(each))
    candle, repeats = None, 0
    for message in heard[begun:]:
        if message["channel"] == "trades":
            quantity, price = message["qty"], message["price"]
            first = not candle[5]
            candle[1] = price if first else candle[1]
            candle[2] = price if first else max(candle[2], price)
            candle[3] = price if first else min(candle[3], price)
            candle[4], candle[5] = price, candle[5] + quantity
        elif starts_anew(message):
            assert candle is None or message["price"][0] == candle[0] + 60_000
            assert candle is None or message["price"][1] == candle[4]
            candle = message["price"]
        else:
            assert message["price"] == candle
            repeats += 1
    assert repeats > 20


def starts_anew(message):
    return message["channel"] == "prices" and not message["price"][5]
