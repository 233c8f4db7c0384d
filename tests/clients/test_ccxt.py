"""ccxt on Binance, Coinbase and Blockchain.com: what it says is what the simulators did."""

from decimal import Decimal

import pytest

TICKERS = {"binance": "BTCUSDT", "coinbase": "BTC-USD", "blockchain": "BTC-USD"}
SERVED = EXCHANGES = tuple(TICKERS)
# By REST Blockchain.com tells neither trades nor candles.
WITH_HISTORY = ("binance", "coinbase")


@pytest.fixture(scope="module")
def ccxt(clients_python, simulators, start_client):
    return start_client(clients_python, "ccxt_client", simulators.addresses())


@pytest.fixture(scope="module")
def following(ccxt, wait_until):
    """The client when every stream of every exchange has told something."""

    def heard(exchange):
        told = ccxt.ask("heard", exchange)
        return told["book"] and told["trades"] and told["ticker"]

    wait_until(lambda: all(map(heard, EXCHANGES)), 30, "something by every stream")
    return ccxt


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_its_markets_are_the_instruments(ccxt, simulators, exchange):
    served = simulators[exchange].get("/_control/status")["tickers"]
    markets = ccxt.ask("markets", exchange)
    assert [market[0] for market in markets.values() if market[3]] == served
    assert all(symbol == f"{base}/{quote}" for symbol, (_, base, quote, _) in markets.items())


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_its_order_book_by_rest_is_the_true_one(ccxt, simulators, truth, exchange):
    with simulators[exchange].standing():
        book = ccxt.ask("order_book", exchange, *([5000] if exchange == "binance" else []))
        true = simulators[exchange].book(TICKERS[exchange])
    assert truth.levels(book) == truth.levels(true)
    assert len(book["bids"]) > 50


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_its_own_book_by_stream_is_the_true_one(following, simulators, becomes_true, exchange):
    becomes_true(
        simulators[exchange],
        TICKERS[exchange],
        lambda: following.ask("heard", exchange)["book"],
    )


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_it_hears_every_trade_between_two_moments(following, simulators, wait_until, exchange):
    def heard(number):
        return str(number) in following.ask("heard", exchange)["trades"]

    simulator, ticker = simulators[exchange], TICKERS[exchange]
    ends = []
    for _ in range(2):
        wait_until(lambda: simulator.last_trade(ticker) > max(ends, default=0) + 5, 30)
        with simulator.standing():
            ends.append(simulator.last_trade(ticker))
            wait_until(lambda: heard(ends[-1]), what="the last trade")
    trades = following.ask("heard", exchange)["trades"]
    missing = [number for number in range(ends[0], ends[1] + 1) if str(number) not in trades]
    assert missing == []


def test_its_trades_by_stream_on_coinbase_are_those_of_rest(following, simulators, wait_until):
    def heard():
        return following.ask("heard", "coinbase")["trades"]

    wait_until(lambda: len(heard()) > 5, 30, "some trades")
    with simulators["coinbase"].standing():
        asked = following.ask("trades", "coinbase")
        wait_until(lambda: max(asked, key=int) in heard(), what="the last trade")
        told = heard()
    both = set(asked) & set(told)
    assert len(both) > 5
    assert [asked[each] for each in both] == [told[each] for each in both]


def test_its_trades_by_rest_on_binance_are_the_aggregated_ones(ccxt, simulators):
    with simulators["binance"].standing():
        asked = ccxt.ask("trades", "binance")
        rows = simulators["binance"].get("/api/v3/aggTrades?symbol=BTCUSDT&limit=50")
    assert asked == {
        str(row["a"]): [
            Decimal(row["p"]),
            Decimal(row["q"]),
            "sell" if row["m"] else "buy",
            row["T"],
        ]
        for row in rows
    }
    assert len(rows) == 50


@pytest.mark.parametrize("exchange", WITH_HISTORY)
def test_its_ticker_by_rest_is_of_the_last_trade_and_the_best_prices(
    ccxt, simulators, exchange
):
    with simulators[exchange].standing():
        book = simulators[exchange].book(TICKERS[exchange])
        ticker = ccxt.ask("ticker", exchange)
        trades = ccxt.ask("trades", exchange)
    best = [Decimal(book[side][0][0]) for side in ("bids", "asks")]
    assert [ticker["bid"], ticker["ask"]] == best
    assert ticker["last"] == trades[max(trades, key=int)][0]
    assert ticker["baseVolume"] > 0


# Last price and volume as the messages name them; ccxt's own `last` of Blockchain.com's stream
# is the mark price.
MEMBERS = {
    "binance": ("c", "v"),
    "coinbase": ("price", "volume_24h"),
    "blockchain": ("last_trade_price", "volume_24h"),
}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_its_ticker_by_stream_comes_to_what_rest_says(
    following, simulators, wait_until, exchange
):
    def told():
        message = following.ask("heard", exchange)["ticker"]["info"]
        return [Decimal(message[name]) for name in MEMBERS[exchange]]

    with simulators[exchange].standing():
        asked = following.ask("ticker", exchange)
        wait_until(
            lambda: told() == [asked["last"], asked["baseVolume"]],
            what="the last price and the day's volume",
        )


@pytest.mark.parametrize("exchange", WITH_HISTORY)
def test_its_candles_are_consecutive_minutes_without_a_hole(ccxt, exchange):
    candles = ccxt.ask("candles", exchange)
    starts = [candle[0] for candle in candles]
    assert starts == list(range(starts[0], starts[0] + 5 * 60_000, 60_000))
    for _, opened, high, low, closed, volume in candles:
        assert low <= min(opened, closed) <= max(opened, closed) <= high
        assert volume >= 0


@pytest.mark.parametrize("exchange", ["binance", "blockchain"])
def test_its_candle_by_stream_holds_the_prices_of_its_minute(following, wait_until, exchange):
    def told():
        return following.ask("heard", exchange)["candles"]

    wait_until(told, what="a candle")
    heard = following.ask("heard", exchange)
    for start, opened, high, low, closed, _ in heard["candles"]:
        assert start % 60_000 == 0
        assert low <= min(opened, closed) <= max(opened, closed) <= high


def test_after_an_update_that_never_came_its_book_is_the_true_one_again(
    following, simulators, becomes_true, wait_until
):
    simulator = simulators["binance"]
    lost = simulator.fault(kind="drop", ticker="BTCUSDT", stream="depth@100ms", frames=2)
    wait_until(lambda: simulator.is_past(lost, "BTCUSDT"), what="the loss")
    becomes_true(simulator, "BTCUSDT", lambda: following.ask("heard", "binance")["book"])


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_after_a_disconnect_its_book_is_the_true_one_again(
    following, simulators, becomes_true, wait_until, exchange
):
    simulator = simulators[exchange]
    before = following.ask("heard", exchange)
    gone = simulator.cut()
    wait_until(
        lambda: following.ask("heard", exchange)["breaks"] > before["breaks"],
        what="the disconnect",
    )
    wait_until(
        lambda: simulator.connections() and not set(simulator.connections()) & set(gone),
        what="a new connection",
    )
    newest = max(map(int, before["trades"]))
    wait_until(
        lambda: max(map(int, following.ask("heard", exchange)["trades"]), default=0) > newest,
        20,
        "a trade after the disconnect",
    )
    becomes_true(simulator, TICKERS[exchange], lambda: following.ask("heard", exchange)["book"])
