"""REST answers: members, limits, weights, errors."""

import json
from decimal import Decimal

import pytest

from local.exchanges.binance.limits import Refusal, WeightBudget, depth_weight


def test_ping_and_time(exchange, wait_until):
    assert exchange.get("/api/v3/ping") == {}
    first = exchange.get("/api/v3/time")["serverTime"]
    wait_until(lambda: exchange.get("/api/v3/time")["serverTime"] > first, what="time passing")


def test_exchange_info_lists_all_one_or_some(exchange):
    everything = exchange.get("/api/v3/exchangeInfo")
    assert [item["symbol"] for item in everything["symbols"]][:2] == ["BTCUSDT", "ETHUSDT"]
    assert everything["rateLimits"][0]["limit"] == 6000
    one = exchange.get("/api/v3/exchangeInfo?symbol=ETHUSDT")["symbols"]
    assert [(item["symbol"], item["baseAsset"], item["quoteAsset"]) for item in one] == [
        ("ETHUSDT", "ETH", "USDT")
    ]
    filters = {item["filterType"]: item for item in one[0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00010000"
    some = exchange.get("/api/v3/exchangeInfo?symbols=%5B%22XRPUSDT%22,%22BTCUSDT%22%5D")
    assert [item["symbol"] for item in some["symbols"]] == ["XRPUSDT", "BTCUSDT"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("exchangeInfo?symbol=NOPE", -1121),
        ("exchangeInfo?symbol=btcusdt", -1121),
        ("exchangeInfo?symbols=NOPE", -1100),
        ('exchangeInfo?symbols=["BTCUSDT","NOPE"]', -1121),
        ('exchangeInfo?symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128),
        ("depth?symbol=NOPE", -1121),
        ("depth", -1102),
        ("depth?symbol=", -1102),
        ("depth?symbol=BTCUSDT&limit=x", -1100),
        ("depth?symbol=BTCUSDT&limit=0", -1130),
        ("depth?symbol=BTCUSDT&limit=-5", -1100),
        ("klines?symbol=BTCUSDT&interval=7m", -1120),
        ("klines?symbol=BTCUSDT", -1120),
        ("trades?symbol=NOPE", -1121),
    ],
)
def test_a_bad_request_has_binances_code(exchange, path, code):
    status, _, body = exchange.request(f"/api/v3/{path}".replace('"', "%22"))
    assert (status, body["code"]) == (400, code)
    if code == -1121:
        assert body["msg"] == "Invalid symbol."


@pytest.mark.parametrize(
    ("query", "levels"),
    [("", 100), ("&limit=1", 1), ("&limit=500", 500), ("&limit=99999", 1990)],
)
def test_depth_has_as_many_levels_as_asked_for_best_first(exchange, query, levels):
    book = exchange.get(f"/api/v3/depth?symbol=BTCUSDT{query}")
    assert list(book) == ["lastUpdateId", "bids", "asks"]
    if levels == 1990:
        assert len(book["bids"]) >= levels
    else:
        assert len(book["bids"]) == len(book["asks"]) == levels
    bids = [Decimal(price) for price, _ in book["bids"]]
    asks = [Decimal(price) for price, _ in book["asks"]]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


def test_trades_and_candles_are_those_of_the_stream(exchange):
    socket = exchange.connect("/ws/btcusdt@trade/btcusdt@aggTrade")
    streamed = [json.loads(socket.recv()) for _ in range(20)]
    trades = [message for message in streamed if message["e"] == "trade"]
    first = trades[0]["t"]
    told = exchange.get(f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={first}&limit=1000")
    for trade, row in zip(trades, told, strict=False):
        assert (row["id"], row["price"], row["qty"]) == (trade["t"], trade["p"], trade["q"])
        assert (row["time"], row["isBuyerMaker"]) == (trade["T"], trade["m"])
    aggregate = next(message for message in streamed if message["e"] == "aggTrade")
    rows = exchange.get(f"/api/v3/aggTrades?symbol=BTCUSDT&fromId={aggregate['a']}&limit=1")
    assert rows == [{key: aggregate[key] for key in ("a", "p", "q", "f", "l", "T", "m", "M")}]
    newest = exchange.get("/api/v3/trades?symbol=BTCUSDT&limit=5")
    assert len(newest) == 5
    candles = exchange.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1")
    assert len(candles[0]) == 12
    assert candles[0][0] % 60_000 == 0


def test_klines_are_cut_by_times_and_limit(start_exchange, wait_until):
    exchange = start_exchange("--speed", "300", "--tickers", "BTCUSDT")
    query = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
    begun_ms = exchange.get(query)[-1][0]
    wait_until(
        lambda: exchange.get(query)[-1][0] > begun_ms + 6 * 60_000,
        seconds=30,
        what="six minutes at 300 times",
    )
    rows = exchange.get(f"{query}&limit=1000")
    assert len(rows) == 1000
    starts = [row[0] for row in rows]
    assert starts == list(range(starts[0], starts[0] + 60_000 * len(starts), 60_000))
    cut = exchange.get(f"{query}&startTime={starts[1]}&endTime={starts[3]}")
    assert [row[0] for row in cut] == starts[1:4]
    assert exchange.get(f"{query}&startTime={starts[1]}&limit=2") == cut[:2]
    trades = {row[0]: row[8] for row in rows}
    five = exchange.get("/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=100")
    for start, count in [(row[0], row[8]) for row in five[:-2]]:
        assert count == sum(trades[start + 60_000 * minute] for minute in range(5))


@pytest.mark.parametrize(
    ("limit", "weight"),
    [(1, 5), (100, 5), (101, 25), (500, 25), (501, 50), (1000, 50), (1001, 250), (5000, 250)],
)
def test_depth_weighs_by_its_limit(limit, weight):
    assert depth_weight(limit) == weight


def test_used_weight_is_told_and_its_end_is_429_then_418(start_exchange):
    exchange = start_exchange("--weight-per-minute", "600")
    statuses, used = [], []
    while 418 not in statuses:
        status, headers, body = exchange.request("/api/v3/depth?symbol=BTCUSDT&limit=5000")
        statuses.append(status)
        if status == 200:
            used.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
        else:
            assert 0 < int(headers["Retry-After"]) <= 120
            assert body["code"] == -1003
    assert used[:2] == [250, 500] or used[1:3] == [250, 500]
    assert 429 in statuses


def test_the_budget_is_a_minutes_and_a_ban_outlives_it():
    budget = WeightBudget(100)
    assert budget.take("a", 90, 60.0) is None
    assert budget.take("a", 20, 70.0) == Refusal(429, 50)
    assert budget.take("b", 90, 70.0) is None
    assert budget.take("a", 20, 120.0) is None
    for _ in range(5):
        assert budget.take("a", 100, 121.0) == Refusal(429, 59)
    assert budget.take("a", 1, 122.0) is None
    assert budget.take("a", 100, 123.0) == Refusal(418, 120)
    assert budget.take("a", 1, 183.0) == Refusal(418, 60)
    assert budget.take("a", 1, 243.0) is None


def test_the_status_tells_the_last_ids(exchange):
    status = exchange.status()
    assert (status["mode"], status["done"], status["seed"]) == ("simulate", False, 1)
    last = status["last_ids"]["BTCUSDT"]["update_id"]
    assert exchange.true_book("BTCUSDT", last)["id"] == last


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("ticker=NOPE&id=1", 404, "ticker 'NOPE' is not served"),
        ("ticker=BTCUSDT&id=x", 400, "id 'x' is not an update id"),
        ("ticker=BTCUSDT&id=1", 404, "the book at 1 is not known"),
        ("ticker=BTCUSDT&id=99999999999999", 404, "is not known: ids"),
    ],
)
def test_a_book_that_is_not_there_is_a_sentence(exchange, query, status, words):
    answer, _, body = exchange.request(f"/_control/book?{query}")
    assert answer == status
    assert words in body["error"]
