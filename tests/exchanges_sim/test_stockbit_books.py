"""The simulated books of shares: seeded, never crossed, on the market's price steps."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.exchanges.ladder import ASK, BID
from local.exchanges.stockbit.book_walk import LEVELS, BookWalk
from local.exchanges.stockbit.messages import as_channel, flat_book, orders_of
from local.exchanges.stockbit.moving import moved, shift_time
from local.exchanges.stockbit.requests import read_request
from local.exchanges.stockbit.shares import above, below, on_step, share, step_at
from marketdata.errors import DecodeError, InputError

START_MS = 1_770_175_815_000


def live(walk, seconds, step_ms=250):
    now_ms = START_MS
    while now_ms < START_MS + seconds * 1000:
        now_ms += step_ms
        yield from walk.advance(now_ms)


@pytest.mark.parametrize("ticker", ["BBCA", "TLKM", "BBRI", "GOTO", "ASII"])
def test_a_book_is_never_crossed_and_its_prices_are_on_steps(ticker) -> None:
    walk = BookWalk(share(ticker), 5, START_MS)
    bests = set()
    for statement in live(walk, 300):
        bids, asks = walk.levels(BID), walk.levels(ASK)
        assert bids[0][0] < asks[0][0]
        for levels in (bids, asks):
            assert LEVELS // 2 <= len(levels) <= LEVELS
            assert all(price % step_at(price) == 0 and lots > 0 for price, lots in levels)
        assert statement.number == walk.ladder.last_id
        bests.add(bids[0][0])
    assert len(bests) > 3


def test_the_same_seed_and_times_make_the_same_book_and_another_seed_another() -> None:
    told = []
    for seed in (3, 3, 4):
        walk = BookWalk(share("BBCA"), seed, START_MS)
        statements = list(live(walk, 60))
        told.append((statements, walk.ladder.text(100)))
    assert told[0] == told[1]
    assert told[0] != told[2]
    assert 300 <= len(told[0][0]) <= 420


def test_the_ladder_knows_the_book_after_every_statement() -> None:
    walk = BookWalk(share("TLKM"), 6, START_MS)
    books = {}
    for statement in live(walk, 60):
        sides = [
            ",".join(f'["{p}","{lots}","{p * lots * 100}"]' for p, lots in walk.levels(side))
            for side in (BID, ASK)
        ]
        books[statement.number] = tuple(sides)
    for number, sides in books.items():
        assert walk.ladder.at(number)[1:] == sides


def test_stating_a_book_again_takes_a_number_and_changes_nothing() -> None:
    walk = BookWalk(share("BBRI"), 1, START_MS)
    before = walk.ladder.text(100)
    statement = walk.state(START_MS, ASK)
    assert statement.number == before.update_id + 1
    assert walk.ladder.text(100)[1:] == before[1:]


def test_a_book_that_is_started_again_goes_on_in_its_numbers() -> None:
    first = BookWalk(share("BBCA"), 1, START_MS)
    last = list(live(first, 30))[-1].number
    assert BookWalk(share("BBCA"), 1, START_MS + 30_000).ladder.last_id > last


def test_prices_step_up_and_down_through_every_band() -> None:
    price, seen = 1, []
    while price < 6_000:
        seen.append(price)
        assert on_step(price) == price
        assert below(above(price)) == price
        price = above(price)
    assert below(1) == 0
    assert {200, 500, 2_000, 5_000} <= set(seen)


@pytest.mark.parametrize("ticker", ["", "bbca", "BBCA/IDR", "BTC-USD-X"])
def test_what_is_no_code_cannot_be_simulated(ticker) -> None:
    with pytest.raises(InputError, match="Indonesia"):
        share(ticker)


def test_a_shifted_message_differs_in_its_two_times_only() -> None:
    flat = flat_book("BBCA", BID, [(8200, 100), (8150, 50)], START_MS)
    assert shift_time(flat, 0) == flat
    later = flat_book("BBCA", BID, [(8200, 100), (8150, 50)], START_MS + 7_200_000)
    assert shift_time(flat, 7_200_000) == later
    assert as_channel(shift_time(flat, 5), 9, 1) == as_channel(
        flat_book("BBCA", BID, [(8200, 100), (8150, 50)], START_MS + 5), 9, 1
    )


def test_a_level_has_orders_for_its_lots() -> None:
    assert all(
        0 < orders_of(price, lots) <= lots for price in (62, 8200) for lots in range(1, 99)
    )


@given(st.binary(max_size=60), st.integers(-(10**12), 10**12), st.integers(-9, 9))
def test_any_bytes_are_a_request_or_refused_and_can_be_moved(raw, ahead_ms, ahead) -> None:
    flat = flat_book("BBCA", BID, [(8200, 100)], START_MS)
    for frame in (raw, b"\x08\x07" + raw, flat + raw, as_channel(flat, 3, 1) + raw):
        with contextlib.suppress(DecodeError):
            read_request(frame)
        with contextlib.suppress(DecodeError):
            assert moved(moved(frame, ahead_ms, ahead), 0, 0) is not None
