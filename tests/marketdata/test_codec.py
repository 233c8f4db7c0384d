"""What is written into Kafka, byte for byte, and what is read back."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import codec
from marketdata.errors import DecodeError
from marketdata.messages import (
    NULL,
    Candle,
    DepthSnapshot,
    DepthUpdate,
    Gap,
    PriceUpdate,
    StopCommand,
    Telemetry,
    Tick,
    Watermark,
)
from marketdata.times import day_bounds_ms, day_of, iso_ms, parse_iso_ms

RAW = msgspec.Raw


@pytest.mark.parametrize(
    ("message", "golden"),
    [
        (
            DepthUpdate(1, "BTCUSDT", 5, 6, [("1.50", "0.00")], [], "binance"),
            (
                b'{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":5,"u":6,"b":[["1.50","0.00"]],"a":[],'
                b'"x":"binance"}'
            ),
        ),
        (
            DepthSnapshot(1, "BTCUSDT", 6, [], [("2", "1", "2")], "stockbit", side="a"),
            (
                b'{"e":"depthSnapshot","E":1,"s":"BTCUSDT","u":6,"b":[],"a":[["2","1","2"]],'
                b'"x":"stockbit","side":"a"}'
            ),
        ),
        (
            Gap(9, "BTCUSDT", "binance", 7, None, "sequence", 8, None),
            (
                b'{"e":"gap","E":9,"s":"BTCUSDT","x":"binance","first":7,"last":null,'
                b'"cause":"sequence","from":8,"to":null}'
            ),
        ),
        (
            Watermark(9, "BTCUSDT", "binance"),
            b'{"e":"watermark","E":9,"s":"BTCUSDT","x":"binance"}',
        ),
        (
            Tick(
                "BTC/USDT", RAW(b"1.50"), NULL, "2024-01-01T00:00:00.000Z", "binance", ("1s",)
            ),
            (
                b'{"type":"price_update","symbol":"BTC/USDT","price":1.50,"volume":null,'
                b'"timestamp":"2024-01-01T00:00:00.000Z","source":"binance","rates":["1s"]}'
            ),
        ),
        (StopCommand("wf-1"), b'{"command":"stop","queue_id":"wf-1"}'),
    ],
)
def test_golden_bytes(message: msgspec.Struct, golden: bytes) -> None:
    assert codec.encode(message) == golden


def test_a_price_keeps_every_digit_of_the_exchange() -> None:
    update = PriceUpdate(
        "BTC/USDT", RAW(b"61837.63000000"), NULL, "t", "binance", 1, RAW(b"0.02000000"), "SELL"
    )
    back = codec.decode_price(codec.encode(update))
    assert bytes(back.price) == b"61837.63000000"
    assert json.loads(codec.encode(update), parse_float=Decimal)["quantity"] == Decimal("0.02")


@pytest.mark.parametrize("volume", [b"null", b"1234567.890"])
def test_a_volume_comes_back_whether_known_or_not(volume: bytes) -> None:
    tick = Tick("BTC/USDT", RAW(b"1.50"), RAW(volume), "t", "binance", ("1s",))
    assert bytes(codec.decode_tick(codec.encode(tick)).volume) == volume


def test_candles_and_telemetry_come_back_as_they_went() -> None:
    five = [RAW(str(n).encode()) for n in ("1.0", "2.0", "0.5", "1.5", "100")]
    candle = Candle("BTC-USD", 60_000, *five, "binance", "1m", closed=True)
    assert bytes(codec.decode_candle(codec.encode(candle)).low) == b"0.5"
    event = Telemetry("q", "S", "ws_depth", "loading", "m", 5, False, "p", 1722445567.89)
    assert codec.decode_telemetry(codec.encode(event)) == event


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_is_a_decode_error_and_nothing_else(raw: bytes) -> None:
    for decode in (
        codec.decode_book,
        codec.decode_mark,
        codec.decode_price,
        codec.decode_tick,
        codec.decode_candle,
        codec.decode_control,
        codec.decode_telemetry,
    ):
        with pytest.raises(DecodeError):
            decode(raw)


def test_deep_nesting_is_a_decode_error() -> None:
    with pytest.raises(DecodeError):
        codec.decode_book(b"[" * 100_000)


def test_marks_are_told_from_data_by_their_first_member() -> None:
    assert codec.is_mark(codec.encode(Watermark(9, "T", "binance")))
    assert not codec.is_mark(codec.encode(Tick("T", RAW(b"1"), NULL, "t", "binance", ("1s",))))


def test_headers_make_the_round_trip_and_unknown_ones_are_passed_over() -> None:
    headers = codec.record_headers(
        codec.base_headers("ws_trades", "q-1", 17), 42, 99, b"exchange"
    )
    fields = codec.parse_headers([*headers, ("other", b"x"), ("empty", None)])
    assert fields == codec.HeaderFields("ws_trades", "q-1", 17, "42", 99, "exchange", "")


@pytest.mark.parametrize("raw", [None, b"", b"binance", b":BTCUSDT", b"binance:"])
def test_a_key_that_is_none_is_refused(raw: bytes | None) -> None:
    with pytest.raises(DecodeError):
        codec.split_key(raw)


def test_a_key_may_have_colons_in_its_ticker() -> None:
    assert codec.split_key(codec.key("stellar", "USDC:GA5")) == ("stellar", "USDC:GA5")


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_iso_times_make_the_round_trip(time_ms: int) -> None:
    assert parse_iso_ms(iso_ms(time_ms)) == time_ms


@given(
    st.integers(min_value=0, max_value=4_102_444_800_000),
    st.sampled_from(["binance", "stockbit"]),
)
def test_an_event_lies_within_the_bounds_of_its_own_day(time_ms: int, exchange: str) -> None:
    start, end = day_bounds_ms(day_of(time_ms, exchange), exchange)
    assert start <= time_ms < end


def test_stockbit_days_are_jakartas() -> None:
    late = parse_iso_ms("2026-02-03T17:30:00.000Z")
    assert (day_of(late, "stockbit"), day_of(late, "binance")) == ("2026-02-04", "2026-02-03")
