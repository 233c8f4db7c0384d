"""Binance's past trades and candles: its rows, and capture that asks for them by itself."""

import itertools
import json

import pytest

from container_worker.capture.hole import MINUTE_MS
from container_worker.exchanges.adapter import RestRequest
from container_worker.exchanges.binance import ADAPTER as BINANCE
from container_worker.exchanges.outcomes import CandleState, Trade
from marketdata import codec
from marketdata.errors import DecodeError


def _rows(simulator, query):
    return simulator.ask(f"/api/v3/{query}")


def page(rows):
    return json.dumps(rows).encode()


ROW = {
    "id": 7,
    "price": "1.50000000",
    "qty": "2E-7",
    "quoteQty": "3",
    "time": 1_499_865_549_590,
    "isBuyerMaker": True,
    "isBestMatch": True,
}
KLINE = [60_000, "1.0", "2.0", "0.5", "1.5", "9E-3", 119_999, "0", 3, "0", "0", "0"]


def test_binances_rows_become_events_with_the_exchanges_digits():
    later = {**ROW, "id": 8, "isBuyerMaker": False, "time": 1_499_865_549_590_123}
    first, second = BINANCE.trades.decode(page([later, ROW]), "BTCUSDT")
    assert first == Trade("BTCUSDT", 7, 1_499_865_549_590, "1.50000000", "0.0000002", "SELL")
    assert (second.id, second.side, second.time_ms) == (8, "BUY", 1_499_865_549_590)
    [one] = BINANCE.candles.decode(page([KLINE]), "BTCUSDT", 120_000)
    assert one == CandleState(
        "BTCUSDT", 120_000, 60_000, 60_000, "1m", "1.0", "2.0", "0.5", "1.5", "0.009",
        closed=True,
    )  # fmt: skip
    assert BINANCE.candles.decode(page([KLINE]), "BTCUSDT", 119_999) == []
    assert BINANCE.trades.decode(b"[]", "BTCUSDT") == []


BAD_TRADES = [
    {**ROW, name: value}
    for name, value in itertools.product(
        ("id", "price", "qty", "time", "isBuyerMaker"), (None, [], "x", -1, 1e400)
    )
    if (name, value) != ("id", -1)
]
BAD_KLINES = [
    [*KLINE[:at], value, *KLINE[at + 1 :]]
    for at, value in itertools.product(range(7), (None, [], "x", -1))
]


@pytest.mark.parametrize("row", [*BAD_TRADES, [], None, 1])
def test_a_trade_that_is_none_is_a_decode_error(row):
    with pytest.raises(DecodeError):
        BINANCE.trades.decode(page([row]), "BTCUSDT")


@pytest.mark.parametrize("row", [*BAD_KLINES, KLINE[:6], {}, None])
def test_a_candle_that_is_none_is_a_decode_error(row):
    with pytest.raises(DecodeError):
        BINANCE.candles.decode(page([row]), "BTCUSDT", 120_000)


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"\xff", b"[" * 3000])
def test_an_answer_that_is_no_list_is_a_decode_error(body):
    with pytest.raises(DecodeError):
        BINANCE.trades.decode(body, "BTCUSDT")
    with pytest.raises(DecodeError):
        BINANCE.candles.decode(body, "BTCUSDT", 0)


def test_binances_requests_name_what_they_weigh():
    trades = BINANCE.trades.request("BTC USDT", 5, 9)
    assert trades == RestRequest(
        "/api/v3/historicalTrades?symbol=BTC%20USDT&fromId=5&limit=1000", 25
    )
    candles = BINANCE.candles.request("BTCUSDT", 0, 60_000)
    assert candles.path == (
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=0&endTime=60000&limit=1000"
    )
    assert candles.weight == 2


def test_trades_that_the_socket_lost_come_later_and_every_id_is_there_once(
    exchange, capture, wait_until
):
    simulator = exchange("--tickers", "BTCUSDT", "--seed", "5")
    stage = capture(simulator, ["BTCUSDT"], ["ws_trades"])
    records = stage.producer.records

    def ids(*, late):
        return [
            json.loads(record.value)["trade_id"]
            for record in list(records)
            if record.topic == "prices"
            and record.value.startswith(b'{"type"')
            and (codec.BACKFILL in record.headers) is late
        ]

    wait_until(lambda: len(ids(late=False)) > 5, 20)
    simulator.fault(kind="drop", ticker="BTCUSDT", stream="trade", frames=7)
    gap = wait_until(lambda: stage.gaps("ws_trades"), 20)[0]
    wait_until(lambda: len(ids(late=True)) == gap["last"] - gap["first"] + 1, 20)
    assert ids(late=True) == list(range(gap["first"], gap["last"] + 1))
    live, late = ids(late=False), ids(late=True)
    assert sorted(live + late) == list(range(min(live), max(live) + 1))


def test_at_the_first_start_the_candles_before_the_first_live_one_are_fetched(
    exchange, capture, wait_until
):
    simulator = exchange("--tickers", "BTCUSDT", "--seed", "5", "--speed", "120")
    wait_until(lambda: len(_rows(simulator, "klines?symbol=BTCUSDT&interval=1m")) > 4, 20)
    stage = capture(simulator, ["BTCUSDT"], ["ws_candles"])

    def candles(*, late):
        records = [one for one in list(stage.producer.records) if one.topic == "candles"]
        return [
            json.loads(one.value)
            for one in records
            if b'"e":' not in one.value and (codec.BACKFILL in one.headers) is late
        ]

    first = wait_until(lambda: candles(late=False), 20)[0]["timestamp"]
    span = f"startTime={first - 1_000 * MINUTE_MS}&endTime={first - MINUTE_MS}&limit=1000"
    rows = _rows(simulator, f"klines?symbol=BTCUSDT&interval=1m&{span}")
    assert rows
    wait_until(lambda: len(candles(late=True)) >= len(rows), 20)
    assert [
        (one["timestamp"], str(one["close"]), one["closed"]) for one in candles(late=True)
    ] == [(row[0], str(json.loads(row[4])), True) for row in rows]
    assert stage.gaps("ws_candles") == []
