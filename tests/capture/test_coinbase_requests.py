"""What is asked of Coinbase, and its REST answers."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.exchanges.adapter import NOBODY, Channel
from container_worker.exchanges.coinbase import ADAPTER, decode, subscribe
from container_worker.exchanges.outcomes import CandleState, Trade
from marketdata.errors import DecodeError
from marketdata.times import parse_iso_ms

TRADES = (
    b'[{"time":"2026-04-17T16:43:37.089723Z","trade_id":12,"price":"67.021","size":"0.50000000",'
    b'"side":"sell"},{"trade_id":11,"side":"buy","size":"1e-3","price":"67.0210",'
    b'"time":"2026-04-17T16:43:36.000001Z","new":1}]'
)
CANDLES = (
    b"[[1776444120,66.9,67.5,67.0,67.1,1.2e-05],[1776444060,66.8, 67.00 ,66.9,67.0,12],"
    b"[1776444000,0.1,0.3,0.2,0.25,3.4567890123456789012]]"
)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("wss://ws-feed.exchange.coinbase.com", "wss://ws-feed.exchange.coinbase.com/"),
        ("ws://127.0.0.1:19445", "ws://127.0.0.1:19445/"),
        ("ws://h/proxy/feed?a=b", "ws://h/proxy/feed?a=b"),
    ],
)
def test_the_feed_is_where_the_base_url_says(base, url) -> None:
    assert subscribe.socket_url(base) == url


def test_every_channel_is_asked_for_and_awaited_and_each_product_has_one_heartbeat() -> None:
    types = ("ws_diff_depth", "ws_trades", "ws_ticker")
    channels = [Channel(f"T{number}-USD", type_) for number in range(40) for type_ in types]
    sent = subscribe.subscriptions(channels, NOBODY)
    asked, beats = set(), []
    for each in sent:
        message = json.loads(each.payload)
        assert message["type"] == "subscribe"
        names = set()
        for channel in message["channels"]:
            for ticker in channel["product_ids"]:
                if channel["name"] == "heartbeat":
                    beats.append(ticker)
                else:
                    asked.add((channel["name"], ticker))
                    names.add(f"{channel['name'].removesuffix('_batch')}:{ticker}")
        assert each.awaits == names
        assert len(names) <= 50
    assert asked == {
        (name, f"T{number}-USD")
        for number in range(40)
        for name in ("level2_batch", "matches", "ticker")
    }
    assert sorted(beats) == sorted(f"T{number}-USD" for number in range(40))
    assert len(sent) == 3


def test_the_exchanges_own_ack_accepts_all_that_was_asked_for() -> None:
    channels = [Channel("BTC-USD", "ws_diff_depth"), Channel("ETH-USD", "ws_trades")]
    [sent] = subscribe.subscriptions(channels, NOBODY)
    ack = {
        "type": "subscriptions",
        "channels": json.loads(sent.payload)["channels"][::-1],
    }
    [accepted] = decode.decode(json.dumps(ack).encode(), 1)
    assert sent.awaits <= accepted.names


def test_a_channel_is_stated_anew_by_leaving_it_and_coming_back() -> None:
    sent = subscribe.resubscribe(Channel("BTC-USD", "ws_diff_depth"), NOBODY)
    channels = [{"name": "level2_batch", "product_ids": ["BTC-USD"]}]
    assert [json.loads(each.payload) for each in sent] == [
        {"type": "unsubscribe", "channels": channels},
        {"type": "subscribe", "channels": channels},
    ]


def test_the_limits_are_below_the_exchanges() -> None:
    limits = ADAPTER.limits
    assert limits.control_per_second < 10
    assert limits.connects_per_minute * 0.8 <= 20
    assert (limits.weight_per_minute, limits.weight_burst) == (600, 15)


def test_trades_are_asked_for_below_an_id_and_never_more_than_a_page() -> None:
    assert subscribe.trades_request("BTC-USD", 101, 103).path == (
        "/products/BTC-USD/trades?limit=3&after=104"
    )
    assert subscribe.trades_request("BTC-USD", 101, 10_000).path == (
        "/products/BTC-USD/trades?limit=1000&after=1101"
    )
    assert "/A%2FB/" in subscribe.trades_request("A/B", 1, 1).path


def test_rest_trades_come_by_rising_id_with_the_takers_side() -> None:
    assert decode.decode_trades(TRADES, "YFI-BTC") == [
        Trade("YFI-BTC", 11, 1_776_444_216_000, "67.0210", "0.001", "SELL"),
        Trade("YFI-BTC", 12, 1_776_444_217_089, "67.021", "0.50000000", "BUY"),
    ]
    assert decode.decode_trades(b"[]", "YFI-BTC") == []


def test_candles_are_asked_for_by_start_and_end() -> None:
    start = parse_iso_ms("2026-04-17T16:40:00Z")
    assert subscribe.candles_request("BTC-USD", start, start + 299 * 60_000).path == (
        "/products/BTC-USD/candles?granularity=60"
        "&start=2026-04-17T16:40:00.000Z&end=2026-04-17T21:39:00.000Z"
    )


def test_candles_keep_every_digit_and_come_by_rising_start() -> None:
    first, second, third = decode.decode_candles(CANDLES, "BTC-USD", 1_776_444_180_000)
    assert first == CandleState(
        ticker="BTC-USD",
        event_ms=1_776_444_060_000,
        start_ms=1_776_444_000_000,
        length_ms=60_000,
        interval="1m",
        open="0.2",
        high="0.3",
        low="0.1",
        close="0.25",
        volume="3.4567890123456789012",
        closed=True,
    )
    assert (second.high, second.volume) == ("67.00", "12")
    assert third.volume == "0.000012"


def test_a_candle_that_has_not_ended_is_left_out() -> None:
    starts = [
        candle.start_ms
        for candle in decode.decode_candles(CANDLES, "BTC-USD", 1_776_444_179_999)
    ]
    assert starts == [1_776_444_000_000, 1_776_444_060_000]


PRODUCT = (
    b'{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","status":"delisted",'
    b'"trading_disabled":true,"quote_increment":"0.01"}'
)


def test_every_listed_product_is_an_instrument_whatever_its_status() -> None:
    listed = decode.decode_instruments(b"[" + PRODUCT + b"]")
    assert listed["BTC-USD"].symbol == "BTC/USD"
    assert (listed["BTC-USD"].exchange, listed["BTC-USD"].ticker) == ("coinbase", "BTC-USD")


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (lambda body: decode.decode_trades(body, "T"), TRADES.replace(b'"67.021"', b"67.021")),
        (lambda body: decode.decode_trades(body, "T"), TRADES.replace(b'"1e-3"', b'"-1e-3"')),
        (lambda body: decode.decode_trades(body, "T"), TRADES.replace(b"36.000001Z", b"")),
        (lambda body: decode.decode_trades(body, "T"), b'{"message":"NotFound"}'),
        (lambda body: decode.decode_candles(body, "T", 2**60), b"[[1,2,3,4,5]]"),
        (lambda body: decode.decode_candles(body, "T", 2**60), b'[[1,2,3,4,5,"6"]]'),
        (lambda body: decode.decode_candles(body, "T", 2**60), b"[[1,2,3,4,5,null]]"),
        (lambda body: decode.decode_candles(body, "T", 2**60), b"[[1,2,3,4,5,-6]]"),
        (lambda body: decode.decode_candles(body, "T", 2**60), b"[[1,2,3,4,5,1e999]]"),
        (lambda body: decode.decode_candles(body, "T", 2**60), b"[[0,2,3,4,5,6]]"),
        (lambda body: decode.decode_candles(body, "T", 2**60), b'[[1,2,3,4,5,"\xff"]]'),
        (decode.decode_instruments, b'[{"id":"BTC-USD"}]'),
        (decode.decode_instruments, b"[" + PRODUCT),
    ],
)
def test_an_answer_that_is_none_is_a_decode_error(read, body) -> None:
    with pytest.raises(DecodeError):
        read(body)


@given(st.data())
def test_a_damaged_answer_gives_rows_or_a_decode_error(data) -> None:
    body = bytearray(data.draw(st.sampled_from([TRADES, CANDLES, b"[" + PRODUCT + b"]"])))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for read in (
        lambda raw: decode.decode_trades(raw, "T"),
        lambda raw: decode.decode_candles(raw, "T", 2**60),
        decode.decode_instruments,
    ):
        with contextlib.suppress(DecodeError):
            read(bytes(body))


NUMBERS = st.decimals(
    min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False
).filter(lambda number: abs(number.adjusted()) < 60)


@settings(max_examples=40)
@given(st.lists(st.tuples(*[NUMBERS] * 5), max_size=8))
def test_no_digit_of_a_candle_is_lost(rows) -> None:
    body = ",".join(
        f"[{60 * number},{','.join(str(each) for each in row)}]"
        for number, row in enumerate(rows, 1)
    )
    candles = decode.decode_candles(f"[{body}]".encode(), "T", 2**60)
    assert [
        tuple(map(Decimal, (each.low, each.high, each.open, each.close, each.volume)))
        for each in candles
    ] == rows
