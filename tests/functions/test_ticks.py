"""From a batch of Kafka records to prices, and which connections are left out."""

from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.logic.slow_connections import MAX_REMEMBERED, PROBE_LIMIT_S, SlowConnections
from functions.logic.ticks import OLD_MS, read_batch

NOW_MS = 1_790_000_000_000


def record(ticker, price, *, ms=NOW_MS, rates='["1s"]'):
    value = (
        f'{{"type":"price_update","symbol":"{ticker[:3]}/{ticker[3:]}","price":{price},'
        f'"volume":null,"timestamp":"t","source":"binance","rates":{rates}}}'
    )
    return {
        "timestamp": ms,
        "key": b64encode(f"binance:{ticker}".encode()).decode(),
        "value": b64encode(value.encode()).decode(),
    }


def event(*records):
    return {"records": {"ticks-0": list(records)}}


def test_a_price_has_a_text_for_each_of_its_names():
    [price] = read_batch(event(record("BTCUSDT", "1.50")), NOW_MS).prices
    assert list(price.texts) == ["BTC/USDT", "BTCUSDT"]
    assert all(f'"symbol":"{name}"'.encode() in text for name, text in price.texts.items())


def test_a_batch_that_is_five_seconds_old_is_whole_and_an_older_one_is_cut():
    records = [record("BTCUSDT", n, ms=NOW_MS - OLD_MS) for n in range(3)]
    assert len(read_batch(event(*records), NOW_MS).prices) == 3
    batch = read_batch(event(*records), NOW_MS + 1)
    assert batch.cut == 2
    assert b'"price":2,' in batch.prices[0].texts["BTCUSDT"]


def test_the_same_symbol_of_two_exchanges_is_two_prices():
    other = record("BTCUSDT", 2, ms=NOW_MS - 9_000)
    other["key"] = b64encode(b"coinbase:BTCUSDT").decode()
    batch = read_batch(event(record("BTCUSDT", 1), other), NOW_MS)
    assert [len(batch.prices), batch.cut] == [2, 0]


@settings(max_examples=80)
@given(
    st.lists(
        st.one_of(st.none(), st.text(), st.binary().map(lambda raw: b64encode(raw).decode()))
    )
)
def test_whatever_a_record_holds_the_others_are_read(garbage):
    records = [{"key": one, "value": one, "timestamp": NOW_MS} for one in garbage]
    batch = read_batch(event(*records, record("BTCUSDT", 1)), NOW_MS)
    assert (batch.records, len(batch.prices)) == (len(garbage) + 1, 1)
    assert batch.poison == len(garbage)


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
def test_an_empty_batch_is_empty(records):
    assert read_batch({"records": records}, NOW_MS).names == []
