"""cryptofeed on Binance and Blockchain.com over wss: books, trades, and its reconnecting."""

from decimal import Decimal

import pytest

# Its package is built from source, which takes a compiler and more than half a minute.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

TICKERS = {"binance": "BTCUSDT", "blockchain": "BTC-USD"}
SERVED = EXCHANGES = tuple(TICKERS)
TLS = True


@pytest.fixture(scope="module")
def client(bench_python, simulators, start_client):
    trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), simulators.authority)
    return start_client(bench_python, "cryptofeed_client", simulators.addresses(), **trusted)


@pytest.fixture(scope="module")
def following(client, wait_until):
    def heard(exchange):
        told = client.ask("heard", exchange)
        return told["book"] and told["trades"]

    wait_until(lambda: all(map(heard, EXCHANGES)), 30, "books and trades")
    return client


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_its_instruments_are_the_simulators(client, simulators, exchange):
    served = simulators[exchange].get("/_control/status")["tickers"]
    assert list(client.ask("instruments", exchange).values()) == served


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_its_book_is_the_true_one(following, simulators, becomes_true, exchange):
    becomes_true(
        simulators[exchange],
        TICKERS[exchange],
        lambda: following.ask("heard", exchange)["book"],
    )


def test_its_trades_on_blockchain_are_every_one_between_two_moments(
    following, simulators, wait_until
):
    simulator = simulators["blockchain"]
    ends = []
    for _ in range(2):
        wait_until(lambda: simulator.last_trade("BTC-USD") > max(ends, default=0) + 5, 30)
        with simulator.standing():
            ends.append(simulator.last_trade("BTC-USD"))
            wait_until(
                lambda: str(ends[-1]) in following.ask("heard", "blockchain")["trades"],
                what="the last trade",
            )
    trades = following.ask("heard", "blockchain")["trades"]
    assert [each for each in range(ends[0], ends[1] + 1) if str(each) not in trades] == []


def test_its_trades_on_binance_are_the_aggregated_ones_of_rest(
    following, simulators, wait_until
):
    simulator = simulators["binance"]
    with simulator.standing():
        rows = simulator.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=5")
        wait_until(
            lambda: str(rows[-1]["a"]) in following.ask("heard", "binance")["trades"],
            what="the last trade",
        )
        heard = following.ask("heard", "binance")["trades"]
    for row in rows:
        told = heard.get(str(row["a"]))
        if told:
            side = "sell" if row["m"] else "buy"
            assert (Decimal(told[0]), Decimal(told[1])) == (
                Decimal(row["p"]),
                Decimal(row["q"]),
            )
            assert told[2] == side


def test_its_ticker_on_binance_is_the_best_of_the_book(following, simulators, wait_until):
    with simulators["binance"].standing():
        book = simulators["binance"].book("BTCUSDT")
        best = [Decimal(book[side][0][0]) for side in ("bids", "asks")]
        wait_until(
            lambda: list(map(Decimal, following.ask("heard", "binance")["ticker"])) == best,
            what="the best prices",
        )


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_after_an_update_that_never_came_its_book_is_the_true_one_again(
    following, simulators, becomes_true, wait_until, exchange
):
    simulator, ticker = simulators[exchange], TICKERS[exchange]
    stream = {"binance": "depth@100ms", "blockchain": "l2"}[exchange]
    before = simulator.connections()
    lost = simulator.fault(kind="drop", ticker=ticker, stream=stream, frames=2)
    wait_until(lambda: simulator.hits(lost), what="the loss")
    if exchange == "blockchain":
        # There a hole in the connection's numbers makes it connect again.
        wait_until(
            lambda: simulator.connections() and simulator.connections() != before,
            30,
            "a new connection",
        )
    becomes_true(simulator, ticker, lambda: following.ask("heard", exchange)["book"])


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_after_a_disconnect_its_book_is_the_true_one_again(
    following, simulators, becomes_true, wait_until, exchange
):
    simulator = simulators[exchange]
    newest = max(map(int, following.ask("heard", exchange)["trades"]))
    gone = simulator.cut()
    wait_until(
        lambda: simulator.connections() and not set(simulator.connections()) & set(gone),
        60,
        "a new connection",
    )
    wait_until(
        lambda: max(map(int, following.ask("heard", exchange)["trades"])) > newest,
        60,
        "a trade after the disconnect",
    )
    becomes_true(simulator, TICKERS[exchange], lambda: following.ask("heard", exchange)["book"])
