"""Coinbase's messages and answers; any bytes give outcomes or a DecodeError."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_worker.exchanges.coinbase import decode
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    Heartbeat,
    LastTrade,
    Leaving,
    Outcome,
    Refused,
    TickerState,
    Trade,
    Unknown,
)
from marketdata.errors import DecodeError
from marketdata.messages import DepthSnapshot, DepthUpdate

RECEIVED_NS = 1_618_677_817_129_516_100
RECEIVED_MS = 1_618_677_817_129
SNAPSHOT = (
    b'{"type":"snapshot","product_id":"SKL-GBP","asks":[["0.5762","2865.9"],["0.5770","1.0"]],'
    b'"bids":[["0.5742","1029.5"]]}'
)
UPDATE = (
    b'{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"],'
    b'["buy","0.00001305","0.0"],["sell","0.00001306","0.0"]],'
    b'"time":"2021-04-17T16:43:37.075687Z"}'
)
MATCH = (
    b'{"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16",'
    b'"taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"sell","size":"985",'
    b'"price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,'
    b'"time":"2021-04-17T16:43:37.089723Z"}'
)
LAST_MATCH = MATCH.replace(b'"match"', b'"last_match"')
TICKER = (
    b'{"type":"ticker","sequence":27883326,"product_id":"SKL-GBP","price":"0.5752",'
    b'"open_24h":"0.5102","volume_24h":"3479861.10000000","low_24h":"0.5","high_24h":"0.588",'
    b'"volume_30d":"76123674.10000000","best_bid":"0.5752","best_ask":"0.5771","side":"sell",'
    b'"time":"2021-04-17T16:43:29.571587Z","trade_id":82007,"last_size":"1008.2"}'
)
HEARTBEAT = (
    b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD",'
    b'"time":"2014-11-07T08:19:28.464459Z"}'
)
ACK = (
    b'{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD"],'
    b'"account_ids":null},{"name":"matches","product_ids":["ETH-USD","BTC-USD"]},'
    b'{"name":"status"}]}'
)
ERROR = (
    b'{"type":"error","message":"Failed to subscribe",'
    b'"reason":"GIBBERISH-USD is not a valid product"}'
)
EVERY = [SNAPSHOT, UPDATE, MATCH, LAST_MATCH, TICKER, HEARTBEAT, ACK]
NAMES = ["snapshot", "l2update", "match", "last_match", "ticker", "heartbeat", "subscriptions"]


def one(frame):
    [outcome] = decode.decode(frame, RECEIVED_NS)
    return outcome


def test_a_snapshot_is_a_book_at_the_time_of_its_receipt() -> None:
    assert one(SNAPSHOT) == BookState(
        "ws_diff_depth",
        "received",
        DepthSnapshot(
            RECEIVED_MS,
            "SKL-GBP",
            0,
            [("0.5742", "1029.5")],
            [("0.5762", "2865.9"), ("0.5770", "1.0")],
            "coinbase",
        ),
    )


def test_a_snapshot_with_a_time_has_the_exchanges() -> None:
    timed = one(SNAPSHOT[:-1] + b',"time":"2026-04-17T16:43:37.075687Z"}')
    assert (timed.clock, timed.message.E) == ("exchange", 1_776_444_217_075)


def test_an_update_keeps_every_change_in_the_order_of_the_message() -> None:
    assert one(UPDATE) == BookDelta(
        "exchange",
        DepthUpdate(
            1_618_677_817_075,
            "SKL-BTC",
            0,
            0,
            [("0.00001305", "0.0")],
            [("0.00001306", "660.5"), ("0.00001306", "0.0")],
            "coinbase",
        ),
    )


def test_an_update_without_changes_is_an_empty_delta() -> None:
    emptied = json.loads(UPDATE) | {"changes": []}
    assert one(json.dumps(emptied).encode()).message.a == []


def test_the_side_of_a_match_is_the_makers_and_is_turned() -> None:
    assert one(MATCH) == Trade(
        "SKL-BTC", 280232, 1_618_677_817_089, "0.00001305", "985", "BUY", "exchange"
    )
    assert one(MATCH.replace(b'"sell"', b'"buy"')).side == "SELL"


def test_a_last_match_is_no_new_trade() -> None:
    assert one(LAST_MATCH) == LastTrade("SKL-BTC", 280232)


def test_the_side_of_a_ticker_is_the_takers_and_stays() -> None:
    assert one(TICKER) == TickerState(
        ticker="SKL-GBP",
        time_ms=1_618_677_809_571,
        clock="exchange",
        price="0.5752",
        volume="3479861.10000000",
        trade_id=82007,
        quantity="1008.2",
        side="SELL",
    )


def test_what_a_ticker_does_not_say_is_none() -> None:
    bare = {"type": "ticker", "product_id": "SKL-GBP", "price": "1", "side": "", "new": [1]}
    assert one(json.dumps(bare).encode()) == TickerState(
        "SKL-GBP", RECEIVED_MS, "received", price="1"
    )


def test_a_heartbeat_tells_the_newest_trade() -> None:
    assert decode.decode(HEARTBEAT, RECEIVED_NS) == (Heartbeat(), LastTrade("BTC-USD", 20))


@pytest.mark.parametrize("last", [b'"last_trade_id":0', b'"x":0', b'"last_trade_id":null'])
def test_a_heartbeat_of_a_product_without_trades_is_only_that(last) -> None:
    assert one(HEARTBEAT.replace(b'"last_trade_id":20', last)) == Heartbeat()


def test_an_ack_names_what_is_subscribed_by_whatever_name_the_book_goes() -> None:
    assert one(ACK) == Accepted(
        frozenset({"level2:BTC-USD", "matches:ETH-USD", "matches:BTC-USD"})
    )


@pytest.mark.parametrize("frame", EVERY, ids=NAMES)
def test_spacing_and_order_of_members_and_new_ones_do_not_matter(frame) -> None:
    turned = {"brand_new": {"a": [1.5]}, **dict(reversed(json.loads(frame).items()))}
    turned_frame = json.dumps(turned, indent=1).encode()
    assert decode.decode(turned_frame, RECEIVED_NS) == decode.decode(frame, RECEIVED_NS)


@pytest.mark.parametrize("frame", [UPDATE, MATCH, TICKER], ids=["l2update", "match", "ticker"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00.000000Z", ""])
def test_a_time_in_the_year_1_is_none(frame, time) -> None:
    outcome = one(json.dumps(json.loads(frame) | {"time": time}).encode())
    assert outcome.clock == "received"
    event_ms = outcome.message.E if isinstance(outcome, BookDelta) else outcome.time_ms
    assert event_ms == RECEIVED_MS


def test_a_time_is_cut_to_the_millisecond_never_rounded() -> None:
    assert one(MATCH.replace(b"37.089723Z", b"37.089999Z")).time_ms == 1_618_677_817_089


def test_an_exponent_is_written_out() -> None:
    assert one(MATCH.replace(b"0.00001305", b"1.305E-5")).price == "0.00001305"


def test_that_nothing_could_be_ended_is_no_refusal() -> None:
    frame = b'{"type":"error","message":"Failed to unsubscribe","reason":"BTC-USD is gone"}'
    assert decode.decode(frame, RECEIVED_NS) == ()


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        (
            ERROR,
            Refused(
                "Failed to subscribe: GIBBERISH-USD is not a valid product", ("GIBBERISH-USD",)
            ),
        ),
        (b'{"type":"error","message":"Malformed JSON"}', Refused("Malformed JSON")),
        (b'{"type":"error"}', Refused("no reason given")),
        (b'{"type":"error","message":"ErrSlowConsume"}', Leaving()),
        (b'{"type":"error","message":"Closing","reason":"Message too big"}', Leaving()),
    ],
)
def test_an_error_is_a_refusal_or_announces_the_end(frame, outcome) -> None:
    assert one(frame) == outcome


@pytest.mark.parametrize(
    "frame", [b"{}", b'{"type":"status","products":[]}', b'{"type":"open"}', b'{"type":null}']
)
def test_what_nobody_asked_for_is_an_outcome_of_its_own(frame) -> None:
    assert isinstance(one(frame), Unknown)


@pytest.mark.parametrize(
    "frame",
    [
        UPDATE.replace(b"660.5", b"many"),
        UPDATE.replace(b"660.5", b""),
        UPDATE.replace(b"660.5", b"-660.5"),
        UPDATE.replace(b"660.5", b"NaN"),
        UPDATE.replace(b"660.5", b"Infinity"),
        UPDATE.replace(b"660.5", b"1e999999999"),
        UPDATE.replace(b'"660.5"', b"660.5"),
        UPDATE.replace(b'"660.5"', b"null"),
        UPDATE.replace(b'"buy"', b'"bid"'),
        UPDATE.replace(b',"660.5"', b""),
        UPDATE.replace(b'"product_id":"SKL-BTC",', b""),
        UPDATE.replace(b"2021-04-17T16:43:37.075687Z", b"yesterday"),
        UPDATE.replace(b"37.075687Z", b"37.075687"),
        UPDATE.replace(b"2021-04-17", b"1902-04-17"),
        UPDATE.replace(b"2021-04-17", b"2021-13-17"),
        SNAPSHOT.replace(b'"asks"', b'"offers"'),
        SNAPSHOT.replace(b'"1029.5"', b'"1029.5","7"'),
        MATCH.replace(b'"trade_id":280232', b'"trade_id":-1'),
        MATCH.replace(b'"trade_id":280232', b'"trade_id":1e9'),
        MATCH.replace(b'"trade_id":280232', b'"trade_id":99999999999999999999'),
        MATCH.replace(b'"trade_id":280232', b'"trade_id":"280232"'),
        MATCH.replace(b'"trade_id":280232,', b""),
        MATCH.replace(b'"side":"sell"', b'"side":"SELL"'),
        TICKER.replace(b'"0.5752"', b'"-0.5752"', 1),
        HEARTBEAT.replace(b'"product_id":"BTC-USD",', b""),
        ACK.replace(b'"channels":[', b'"channels":[7,'),
        b'{"type":"subscriptions"}',
        b'{"type":7}',
        b'{"type":"match',
        UPDATE[:-20],
        b"\xff\xfe",
        b"",
        b"[]",
        b"null",
        b"[" * 100_000,
    ],
)
def test_what_is_not_what_it_says_is_a_decode_error(frame) -> None:
    with pytest.raises(DecodeError) as caught:
        decode.decode(frame, RECEIVED_NS)
    assert caught.value.reason


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_give_outcomes_or_a_decode_error(frame) -> None:
    with contextlib.suppress(DecodeError):
        decode.decode(frame, RECEIVED_NS)


@given(st.data())
def test_a_damaged_message_gives_outcomes_or_a_decode_error(data) -> None:
    frame = bytearray(data.draw(st.sampled_from(EVERY)))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        decode.decode(bytes(frame), RECEIVED_NS)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["BTC-USD", "1.5", "1E-7", "-1", "NaN", "buy", "0001-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["name", "product_ids"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
MEMBERS = st.sampled_from(
    ["product_id", "changes", "bids", "asks", "time", "trade_id", "side", "price", "size"]
) | st.sampled_from(
    ["volume_24h", "last_size", "last_trade_id", "channels", "message", "reason"]
)


@given(st.sampled_from([*NAMES, "error", "new"]), st.dictionaries(MEMBERS, VALUES))
def test_members_of_any_type_give_outcomes_or_a_decode_error(kind, members) -> None:
    outcomes = ()
    with contextlib.suppress(DecodeError):
        outcomes = decode.decode(json.dumps({"type": kind, **members}).encode(), RECEIVED_NS)
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)
