"""From records to updates: whom they suit, and their texts."""

import itertools
import json
import random
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.logic.batches import read_batches
from functions.logic.slow_connections import MAX_REMEMBERED, PROBE_LIMIT_S, SlowConnections
from functions.logic.updates import Form, read_updates
from functions.ring_blobs import RingRecord
from marketdata.ring_items import Source
from marketdata.subscriptions import Want

NOW_MS = 1_790_000_000_000
TICKS = Source("ticks", 0)
SECOND = Want("ticks", rate="1s")


def tick(ticker, price, *, rates='["1s"]', source="binance", volume="null", symbol=None):
    value = (
        f'{{"type":"price_update","symbol":"{symbol or ticker[:3] + "/" + ticker[3:]}",'
        f'"price":{price},"volume":{volume},"timestamp":"t","source":"{source}",'
        f'"rates":{rates}}}'
    )
    return f"{source}:{ticker}".encode(), value.encode()


def bitcoin(source, price, **more):
    """Both exchanges call it BTC-USD, and both are the symbol BTC/USD."""
    return tick("BTC-USD", price, source=source, symbol="BTC/USD", **more)


def candle(minute, close, *, closed=False, interval="1m", source="coinbase"):
    value = (
        f'{{"pair":"BTC/USD","timestamp":{minute * 60_000},"open":1,"high":2,"low":1,'
        f'"close":{close},"volume":0.0,"source":"{source}","interval":"{interval}",'
        f'"closed":{json.dumps(closed)}}}'
    )
    return f"{source}:BTC-USD".encode(), value.encode()


def updates(*pairs, source=TICKS, headers=None):
    records = [
        RingRecord(number, key, value, NOW_MS, headers or {})
        for number, (key, value) in enumerate(pairs)
    ]
    return read_updates(source, "life", records)


def event(*records, name="ticks-0"):
    return {"records": {name: list(records)}}


def record(key, value, *, ms=NOW_MS, offset=0, **headers):
    return {
        "offset": offset,
        "timestamp": ms,
        "key": b64encode(key).decode(),
        "value": b64encode(value).decode(),
        "headers": [{name: list(text.encode())} for name, text in headers.items()],
    }


def suited(found, want, *, only_newest=False):
    return [one.cursor.offset for one in found if one.suits(want, only_newest=only_newest)]


def test_an_update_has_a_text_for_each_of_its_names_and_its_cursor_where_asked():
    [update], _ = updates(tick("BTCUSDT", "1.50"))
    assert update.names == ("BTC/USDT", "BTCUSDT")
    assert b'"symbol":"BTCUSDT"' in update.text(Form("BTCUSDT"))
    assert update.text(Form("BTC/USDT", cursor=True)) == (
        b'{"type":"price_update","symbol":"BTC/USDT","price":1.50,"volume":null,'
        b'"timestamp":"t","source":"binance","cursor":"ticks:life:0:0"}'
    )


def test_a_tick_suits_the_paces_that_it_is_of():
    found, _ = updates(
        tick("BTCUSDT", 1, rates='["250ms"]'),
        tick("BTCUSDT", 2, rates='["250ms","1s"]'),
        tick("BTCUSDT", 3, rates='["10s"]'),
    )
    assert suited(found, SECOND) == [1]
    assert suited(found, Want("ticks", rate="250ms")) == [0, 1]


def test_after_an_outage_each_source_of_a_symbol_keeps_its_own_newest_of_each_pace():
    seed = 20261121
    print(f"seed {seed}: pytest {__file__} -k after_an_outage")  # noqa: T201
    rng = random.Random(seed)
    for _ in range(50):
        numbers = itertools.count()
        prices = [
            (rng.choice(("coinbase", "blockchain")), rng.choice(("1s", "250ms")), next(numbers))
            for _ in range(rng.randrange(1, 20))
        ]
        found, _ = updates(
            *(bitcoin(source, n, rates=f'["{pace}"]') for source, pace, n in prices)
        )
        for pace in ("1s", "250ms"):
            last = {source: n for source, own, n in prices if own == pace}
            kept = suited(found, Want("ticks", rate=pace), only_newest=True)
            assert kept == sorted(last.values()), f"seed {seed}"


@pytest.mark.parametrize(
    ("volume", "literal"),
    [("12345.678900", "12345.678900"), ("1.5E-7", "0.00000015"), ("0", "0"), ("null", "null")],
)
def test_a_volume_reaches_the_client_as_a_number_with_the_exchanges_digits(volume, literal):
    [update], _ = updates(bitcoin("coinbase", "1.50", volume=volume))
    assert update.text(Form("BTC/USD")) == (
        b'{"type":"price_update","symbol":"BTC/USD","price":1.50,"volume":%b,'
        b'"timestamp":"t","source":"coinbase"}' % literal.encode()
    )


@pytest.mark.parametrize("volume", ['"12"', "[]", "true", "1e999"])
def test_a_volume_that_is_no_number_is_poison_and_the_others_are_read(volume):
    found, poison = updates(bitcoin("coinbase", 1, volume=volume), bitcoin("blockchain", 2))
    assert (poison, len(found)) == (1, 1)


def test_a_bare_candle_is_every_closed_one_and_the_newest_state_of_the_open_one():
    found, _ = updates(
        candle(1, 1),
        candle(1, 2, closed=True),
        candle(2, 3),
        candle(2, 4),
        candle(5, 9, closed=True, interval="5m"),
        candle(2, 7, source="binance"),
        source=Source("candles", 0),
    )
    bare = Want("candles", interval="1m", bare=True, source="coinbase")
    assert suited(found, bare) == [1, 3]
    assert suited(found, Want("candles", interval="1m")) == [0, 1, 2, 3, 5]
    assert suited(found, Want("candles", interval="5m"), only_newest=True) == [4]
    assert found[3].text(Form("BTC-USD", bare=True)) == (
        b'{"pair":"BTC-USD","timestamp":120000,"open":1,"high":2,"low":1,"close":4,"volume":0.0}'
    )


def test_every_trade_is_a_price_and_a_tickers_word_is_none():
    value = (
        b'{"type":"price_update","symbol":"BTC/USD","price":1.0,"volume":null,"timestamp":"t",'
        b'"source":"coinbase","trade_id":5,"quantity":2,"side":"BUY"}'
    )
    trade = (b"coinbase:BTC-USD", value)
    found, _ = updates(trade, source=Source("prices", 2), headers={"type": "ws_trades"})
    assert suited(found, Want("prices")) == [0]
    assert b"trade_id" not in found[0].text(Form("BTC/USD"))
    assert updates(trade, source=Source("prices", 2), headers={"type": "ws_ticker"}) == ([], 0)


def test_marks_and_what_fills_a_gap_later_are_passed_over_but_their_place_is_kept():
    key, value = tick("BTCUSDT", 1)
    delivered = read_batches(
        event(
            record(key, b'{"e":"watermark","E":1,"s":"BTCUSDT","x":"binance"}', offset=4),
            record(key, value, offset=5, type="ws_trades", queue_id="q", time="received"),
            record(key, value, offset=6, backfill="1"),
            {**record(key, value, offset=7), "value": "%"},
        )
    )
    [batch] = delivered.batches
    assert (batch.source, batch.first, batch.next) == (TICKS, 4, 8)
    assert batch.records == [
        RingRecord(5, key, value, NOW_MS, {"type": "ws_trades", "time": "received"})
    ]
    assert (delivered.records, delivered.passed_over, delivered.poison) == (4, 2, 1)


@settings(max_examples=80)
@given(
    st.lists(
        st.one_of(st.none(), st.text(), st.binary().map(lambda raw: b64encode(raw).decode()))
    )
)
def test_whatever_a_record_holds_the_others_are_read(garbage):
    records = [
        {"offset": n, "key": one, "value": one, "timestamp": NOW_MS}
        for n, one in enumerate(garbage)
    ]
    good = record(*tick("BTCUSDT", 1), offset=len(garbage))
    delivered = read_batches(event(*records, good))
    [batch] = delivered.batches
    found, poison = read_updates(batch.source, "life", batch.records)
    assert (batch.first, batch.next, len(found)) == (0, len(garbage) + 1, 1)
    assert delivered.poison + delivered.passed_over + poison == len(garbage)


def test_a_slow_connection_is_left_out_then_tried_briefly_each_time_later():
    slow = SlowConnections()
    now = 100.0
    pauses = []
    for _ in range(8):
        slow.timed_out("c", now)
        assert slow.split(["c", "other"], now) == ({"c"}, {})
        began = now
        while slow.split(["c"], now)[0]:
            now += 0.5
        pauses.append(now - began)
        assert slow.split(["c"], now) == (set(), {"c": PROBE_LIMIT_S})
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    slow.answered("c")
    assert slow.split(["c"], now) == (set(), {})


def test_slow_connections_are_remembered_up_to_a_bound():
    slow = SlowConnections()
    for number in range(MAX_REMEMBERED + 5):
        slow.timed_out(f"{number}", 0.0)
    paused, _ = slow.split([f"{number}" for number in range(MAX_REMEMBERED + 5)], 1.0)
    assert len(paused) == MAX_REMEMBERED
    assert "4" not in paused


@pytest.mark.parametrize("records", [{}, {"ticks-0": []}])
def test_an_empty_delivery_is_empty(records):
    assert read_batches({"records": records}).batches == []
