"""Blockchain.com's frames as documented and as seen: what each of them says."""

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_worker.exchanges.blockchain import decode
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    CandleState,
    ConnectionNumber,
    Heartbeat,
    Refused,
    TickerState,
    Trade,
    TradingStatus,
    Unknown,
)
from marketdata.messages import DepthSnapshot, DepthUpdate

RECEIVED_NS = 1_626_993_562_845_098_123
RECEIVED_MS = RECEIVED_NS // 1_000_000
STAMP_MS = 1_626_993_562_851
SNAPSHOT = (
    b'{"seqnum":1,"event":"snapshot","channel":"l2","symbol":"ALGO-BTC","bids":['
    b'{"num":1,"px":1.6E-7,"qty":200.0},{"num":1,"px":1.0E-5,"qty":750.0}],"asks":['
    b'{"num":2,"px":2.5E-5,"qty":1.0E7},{"num":1,"px":2.61E-5,"qty":20.000001}],'
    b'"timestamp":"2021-07-22T22:39:22.851917Z"}'
)
UPDATE = (
    b'{"seqnum":97,"event":"updated","channel":"l2","symbol":"ALGO-BTC","bids":[],"asks":['
    b'{"num":0,"px":2.461E-5,"qty":0.0}],"timestamp":"2021-07-22T22:39:22.851811Z"}'
)
TRADE = (
    b'{"seqnum":6,"event":"updated","channel":"trades","symbol":"BTC-USD","timestamp":'
    b'"2020-05-10T18:33:36.696315Z","side":"buy","qty":5.892E-4,"price":8501.1,'
    b'"trade_id":"12886314421"}'
)
PRICES = (
    b'{"seqnum":8,"event":"updated","channel":"prices","symbol":"BTC-USD",'
    b'"price":[1589135580000,8506.3,8507.3,8495.5,8496.5,5.961E-4]}'
)
TICKER = (
    b'{"seqnum":4,"event":"snapshot","channel":"ticker","symbol":"BTC-USD",'
    b'"price_24h":9766.9,"volume_24h":823.10118629,"last_trade_price":8495.5}'
)
FRAMES = {
    "snapshot": SNAPSHOT, "update": UPDATE, "trade": TRADE, "prices": PRICES, "ticker": TICKER,
}  # fmt: skip


def said(frame):
    """The outcomes after the frame's number, which must be the first."""
    first, *rest = decode.decode(frame, RECEIVED_NS)
    assert first == ConnectionNumber(json.loads(frame)["seqnum"])
    return rest


def one(frame):
    [outcome] = said(frame)
    return outcome


def test_a_snapshot_has_the_best_level_first_and_no_exponents() -> None:
    book = DepthSnapshot(
        STAMP_MS,
        "ALGO-BTC",
        0,
        [("0.000010", "750.0"), ("0.00000016", "200.0")],
        [("0.000025", "10000000"), ("0.0000261", "20.000001")],
        "blockchain",
    )
    assert one(SNAPSHOT) == BookState("ws_diff_depth", "exchange", book)


def test_a_snapshot_is_sorted_by_number_whatever_order_it_comes_in() -> None:
    levels = [{"px": price, "qty": 1.0, "num": 1} for price in (10.5, 9.75, 100.25)]
    frame = json.loads(SNAPSHOT) | {"bids": levels, "asks": levels}
    book = one(json.dumps(frame).encode()).message
    assert [price for price, _ in book.b] == ["100.25", "10.5", "9.75"]
    assert [price for price, _ in book.a] == ["9.75", "10.5", "100.25"]


def test_the_snapshot_of_a_closed_symbol_is_an_empty_book() -> None:
    frame = json.loads(SNAPSHOT) | {"bids": [], "asks": []}
    book = one(json.dumps(frame).encode()).message
    assert (book.b, book.a) == ([], [])


def test_a_snapshots_level_of_quantity_zero_is_no_level() -> None:
    assert len(one(SNAPSHOT.replace(b"750.0", b"0.0")).message.b) == 1


def test_an_update_keeps_its_levels_and_has_no_ids() -> None:
    delta = DepthUpdate(STAMP_MS, "ALGO-BTC", 0, 0, [], [("0.00002461", "0.0")], "blockchain")
    assert one(UPDATE) == BookDelta("exchange", delta)


@pytest.mark.parametrize(
    ("stamp", "clock", "time_ms"),
    [
        (b'"2021-07-22T22:39:22.851811Z"', "exchange", STAMP_MS),
        (b'"2021-07-22T22:39:22.851811999Z"', "exchange", STAMP_MS),
        (b'"2021-07-22T22:39:22.851Z"', "exchange", STAMP_MS),
        (b'"2021-07-22T22:39:22Z"', "exchange", STAMP_MS - 851),
        (b"null", "received", RECEIVED_MS),
    ],
)
def test_times_of_any_precision_are_floored_to_ms(stamp, clock, time_ms) -> None:
    outcome = one(UPDATE.replace(b'"2021-07-22T22:39:22.851811Z"', stamp))
    assert (outcome.clock, outcome.message.E) == (clock, time_ms)


@pytest.mark.parametrize("name", ["snapshot", "update", "trade"])
def test_a_frame_without_a_time_has_the_time_of_receipt(name) -> None:
    parsed = json.loads(FRAMES[name])
    del parsed["timestamp"]
    outcome = one(json.dumps(parsed).encode())
    assert outcome.clock == "received"
    assert RECEIVED_MS in {
        getattr(getattr(outcome, "message", None), "E", None),
        getattr(outcome, "time_ms", None),
    }


def test_a_trade_has_its_text_id_and_the_exchanges_digits() -> None:
    assert one(TRADE) == Trade(
        "BTC-USD", "12886314421", 1589135616696, "8501.1", "0.0005892", "BUY", "exchange"
    )
    assert one(TRADE.replace(b'"buy"', b'"sell"')).side == "SELL"


def test_a_candle_is_open_high_low_close_and_never_says_that_it_is_closed() -> None:
    assert one(PRICES) == CandleState(
        ticker="BTC-USD",
        event_ms=RECEIVED_MS,
        start_ms=1589135580000,
        length_ms=60_000,
        interval="1m",
        open="8506.3",
        high="8507.3",
        low="8495.5",
        close="8496.5",
        volume="0.0005961",
        closed=None,
    )


@pytest.mark.parametrize("start", [b"1589135580", b"1.58913558E9", b"1.58913558E12"])
def test_a_candles_start_is_seconds_or_milliseconds_by_its_size(start) -> None:
    assert one(PRICES.replace(b"1589135580000", start)) == one(PRICES)


def test_a_ticker_says_the_last_price_and_the_days_volume() -> None:
    accepted, state = said(TICKER)
    assert accepted == Accepted(frozenset({"ticker:BTC-USD"}))
    assert state == TickerState("BTC-USD", RECEIVED_MS, "received", "8495.5", "823.10118629")


@pytest.mark.parametrize(
    ("members", "price", "volume"),
    [
        ({"last_trade_price": 8501.1}, "8501.1", None),
        ({"volume_24h": 1e-05}, None, "0.00001"),
        ({"price_24h": 1.0}, None, None),
        ({"last_trade_price": None, "volume_24h": 0}, None, "0"),
        ({"mark_price": 7.5}, None, None),
    ],
)
def test_a_tickers_update_says_only_what_changed(members, price, volume) -> None:
    frame = {"seqnum": 7, "event": "updated", "channel": "ticker", "symbol": "B-U", **members}
    state = one(json.dumps(frame).encode())
    assert (state.price, state.volume) == (price, volume)


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        (
            {"event": "subscribed", "channel": "l2", "symbol": "BTC-USD", "batching": False},
            [Accepted(frozenset({"l2:BTC-USD"}))],
        ),
        (
            {"event": "subscribed", "channel": "prices", "symbol": "B-U", "granularity": 60.0},
            [Accepted(frozenset({"prices:B-U"}))],
        ),
        (
            {"event": "subscribed", "channel": "heartbeat"},
            [Accepted(frozenset({"heartbeat"}))],
        ),
        (
            {"event": "rejected", "channel": "l2", "symbol": "x", "text": "Already subscribed"},
            [Accepted(frozenset({"l2:x"}))],
        ),
        (
            {
                "event": "rejected",
                "channel": "l2",
                "symbol": "x",
                "text": "invalid symbol identifier",
            },
            [Refused("l2:x: invalid symbol identifier", ("x",), "ws_diff_depth")],
        ),
        (
            {"event": "rejected", "channel": "l2", "symbol": "x", "text": "Not subscribed"},
            [],
        ),
        (
            {"event": "rejected", "channel": "", "text": "Invalid json received"},
            [Refused("Invalid json received")],
        ),
        ({"event": "unsubscribed", "channel": "l2", "symbol": "BTC-USD"}, []),
        (
            {"event": "updated", "channel": "heartbeat", "timestamp": "2020-05-10T18:33:40Z"},
            [Heartbeat()],
        ),
    ],
)
def test_answers_are_told_apart_from_data(members, outcome) -> None:
    assert said(json.dumps({"seqnum": 0, **members}).encode()) == outcome


def test_a_frame_without_a_number_gives_none() -> None:
    throttled = "Connection throttling enabled, your messages will be ignored."
    frame = json.dumps({"event": "rejected", "text": throttled}).encode()
    assert decode.decode(frame, RECEIVED_NS) == (Refused(throttled),)
    unnumbered = UPDATE.replace(b'"seqnum":97,', b"")
    assert decode.decode(unnumbered, RECEIVED_NS) == (one(UPDATE),)
    assert decode.decode(UPDATE.replace(b"97", b"null"), RECEIVED_NS) == (one(UPDATE),)


@pytest.mark.parametrize(
    "frame",
    [
        b"{}",
        b'{"event":"new"}',
        b'{"action":"subscribe","channel":"l2"}',
        b'{"event":"updated","channel":"l3","symbol":"B","bids":[],"asks":[]}',
        b'{"event":"rejected","channel":"symbols","text":"Invalid channel"}',
        b'{"event":"snapshot","channel":"trades","symbol":"B"}',
    ],
)
def test_what_nobody_asked_for_is_an_outcome_of_its_own(frame) -> None:
    [outcome] = decode.decode(frame, RECEIVED_NS)
    assert isinstance(outcome, Unknown)


def test_the_symbols_say_how_pairs_are_traded() -> None:
    listed = b"""{"seqnum":1,"event":"snapshot","channel":"symbols","symbols":{
        "BTC-USD":{"base_currency":"BTC","status":"halt","id":1},"ETH-BTC":{"status":"open"}}}"""
    assert said(listed) == [
        TradingStatus("BTC-USD", "halt", is_open=False),
        TradingStatus("ETH-BTC", "open", is_open=True),
    ]
    auction = b'{"event":"updated","channel":"symbols","symbol":"BTC-USD","auction-price":1}'
    assert decode.decode(auction, RECEIVED_NS) == ()
    changed = auction.replace(b'"auction-price":1', b'"status":"open"')
    [status] = decode.decode(changed, RECEIVED_NS)
    assert status == TradingStatus("BTC-USD", "open", is_open=True)


@pytest.mark.parametrize("name", FRAMES)
def test_spacing_order_and_members_that_nobody_knows_do_not_matter(name) -> None:
    parsed = json.loads(FRAMES[name], parse_float=Decimal)
    turned = json.dumps(
        {"new": {"a": [None]}, **dict(reversed(parsed.items()))}, indent=1, default=float
    )
    assert json.loads(turned)["seqnum"] == parsed["seqnum"]
    assert [plainly(o) for o in said(turned.encode())] == [
        plainly(o) for o in said(FRAMES[name])
    ]


def plainly(outcome):
    """The outcome's text with numbers as Python prints them: the JSON was written anew."""
    return re.sub(
        r"'(\d+\.?\d*)'", lambda found: repr(Decimal(found[1]).normalize()), repr(outcome)
    )


def test_a_negative_zero_and_a_huge_number_keep_their_digits() -> None:
    assert one(UPDATE.replace(b'"qty":0.0', b'"qty":-0.0')) == one(UPDATE)
    huge = b"123456789012345678901234567890.123456789012345678901234567890"
    assert one(UPDATE.replace(b'"qty":0.0', b'"qty":' + huge)).message.a == [
        ("0.00002461", huge.decode())
    ]


NUMBERS = st.decimals(0, 10**12, places=10) | st.decimals(0, 1, places=12)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), st.booleans())
def test_whatever_a_snapshot_has_comes_back_in_order_digit_by_digit(levels, plain) -> None:
    form = "{:f}" if plain else "{:.15E}"
    texts = [(form.format(price), form.format(quantity)) for price, quantity in levels]
    side = ",".join(f'{{"px":{price},"qty":{quantity},"num":1}}' for price, quantity in texts)
    frame = (
        '{"seqnum":3,"event":"snapshot","channel":"l2","symbol":"B-U",'
        f'"bids":[{side}],"asks":[{side}]}}'
    )
    book = one(frame.encode()).message
    kept = sorted((Decimal(p), Decimal(q)) for p, q in texts if Decimal(q))
    assert sorted((Decimal(p), Decimal(q)) for p, q in book.a) == kept
    assert [Decimal(p) for p, _ in book.a] == [p for p, _ in kept]
    assert [Decimal(p) for p, _ in book.b] == [p for p, _ in reversed(kept)]
    assert not any("E" in text for level in book.a for text in level)
