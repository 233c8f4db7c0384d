"""A market in the digits, depth and pace of any exchange: true to itself, repeatable."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.exchanges.fixed_point import UNIT, fixed, units8
from local.exchanges.ladder import ASK, BID
from local.exchanges.market import BookWalk, MarketInstrument
from local.exchanges.trades import AggTrade, Trade

START_MS = 1_723_161_590_000


def walked(
    *, digits=(8, 8), levels=200, pace=50, seconds=40, seed=3, tick="0.01", step="0.001"
):
    item = MarketInstrument(
        "BTC-USD", "BTC", "USD", units8("61837.63"), units8(tick), units8(step), UNIT, *digits
    )
    walk = BookWalk(item, seed, START_MS, levels=levels, updates_per_second=pace)
    happenings = []
    for second in range(1, seconds + 1):
        happenings += walk.advance(START_MS + second * 1000)
    return walk, happenings


def sides(walk):
    book = walk.ladder.text(10**6)
    return tuple(json.loads(f"[{levels}]") for levels in (book.bids, book.asks))


@given(st.integers(0, 10**18), st.sampled_from([None, *range(9)]))
def test_a_number_in_digits_is_the_number_cut_there(units, digits):
    text = fixed(units, digits)
    whole = Decimal(units) / UNIT
    if digits is None:
        assert Decimal(text) == whole
        assert "." not in text or text[-1] != "0"
    else:
        assert len(text.partition(".")[2]) == digits
        assert 0 <= whole - Decimal(text) < Decimal(1).scaleb(-digits)


@pytest.mark.parametrize(
    ("digits", "tick", "step"),
    [((2, 8), "0.01", "0.00000001"), ((None, None), "0.01", "0.001"), ((0, 0), "25", "1")],
)
def test_texts_have_the_digits_of_the_instrument_and_lose_nothing(digits, tick, step):
    walk, happenings = walked(digits=digits, tick=tick, step=step)
    for side, levels in zip((BID, ASK), sides(walk), strict=True):
        assert levels
        for price, quantity in levels:
            for text, places in ((price, digits[0]), (quantity, digits[1])):
                after = text.partition(".")[2]
                assert len(after) == places if places is not None else after[-1:] != "0"
            assert walk.quantity_at(side, units8(price)) == units8(quantity) > 0
    trades = [each for each in happenings if isinstance(each, Trade | AggTrade)]
    assert trades
    assert all(units8(each.price) % units8(tick) == 0 for each in trades)
    assert walk.quantity_at(BID, 1) == 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), levels=st.sampled_from([50, 300]), pace=st.integers(1, 400))
def test_the_book_keeps_its_depth_and_never_crosses(seed, levels, pace):
    walk, happenings = walked(levels=levels, pace=pace, seconds=20, seed=seed)
    bids, asks = sides(walk)
    assert Decimal(bids[0][0]) < Decimal(asks[0][0])
    for side in (bids, asks):
        assert 0.7 * levels <= len(side) <= 1.1 * levels
    for update_id, bid, ask in (each for each in happenings if not hasattr(each, "price")):
        assert update_id <= walk.ladder.last_id
        assert Decimal(json.loads(bid)[0]) < Decimal(json.loads(ask)[0])


def test_the_pace_is_so_many_updates_a_second_and_the_seed_repeats_them():
    one, first = walked(pace=20, seconds=30)
    two, second = walked(pace=20, seconds=30)
    slow, _ = walked(pace=20, seconds=0)
    assert (first, sides(one)) == (second, sides(two))
    assert 20 * 30 <= one.ladder.last_id - slow.ladder.last_id <= 20 * 30 * 3
