"""Binance's frames, recorded and documented; any bytes give outcomes or a DecodeError."""

import contextlib
import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_worker.exchanges.adapter import NOBODY, Channel
from container_worker.exchanges.binance import decode, subscribe
from container_worker.exchanges.outcomes import (
    Accepted,
    BookState,
    CandleState,
    Leaving,
    Refused,
    Trade,
    Unknown,
)
from marketdata.errors import DecodeError
from marketdata.messages import DepthUpdate

RECEIVED_NS = 1_723_161_254_087_896_568
DIFF = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,'
    b'"s":"BTCUSDT","U":157,"u":160,"b":[["0.00240000","10.00000000"]],'
    b'"a":[["0.00260000","100.00000000"],["0.00270000","0.00000000"]]}}'
)
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT",'
    b'"t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
PARTIAL = (
    b'{"stream":"btcusdt@depth20@100ms","data":{"lastUpdateId":160,'
    b'"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}}'
)
KLINE = (
    b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1723161255208,"s":"BTCUSDT","k":{'
    b'"t":1723161240000,"T":1723161299999,"s":"BTCUSDT","i":"1m","f":100,"L":200,'
    b'"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,'
    b'"q":"1.0","V":"500","Q":"0.5","B":"0"}}}'
)


def one(frame):
    [outcome] = decode.decode(frame, RECEIVED_NS)
    return outcome


def test_a_diff_keeps_ids_time_and_every_digit() -> None:
    assert one(DIFF) == DepthUpdate(
        1723161255208,
        "BTCUSDT",
        157,
        160,
        [("0.00240000", "10.00000000")],
        [("0.00260000", "100.00000000"), ("0.00270000", "0.00000000")],
        "binance",
    )


def test_a_trade_whose_buyer_was_the_maker_was_a_sale_by_the_taker() -> None:
    assert one(TRADE) == Trade(
        "BTCUSDT", 3735683259, 1723161255342, "61837.63000000", "0.02000000", "SELL"
    )
    assert one(TRADE.replace(b'"m":true', b'"m":false')).side == "BUY"


def test_a_partial_book_has_the_time_of_receipt_and_the_ticker_of_its_stream() -> None:
    outcome = one(PARTIAL)
    assert isinstance(outcome, BookState)
    assert (outcome.type, outcome.clock) == ("ws_depth", "received")
    assert (outcome.message.E, outcome.message.s) == (RECEIVED_NS // 1_000_000, "BTCUSDT")


def test_a_kline_is_a_candle_that_says_whether_it_is_closed() -> None:
    outcome = one(KLINE)
    assert isinstance(outcome, CandleState)
    assert (outcome.start_ms, outcome.interval, outcome.closed) == (1723161240000, "1m", False)
    assert (outcome.open, outcome.high, outcome.low, outcome.close) == (
        "0.0010", "0.0025", "0.0015", "0.0020",
    )  # fmt: skip
    assert one(KLINE.replace(b'"x":false', b'"x":true')).closed


@pytest.mark.parametrize(
    "frame", [DIFF, TRADE, PARTIAL, KLINE], ids=["diff", "trade", "partial", "kline"]
)
def test_spacing_and_order_of_members_do_not_matter(frame) -> None:
    parsed = json.loads(frame)
    turned = {"data": dict(reversed(parsed["data"].items())), "stream": parsed["stream"]}
    assert one(json.dumps(turned, indent=1).encode()) == one(frame)


def test_times_in_microseconds_are_told_by_their_size() -> None:
    assert one(DIFF.replace(b"1723161255208", b"1723161255208123")) == one(DIFF)


def test_an_exponent_is_written_out() -> None:
    assert one(DIFF.replace(b"0.00240000", b"2.4E-3")).b == [("0.0024", "10.00000000")]


@pytest.mark.parametrize(
    "frame",
    [
        DIFF.replace(b"10.00000000", b"ten"),
        DIFF.replace(b"10.00000000", b""),
        DIFF.replace(b"10.00000000", b"."),
        DIFF.replace(b"10.00000000", b"-1.0"),
        DIFF.replace(b"10.00000000", b"NaN"),
        DIFF.replace(b'"U":157', b'"U":170'),
        DIFF.replace(b'"U":157', b'"U":-1'),
        DIFF.replace(b"1723161255208", b"0"),
        DIFF.replace(b"1723161255208", b"99999999999999999999"),
        DIFF[:-20],
        TRADE.replace(b'"61837.63000000"', b"null"),
        b"\xff\xfe",
        b"",
        b"[]",
        b"[" * 100_000,
    ],
)
def test_what_is_not_what_it_says_is_a_decode_error(frame) -> None:
    with pytest.raises(DecodeError) as caught:
        decode.decode(frame, RECEIVED_NS)
    assert caught.value.reason


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        (b'{"result":null,"id":3}', Accepted(frozenset({"3"}))),
        (b'{"code":2,"msg":"Invalid request","id":3}', Refused("2 Invalid request")),
        (b'{"error":{"code":3,"msg":"Invalid JSON"},"id":null}', Refused("3 Invalid JSON")),
        (b'{"e":"serverShutdown","E":1770123456789}', Leaving()),
        (
            b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
            Leaving(),
        ),
    ],
)
def test_replies_and_notices_are_told_apart_from_data(frame, outcome) -> None:
    assert one(frame) == outcome


@pytest.mark.parametrize("frame", [b"{}", b'{"e":"new"}', b'{"stream":"x@new","data":{}}'])
def test_what_nobody_knows_is_an_outcome_of_its_own(frame) -> None:
    assert isinstance(one(frame), Unknown)


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_give_outcomes_or_a_decode_error(frame) -> None:
    with contextlib.suppress(DecodeError):
        decode.decode(frame, RECEIVED_NS)


@given(st.data())
def test_a_damaged_frame_gives_outcomes_or_a_decode_error(data) -> None:
    frame = bytearray(data.draw(st.sampled_from([DIFF, TRADE, PARTIAL, KLINE])))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        decode.decode(bytes(frame), RECEIVED_NS)


@pytest.mark.recordings
def test_the_recorded_day_decodes_whole_with_consecutive_ids(recordings) -> None:
    path = recordings / "hftbacktest" / "spot_btcusdt_20240809.gz"
    book_id = trade_id = None
    unknown = 0
    with gzip.open(path) as lines:
        for line in lines:
            frame = line.partition(b" ")[2].strip()
            outcome = one(frame)
            sent = json.loads(frame)["data"]
            if isinstance(outcome, DepthUpdate):
                assert book_id is None or book_id + 1 == outcome.U
                book_id = outcome.u
                assert [list(level) for level in outcome.b] == sent["b"]
                assert [list(level) for level in outcome.a] == sent["a"]
            elif isinstance(outcome, Trade):
                assert trade_id is None or outcome.id == trade_id + 1
                trade_id = outcome.id
                assert (outcome.price, outcome.quantity) == (sent["p"], sent["q"])
            else:
                assert isinstance(outcome, Unknown)
                unknown += 1
    assert unknown == 45134


@pytest.mark.recordings
@pytest.mark.parametrize(
    "name",
    ["BINANCE_2021-04-17.ws.1.0", "BINANCE_2021-10-12.ws.1.0", "BINANCE_US_2021-10-12.ws.1.0"],
)
def test_recorded_sessions_of_both_venues_decode(recordings, name) -> None:
    kinds = {}
    for line in (recordings / "cryptofeed" / name).read_bytes().splitlines()[1:]:
        frame = line.partition(b": ")[2].strip()
        if frame:
            kind = type(one(frame)).__name__
            kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds.keys() == {"DepthUpdate", "CandleState", "Unknown"}


@pytest.mark.recordings
def test_the_recorded_snapshots_and_instruments_decode(recordings) -> None:
    lines = (
        (recordings / "cryptofeed" / "BINANCE_2021-10-12.http.0.0").read_bytes().splitlines()
    )
    books = [decode.decode_snapshot(line.partition(b": ")[2], "X") for line in lines if line]
    assert len(books) == 4
    for book in books:
        prices = [Decimal(level[0]) for level in book.bids]
        assert prices == sorted(prices, reverse=True)
    with gzip.open(recordings / "cryptofeed" / "BINANCE_2021-10-12.exchangeInfo.0.gz") as text:
        body = next(line for line in text if b'"symbols"' in line)
    listed = decode.decode_instruments(body[body.index(b'{"timezone"') :])
    assert listed["BTCUSDT"].symbol == "BTC/USDT"
    assert len(listed) > 1000


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("wss://stream.binance.com:9443/ws", "wss://stream.binance.com:9443/stream"),
        ("wss://stream.binance.com:9443/stream", "wss://stream.binance.com:9443/stream"),
        ("wss://stream.binance.us:9443", "wss://stream.binance.us:9443/stream"),
        ("ws://127.0.0.1:1/proxy/ws/", "ws://127.0.0.1:1/proxy/stream"),
        ("wss://h/ws?timeUnit=MICROSECOND", "wss://h/stream?timeUnit=MICROSECOND"),
    ],
)
def test_every_form_of_the_base_url_leads_to_the_combined_endpoint(base, url) -> None:
    assert subscribe.socket_url(base) == url


def test_subscriptions_are_batched_and_numbered() -> None:
    channels = [Channel(f"T{number}USDT", "ws_trades") for number in range(250)]
    sent = subscribe.subscriptions(channels, NOBODY)
    assert [each.awaits for each in sent] == [{"1"}, {"2"}, {"3"}]
    messages = [json.loads(each.payload) for each in sent]
    assert [len(message["params"]) for message in messages] == [100, 100, 50]
    assert messages[0]["params"][0] == "t0usdt@trade"
    assert all(
        {str(message["id"])} == each.awaits
        for message, each in zip(messages, sent, strict=True)
    )
