"""Binance's 24 hours: `@ticker`, `@miniTicker`, `ticker/…`, `avgPrice`, against the trades."""

import json
from decimal import Decimal

import pytest

from local.exchanges.binance.day import DAY_MS, Day, average_row
from local.exchanges.candles import MINUTE_MS, CandleSeries
from local.exchanges.ladder import ASK, BID, Change, Ladder
from local.exchanges.trades import Trade, TradeLog

NOW_MS = 1_795_000_000_000 // MINUTE_MS * MINUTE_MS


@pytest.fixture
def standing(shared_exchange):
    shared_exchange.pause()
    yield shared_exchange
    shared_exchange.resume()
    shared_exchange.disconnect()


def log_of(*trades):
    log = TradeLog()
    log.trades.extend(Trade(*trade) for trade in trades)
    return log


def ladder():
    made = Ladder()
    levels = [(BID, 99, '["99.00000000","2.00000000"]'), (ASK, 101, '["101.00","3.00"]')]
    made.load(1, [Change(*level) for level in levels])
    return made


def heard_at(time_ms, receive):
    """The event of that time, the last one before time stood still."""
    while (event := receive())["E"] != time_ms:
        pass
    return event


def test_the_day_of_a_tape_is_that_of_its_trades_within_24_hours():
    log = log_of(
        (1, "50.00000000", "9.00000000", NOW_MS - DAY_MS, True),
        (2, "100.00000000", "1.00000000", NOW_MS - 2000, True),
        (3, "130.00000000", "2.00000000", NOW_MS - 1000, False),
        (4, "90.00000000", "1.00000000", NOW_MS, False),
    )
    row = Day.of_trades(log, ladder(), NOW_MS).row("T", short=False)
    assert row == {
        "symbol": "T", "priceChange": "-10.00000000", "priceChangePercent": "-10.000",
        "weightedAvgPrice": "112.50000000", "prevClosePrice": "100.00000000",
        "lastPrice": "90.00000000", "lastQty": "1.00000000", "bidPrice": "99.00000000",
        "bidQty": "2.00000000", "askPrice": "101.00", "askQty": "3.00",
        "openPrice": "100.00000000", "highPrice": "130.00000000", "lowPrice": "90.00000000",
        "volume": "4.00000000", "quoteVolume": "450.00000000",
        "openTime": NOW_MS - DAY_MS, "closeTime": NOW_MS, "firstId": 2, "lastId": 4, "count": 3,
    }  # fmt: skip


def test_a_market_forgets_the_minutes_that_began_more_than_24_hours_ago():
    minutes = CandleSeries(MINUTE_MS, NOW_MS - DAY_MS - MINUTE_MS, 7)
    log = log_of(
        (1, "500.00000000", "1.00000000", NOW_MS - DAY_MS - MINUTE_MS, True),
        (2, "10.00000000", "1.00000000", NOW_MS - MINUTE_MS, True),
        (3, "12.00000000", "1.00000000", NOW_MS, True),
    )
    for trade in log.trades:
        minutes.roll(trade.time_ms)
        minutes.add(trade)
    row = Day.of_market(minutes, log, ladder(), NOW_MS + 1).row("T", short=True)
    assert (row["highPrice"], row["volume"]) == ("12.00000000", "2.00000000")
    assert (row["lastPrice"], row["firstId"], row["count"]) == ("12.00000000", 2, 2)
    assert "bidPrice" not in row


def test_where_nothing_was_traded_and_no_book_is_known_every_number_is_zero():
    day = Day.of_trades(TradeLog(), None, NOW_MS).row("T", short=False)
    numbers = {name: value for name, value in day.items() if isinstance(value, str)}
    assert {Decimal(value) for name, value in numbers.items() if name != "symbol"} == {0}
    assert (day["firstId"], day["count"]) == (-1, 0)
    assert average_row(TradeLog(), NOW_MS)["price"] == "0.00000000"


def test_the_average_price_weighs_the_trades_of_five_minutes():
    log = log_of(
        (1, "900.00000000", "9.00000000", NOW_MS - 5 * MINUTE_MS, True),
        (2, "10.00000000", "1.00000000", NOW_MS - MINUTE_MS, True),
        (3, "20.00000000", "3.00000000", NOW_MS, True),
    )
    told = {"mins": 5, "price": "17.50000000", "closeTime": NOW_MS}
    assert average_row(log, NOW_MS) == told
    old = log_of((1, "900.00000000", "9.00000000", NOW_MS - 5 * MINUTE_MS, True))
    assert average_row(old, NOW_MS)["price"] == "900.00000000"


def test_the_streams_tell_the_day_as_rest_does(shared_exchange):
    whole = shared_exchange.connect("/ws/btcusdt@ticker")
    short = shared_exchange.connect("/stream?streams=btcusdt@miniTicker")
    shared_exchange.pause()
    try:
        row = shared_exchange.get("/api/v3/ticker/24hr?symbol=BTCUSDT")
        mini = shared_exchange.get("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI")
        event = heard_at(row["closeTime"], lambda: json.loads(whole.recv()))
        short_event = heard_at(row["closeTime"], lambda: json.loads(short.recv())["data"])
    finally:
        shared_exchange.resume()
        shared_exchange.disconnect()
    assert (event.pop("e"), short_event.pop("e")) == ("24hrTicker", "24hrMiniTicker")
    assert short_event == {name: event[name] for name in "Esohlcvq"}
    assert event.pop("E") == row["closeTime"]
    assert sorted(map(str, row.values())) == sorted(map(str, event.values()))
    assert set(mini.items()) < set(row.items())


def test_the_tickers_by_rest_are_those_of_the_book_and_the_last_trade(standing):
    last = standing.get("/api/v3/trades?symbol=ETHUSDT&limit=1")[0]
    truth = standing.true_book("ETHUSDT")
    assert standing.get("/api/v3/ticker/price?symbol=ETHUSDT") == {
        "symbol": "ETHUSDT",
        "price": last["price"],
    }
    best = standing.get("/api/v3/ticker/bookTicker?symbol=ETHUSDT")
    assert [best["bidPrice"], best["bidQty"]] == truth["bids"][0]
    assert [best["askPrice"], best["askQty"]] == truth["asks"][0]
    day = standing.get("/api/v3/ticker/24hr?symbol=ETHUSDT")
    assert (day["lastId"], day["lastQty"]) == (last["id"], last["qty"])
    candles = standing.get("/api/v3/klines?symbol=ETHUSDT&interval=1m&limit=1000")
    assert Decimal(day["highPrice"]) >= max(Decimal(row[2]) for row in candles)


def test_without_a_symbol_every_ticker_is_told_and_it_weighs_more(exchange):
    rows = exchange.get("/api/v3/ticker/price")
    assert [row["symbol"] for row in rows] == exchange.status()["tickers"]
    some = exchange.get("/api/v3/ticker/bookTicker?symbols=%5B%22ETHUSDT%22%5D")
    assert [row["symbol"] for row in some] == ["ETHUSDT"]
    weight = "X-MBX-USED-WEIGHT-1M"
    before = int(exchange.request("/api/v3/ping")[1][weight])
    after = int(exchange.request("/api/v3/ticker/24hr")[1][weight])
    assert after - before == 80
    assert exchange.request("/api/v3/ticker/24hr?symbol=NOPE")[2]["code"] == -1121


def test_the_past_is_told_by_trades_and_by_aggregated_trades(start_exchange):
    exchange = start_exchange("--tickers", "BTCUSDT")
    exchange.pause()
    trades = exchange.get("/api/v3/trades?symbol=BTCUSDT&limit=1000")
    rows = exchange.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=1000")
    ids = [row["a"] for row in rows]
    assert ids == list(range(ids[0], ids[0] + 1000))
    parts = [number for row in rows for number in range(row["f"], row["l"] + 1)]
    assert parts[-1000:] == [trade["id"] for trade in trades]
