"""The pure parts of the simulated Coinbase: the market, requests, limits, payloads."""

import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.exchanges.coinbase import payloads
from local.exchanges.coinbase.limits import Bucket
from local.exchanges.coinbase.market_venue import SimulatedMarket
from local.exchanges.coinbase.products import TABLE, product, product_object
from local.exchanges.coinbase.requests import (
    KINDS,
    BadRequest,
    Subscriptions,
    read_request,
)
from local.exchanges.coinbase.rest_rows import number
from local.exchanges.fixed_point import fixed8
from local.exchanges.past import past_trades
from marketdata.errors import InputError

START_MS = 1_776_444_217_000
PRODUCTS = frozenset({"BTC-USD", "ETH-USD"})


def lived(seed, wanted=lambda _: True, seconds=12):
    market = SimulatedMarket([product("BTC-USD"), product("SKL-BTC")], seed, START_MS)
    frames = []
    for step in range(1, seconds * 20 + 1):
        frames += market.step(START_MS + 50 * step, wanted)
    return market, frames


def test_the_same_seed_and_times_make_the_same_bytes() -> None:
    assert lived(3)[1] == lived(3)[1]
    assert lived(3)[1] != lived(4)[1]


def test_who_comes_changes_nothing_for_those_who_are_there() -> None:
    market = SimulatedMarket([product("BTC-USD"), product("SKL-BTC")], 3, START_MS)
    frames = []
    for step in range(1, 12 * 20 + 1):
        frames += market.step(START_MS + 50 * step, lambda _: True)
        for kind in ("level2", "matches", "ticker"):
            assert market.opening("BTC-USD", kind) is not None
    assert frames == lived(3)[1]


@pytest.mark.parametrize("kind", ["level2", "matches", "ticker", "heartbeat"])
def test_what_is_sent_does_not_depend_on_who_wants_it(kind) -> None:
    name = f"BTC-USD@{kind}"
    alone = lived(3, wanted=lambda stream: stream == name)[1]
    assert alone
    assert alone == [frame for frame in lived(3)[1] if frame.stream == name]


def test_the_ids_of_updates_leave_no_hole_that_a_fault_could_hide_in() -> None:
    market, frames = lived(3)
    updates = [frame for frame in frames if frame.stream == "BTC-USD@level2"]
    for before, after in pairwise(updates):
        assert after.first_id == before.last_id + 1
    assert updates[-1].last_id == market.ladder("BTC-USD").last_id


def test_a_ticker_batch_comes_every_five_seconds_when_there_was_a_trade() -> None:
    _, frames = lived(3, seconds=31)
    batches = [frame for frame in frames if frame.stream == "BTC-USD@ticker_batch"]
    assert 4 <= len(batches) <= 7
    assert len({frame.last_id for frame in batches}) == len(batches)


def test_nothing_waits_when_time_stands_still() -> None:
    market, _ = lived(3)
    assert market.settle(lambda _: True) == ()
    assert list(market.step(START_MS, lambda _: True)) == []


def test_past_trades_end_where_the_market_begins() -> None:
    item = product("BTC-USD")
    trades = past_trades(item, 1, START_MS, 5_000_000, 400)
    assert [trade.trade_id for trade in trades] == list(
        range(5_000_001 - len(trades), 5_000_001)
    )
    times = [trade.time_ms for trade in trades]
    assert times == sorted(times)
    assert times[0] >= START_MS - 400 * 60_000
    assert times[-1] < START_MS
    assert trades[-1].price == "61837.63"


def test_any_pair_of_assets_can_be_simulated_and_nothing_else() -> None:
    made = product("ABC-XYZ")
    assert made == product("ABC-XYZ")
    assert (made.base, made.quote) == ("ABC", "XYZ")
    for name in ("BTCUSD", "btc-usd", "A-B-C", ""):
        with pytest.raises(InputError, match="hyphen"):
            product(name)


def test_increments_of_the_table_are_those_of_its_digits() -> None:
    for item in TABLE.values():
        told = product_object(item)
        assert len(told["quote_increment"].partition(".")[2]) == item.price_digits
        assert len(told["base_increment"].partition(".")[2]) == item.quantity_digits


@given(st.integers(0, 10**15))
def test_a_printed_number_is_the_number(units) -> None:
    assert json.loads(number(units), parse_float=float) == float(fixed8(units))


def test_small_numbers_look_like_floats_do() -> None:
    assert [number(each) for each in (0, 1, 1305, 9_999, 10_000, 150_000_000)] == [
        "0", "1e-08", "1.305e-05", "9.999e-05", "0.0001", "1.5",
    ]  # fmt: skip


def test_a_bucket_gives_its_burst_and_then_its_pace() -> None:
    bucket = Bucket(10, 15)
    assert [bucket.take("a", 100.0) for _ in range(16)] == [True] * 15 + [False]
    assert bucket.take("b", 100.0)
    assert bucket.take("a", 100.11)
    assert not bucket.take("a", 100.12)


def test_a_time_is_moved_with_its_digits_and_no_time_stays_none() -> None:
    assert payloads.moved("2021-04-17T16:43:59.999687Z", 2) == "2021-04-17T16:44:00.001687Z"
    assert payloads.moved("2021-04-17T16:43:37Z", 5) == "2021-04-17T16:43:37.005Z"
    assert payloads.moved("0001-01-01T00:00:00.000000Z", 5) == "0001-01-01T00:00:00.000000Z"
    assert payloads.ahead(b'{"type":"subscriptions"}', 5) == b'{"type":"subscriptions"}'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.sampled_from(["BTC-USD", "ETH-USD", "NO-NE", *KINDS, "full", "subscribe"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["name", "product_ids"]), inner, max_size=2),
    max_leaves=8,
)  # fmt: skip


@given(
    st.binary(max_size=60)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["subscribe", "unsubscribe", "hello"])},
        optional={"product_ids": VALUES, "channels": VALUES, "signature": VALUES},
    ).map(lambda message: json.dumps(message).encode())
)
def test_whatever_a_client_sends_is_a_request_or_an_error(raw) -> None:
    state, request = Subscriptions(), None
    with contextlib.suppress(BadRequest):
        request = read_request(raw, PRODUCTS)
    if request is None:
        return
    state.take(request)
    assert all(product in PRODUCTS for _, product in request.wanted)
    assert bool(state.streams) == request.subscribes


def test_a_product_in_two_forms_is_one_subscription() -> None:
    state = Subscriptions()
    message = {
        "type": "subscribe",
        "product_ids": ["BTC-USD", "BTC-USD"],
        "channels": ["matches", {"name": "matches", "product_ids": ["BTC-USD"]}, "matches"],
    }
    begun = state.take(read_request(json.dumps(message), PRODUCTS))
    assert begun == [("matches", "BTC-USD")]
