"""python-binance on the Binance simulator: its answers, its own book, and its reconnecting."""

from decimal import Decimal

import pytest

SERVED = ("binance",)
SYMBOL = "ETHUSDT"


@pytest.fixture(scope="module")
def client(clients_python, simulators, start_client):
    return start_client(clients_python, "python_binance_client", simulators.addresses())


@pytest.fixture(scope="module")
def following(client, wait_until):
    wait_until(
        lambda: all(client.ask("heard")[name] for name in ("book", "ids", "candle")),
        30,
        "something by every socket",
    )
    return client


@pytest.fixture
def standing(simulators):
    with simulators["binance"].standing():
        yield simulators["binance"]


def test_its_instruments_are_the_simulators(client, simulators):
    served = simulators["binance"].get("/_control/status")["tickers"]
    told = client.ask("instruments")["symbols"]
    assert [each["symbol"] for each in told if each["status"] == "TRADING"] == served


def test_its_order_book_by_rest_is_the_true_one(client, standing, truth):
    book = client.ask("order_book")
    assert truth.levels(book) == truth.levels(standing.book(SYMBOL))


def test_its_own_book_is_the_true_one(following, simulators, becomes_true):
    becomes_true(simulators["binance"], SYMBOL, lambda: following.ask("heard")["book"])


def test_its_trades_by_socket_are_consecutive_and_those_of_rest(
    following, standing, wait_until
):
    trades = following.ask("trades")
    ids = [trade["id"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + 50))
    wait_until(lambda: ids[-1] in following.ask("heard")["ids"], what="the last trade")
    heard = following.ask("heard")["ids"]
    assert set(heard[-3:]) <= set(ids)
    assert heard == sorted(set(heard))


def test_its_tickers_are_of_the_last_trade_and_the_best_prices(client, standing):
    last = client.ask("trades")[-1]
    book = standing.book(SYMBOL)
    day, best = client.ask("day"), client.ask("best")
    assert client.ask("price") == {"symbol": SYMBOL, "price": last["price"]}
    assert (day["lastId"], day["lastPrice"]) == (last["id"], last["price"])
    for told in (best, day):
        assert [told["bidPrice"], told["bidQty"]] == book["bids"][0]
        assert [told["askPrice"], told["askQty"]] == book["asks"][0]
    assert Decimal(day["lowPrice"]) <= Decimal(client.ask("average")["price"])


def test_its_candles_follow_each_other_and_end_with_the_sockets(following, standing):
    rows = following.ask("candles")
    starts = [row[0] for row in rows]
    assert starts == list(range(starts[0], starts[0] + 20 * 300_000, 300_000))
    candle = following.ask("heard")["candle"]
    row = rows[-1] if candle["t"] >= rows[-1][0] else rows[-2]
    assert Decimal(row[3]) <= Decimal(candle["l"]) <= Decimal(candle["h"]) <= Decimal(row[2])


def test_after_an_update_that_never_came_its_book_is_the_true_one_again(
    following, simulators, becomes_true, wait_until
):
    simulator = simulators["binance"]
    lost = simulator.fault(kind="drop", ticker=SYMBOL, stream="depth@100ms", frames=2)
    wait_until(lambda: simulator.is_past(lost, SYMBOL), what="the loss")
    becomes_true(simulator, SYMBOL, lambda: following.ask("heard")["book"])


def test_after_a_disconnect_its_book_is_the_true_one_again(
    following, simulators, becomes_true, wait_until
):
    before = following.ask("heard")
    simulator = simulators["binance"]
    gone = simulator.cut()
    wait_until(lambda: following.ask("heard")["breaks"] > before["breaks"], what="the cut")
    wait_until(
        lambda: len(set(simulator.connections()) - set(gone)) == len(gone),
        30,
        "as many new connections",
    )
    wait_until(
        lambda: following.ask("heard")["ids"][-1] > before["ids"][-1], 20, "a trade after it"
    )
    becomes_true(simulator, SYMBOL, lambda: following.ask("heard")["book"])
