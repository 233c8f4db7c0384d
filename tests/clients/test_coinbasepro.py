"""coinbasepro's PublicClient on the Coinbase simulator's REST."""

from decimal import Decimal

import pytest

SERVED = ("coinbase",)
PRODUCT = "ETH-USD"


@pytest.fixture(scope="module")
def client(clients_python, simulators, start_client):
    return start_client(clients_python, "coinbasepro_client", simulators.addresses())


@pytest.fixture(scope="module")
def coinbase(simulators):
    with simulators["coinbase"].standing():
        yield simulators["coinbase"]


def test_its_products_are_the_instruments(client, coinbase):
    products = client.ask("products")
    assert [each["id"] for each in products] == coinbase.get("/_control/status")["tickers"]
    assert {each["status"] for each in products} == {"online"}


def test_its_order_books_are_the_true_one(client, coinbase, truth):
    true = truth.levels(coinbase.book(PRODUCT))
    assert truth.levels(client.ask("book", 2)) == true
    assert truth.levels(client.ask("book", 1)) == truth.cut_to(true, 1)


def test_page_by_page_it_gets_consecutive_trades(client, coinbase):
    trades = client.ask("trades", 250)
    last = int(coinbase.get("/_control/status")["last_ids"][PRODUCT]["trade_id"])
    assert [each["trade_id"] for each in trades] == list(range(last, last - 250, -1))


def test_its_ticker_is_of_the_last_trade_and_the_best_prices(client, coinbase):
    ticker, last = client.ask("ticker"), client.ask("trades", 1)[0]
    assert (ticker["trade_id"], ticker["time"]) == (last["trade_id"], last["time"])
    for name in ("price", "size"):
        assert Decimal(ticker[name]) == Decimal(last[name])
    book = coinbase.book(PRODUCT)
    best = [Decimal(book[side][0][0]) for side in ("bids", "asks")]
    assert [Decimal(ticker["bid"]), Decimal(ticker["ask"])] == best


def test_its_candles_are_those_of_its_trades(client, coinbase):
    minute = coinbase.get("/_control/status")["time_ms"] // 60_000
    told = client.ask("candles", (minute - 290) * 60, minute * 60)
    candles = {
        each["time"]: [
            Decimal(each[name]) for name in ("open", "high", "low", "close", "volume")
        ]
        for each in told
    }
    assert list(candles) == sorted(candles, reverse=True)
    traded = {}
    for each in reversed(client.ask("trades", 250)):
        start = f"{each['time'][:16]}:00"
        traded.setdefault(start, []).append((Decimal(each["price"]), Decimal(each["size"])))
    # The oldest minute is cut off by the number of trades.
    computed = {start: _candle(trades) for start, trades in list(traded.items())[1:]}
    assert computed
    assert {start: candles[start] for start in computed} == computed


def _candle(trades):
    prices = [price for price, _ in trades]
    volume = sum(size for _, size in trades)
    return [prices[0], max(prices), min(prices), prices[-1], volume]


def test_its_day_holds_the_last_price(client, coinbase):
    day = {name: Decimal(value) for name, value in client.ask("day").items()}
    assert day["last"] == Decimal(client.ask("ticker")["price"])
    assert day["low"] <= day["last"] <= day["high"]
    assert day["volume"] > 0
