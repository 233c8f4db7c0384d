"""The simulated Coinbase's REST answers as a stranger and the adapter read them."""

import http.client
import json
import time
from decimal import Decimal
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from container_worker.exchanges.coinbase import ADAPTER
from marketdata.times import parse_iso_ms

OPTIONS = (
    "--coinbase-tickers", "BTC-USD,SKL-BTC", "--seed", "7", "--speed", "4",
    "--set", "coinbase.requests_burst=1000", "--set", "coinbase.requests_per_second=1000",
)  # fmt: skip
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def running(request):
    plugins = request.config.pluginmanager.get_plugins()
    [conftest] = [each for each in plugins if hasattr(each, "Follower")]
    exchange = conftest.Exchange(OPTIONS, name="coinbase")
    yield exchange
    exchange.stop()


@pytest.fixture
def coinbase(running):
    """The module's exchange, without faults or a pause before and after."""
    yield running
    running.resume()
    running.disconnect()
    running.request("/_control/faults", method="DELETE")


def body(exchange, request):
    """The adapter's request answered, as bytes."""
    return json.dumps(exchange.get(request.path)).encode()


def every_trade(exchange, ticker, newest):
    """All trades that REST knows up to an id, page by page, oldest first."""
    rows, after = [], newest + 1
    while True:
        path = f"/products/{ticker}/trades?limit=500&after={after}"
        status, headers, page = exchange.request(path)
        assert status == 200
        if not page:
            return rows[::-1]
        assert headers["CB-BEFORE"] == str(page[0]["trade_id"])
        assert headers["CB-AFTER"] == str(page[-1]["trade_id"])
        rows += page
        after = int(headers["CB-AFTER"])


def test_trades_are_paged_backwards_without_a_hole(coinbase) -> None:
    [newest] = coinbase.get("/products/BTC-USD/trades?limit=1")
    rows = every_trade(coinbase, "BTC-USD", newest["trade_id"])
    ids = [row["trade_id"] for row in rows]
    assert ids == list(range(newest["trade_id"] - len(ids) + 1, newest["trade_id"] + 1))
    assert len(ids) > 1000
    times = [row["time"] for row in rows]
    assert times == sorted(times)
    assert {row["side"] for row in rows} == {"buy", "sell"}


def test_newer_trades_are_those_before_the_cursor(coinbase) -> None:
    coinbase.pause()
    page = coinbase.get("/products/BTC-USD/trades?limit=20")
    newer = coinbase.get(f"/products/BTC-USD/trades?before={page[7]['trade_id']}")
    assert newer == page[:7]


def test_trades_that_the_feed_lost_are_those_that_rest_gives(coinbase) -> None:
    socket = coinbase.connect("/")
    socket.send('{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}')
    number = coinbase.fault(kind="drop", ticker="BTC-USD", stream="matches", frames=7, after=3)
    ids = []
    while not (len(ids) > 1 and ids[-1] > ids[-2] + 1):
        message = json.loads(socket.recv())
        if message["type"] == "match":
            ids.append(message["trade_id"])
    first, last = ids[-2] + 1, ids[-1] - 1
    [hit] = coinbase.hits(number)
    assert (hit["first_id"], hit["last_id"], hit["frames"]) == (first, last, 7)
    trades = ADAPTER.trades.decode(
        body(coinbase, ADAPTER.trades.request("BTC-USD", first, last)), "BTC-USD"
    )
    assert [trade.id for trade in trades] == list(range(first, last + 1))
    after = ADAPTER.trades.request("BTC-USD", ids[-1], ids[-1])
    [again] = ADAPTER.trades.decode(body(coinbase, after), "BTC-USD")
    assert again.id == ids[-1]


def test_trades_of_rest_are_those_of_the_feed_by_value(coinbase) -> None:
    socket = coinbase.connect("/")
    socket.send('{"type":"subscribe","product_ids":["SKL-BTC"],"channels":["matches"]}')
    live = {}
    while len(live) < 5:
        for outcome in ADAPTER.socket.decode(socket.recv().encode(), time.time_ns()):
            if type(outcome).__name__ == "Trade":
                live[outcome.id] = outcome
    request = ADAPTER.trades.request("SKL-BTC", min(live), max(live))
    for trade in ADAPTER.trades.decode(body(coinbase, request), "SKL-BTC"):
        told = live[trade.id]
        assert (trade.side, trade.time_ms) == (told.side, told.time_ms)
        assert Decimal(trade.price) == Decimal(told.price)
        assert Decimal(trade.quantity) == Decimal(told.quantity)


@pytest.mark.parametrize("ticker", ["BTC-USD", "SKL-BTC"])
def test_candles_are_those_of_the_trades_and_reach_into_the_past(coinbase, ticker) -> None:
    coinbase.pause()
    now_ms = coinbase.status()["time_ms"]
    newest = coinbase.status()["last_ids"][ticker]["trade_id"]
    minutes = {}
    for row in every_trade(coinbase, ticker, newest):
        minutes.setdefault(parse_iso_ms(row["time"]) // MINUTE_MS, []).append(row)
    to_ms = now_ms // MINUTE_MS * MINUTE_MS
    request = ADAPTER.candles.request(ticker, to_ms - 299 * MINUTE_MS, to_ms)
    candles = ADAPTER.candles.decode(body(coinbase, request), ticker, now_ms)
    assert len(candles) > 200
    assert len(candles) < 300
    assert candles[-1].start_ms + MINUTE_MS <= now_ms
    assert candles == sorted(candles, key=lambda candle: candle.start_ms)
    for candle in candles:
        rows = minutes[candle.start_ms // MINUTE_MS]
        prices = [Decimal(row["price"]) for row in rows]
        expected = (prices[0], max(prices), min(prices), prices[-1])
        told = (candle.open, candle.high, candle.low, candle.close)
        assert tuple(map(Decimal, told)) == expected
        assert Decimal(candle.volume) == sum(Decimal(row["size"]) for row in rows)


def test_candles_before_the_start_may_come_and_quiet_minutes_do_not(coinbase) -> None:
    coinbase.pause()
    rows = coinbase.get("/products/SKL-BTC/candles?granularity=60")
    starts = [row[0] for row in rows]
    assert starts == sorted(starts, reverse=True)
    assert any(later - earlier > 60 for later, earlier in pairwise(starts))
    start = starts[10]
    some = coinbase.get(
        f"/products/SKL-BTC/candles?granularity=60&start={start}&end={starts[5]}"
    )
    assert [row[0] for row in some] == starts[5:12]
    hours = coinbase.get("/products/SKL-BTC/candles?granularity=3600")
    assert all(row[0] % 3600 == 0 for row in hours)


def test_a_small_number_is_printed_with_an_exponent(coinbase) -> None:
    socket = http.client.HTTPConnection(urlsplit(coinbase.rest_url).netloc, timeout=10)
    socket.request("GET", "/products/SKL-BTC/candles", headers={"User-Agent": "test"})
    text = socket.getresponse().read()
    socket.close()
    assert b"e-05" in text


def test_the_book_of_rest_is_the_true_one(coinbase, wait_until) -> None:
    began = coinbase.true_book("BTC-USD")["id"]
    wait_until(lambda: coinbase.true_book("BTC-USD")["id"] > began + 40)
    coinbase.pause()
    true = coinbase.true_book("BTC-USD")
    book = coinbase.get("/products/BTC-USD/book?level=2")
    for side in ("bids", "asks"):
        assert [level[:2] for level in book[side]] == true[side]
        assert all(level[2] > 0 for level in book[side])
    best = coinbase.get("/products/BTC-USD/book")
    assert [level[:2] for level in best["bids"]] == true["bids"][:1]
    assert best["sequence"] == coinbase.status()["last_ids"]["BTC-USD"]["sequence"]
    coinbase.fault(kind="stale_snapshot", ticker="BTC-USD", updates=40)
    old = coinbase.get("/products/BTC-USD/book?level=2")
    past = coinbase.true_book("BTC-USD", true["id"] - 40)
    assert [level[:2] for level in old["bids"]] == past["bids"]


def test_products_and_time_are_as_the_adapter_reads_them(coinbase) -> None:
    listed = ADAPTER.instruments.decode(body(coinbase, ADAPTER.instruments.request))
    assert {ticker: each.symbol for ticker, each in listed.items()} == {
        "BTC-USD": "BTC/USD",
        "SKL-BTC": "SKL/BTC",
    }
    assert coinbase.get("/products/SKL-BTC")["quote_increment"] == "0.00000001"
    now = coinbase.get("/time")
    assert abs(parse_iso_ms(now["iso"]) - round(now["epoch"] * 1000)) <= 1


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/products/NO-NE", 404, "NotFound"),
        ("/products/NO-NE/trades", 404, "NotFound"),
        ("/products/BTC-USD/trades?limit=0", 400, "limit must be above 0"),
        ("/products/BTC-USD/trades?after=-1", 400, "after is not a number"),
        ("/products/BTC-USD/candles?granularity=61", 400, "Unsupported granularity"),
        (
            "/products/BTC-USD/candles?granularity=60&start=1776444000&end=1776464000",
            400,
            "granularity too small",
        ),
        ("/products/BTC-USD/candles?granularity=60&start=x&end=y", 400, "start is not a time"),
        ("/products/BTC-USD/book?level=3", 400, "level 3 is not simulated"),
    ],
)
def test_a_bad_request_has_a_status_and_a_message(coinbase, path, status, message) -> None:
    found, _, told = coinbase.request(path)
    assert found == status
    assert told["message"].startswith(message)


def test_a_request_without_a_user_agent_is_refused(coinbase) -> None:
    socket = http.client.HTTPConnection(urlsplit(coinbase.rest_url).netloc, timeout=10)
    socket.request("GET", "/products")
    answer = socket.getresponse()
    assert answer.status == 400
    assert json.loads(answer.read())["message"] == "User-Agent header is required."
    socket.close()


def test_refusals_have_the_exchanges_words_and_the_wait_that_was_asked_for(coinbase) -> None:
    coinbase.fault(kind="refuse", status=429, retry_after_s=3, path="/products")
    status, headers, told = coinbase.request("/products")
    assert (status, headers["Retry-After"]) == (429, "3")
    assert told == {"message": "Public rate limit exceeded"}
    assert coinbase.request("/products")[0] == 200
    coinbase.fault(kind="refuse", status=503)
    assert coinbase.request("/time")[0] == 503


def test_the_sixteenth_request_at_once_is_refused(start_exchange) -> None:
    exchange = start_exchange(
        "--coinbase-tickers", "BTC-USD", "--set", "coinbase.requests_per_second=1",
        name="coinbase",
    )  # fmt: skip
    statuses = [exchange.request("/time")[0] for _ in range(17)]
    assert statuses[:15] == [200] * 15
    assert statuses[15] == 429


def test_currencies_ticker_and_stats_tell_what_the_feed_tells(coinbase) -> None:
    names = [each["id"] for each in coinbase.get("/currencies")]
    assert names == ["BTC", "SKL", "USD"]
    coinbase.pause()
    [newest] = coinbase.get("/products/BTC-USD/trades?limit=1")
    told = coinbase.get("/products/BTC-USD/ticker")
    assert (told["trade_id"], told["time"]) == (newest["trade_id"], newest["time"])
    assert Decimal(told["price"]) == Decimal(newest["price"])
    assert told["bid"] == coinbase.true_book("BTC-USD")["bids"][0][0]
    stats = coinbase.get("/products/BTC-USD/stats")
    assert Decimal(stats["low"]) <= Decimal(stats["last"]) <= Decimal(stats["high"])
