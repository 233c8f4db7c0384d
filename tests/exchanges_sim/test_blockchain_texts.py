"""The pure parts of Blockchain.com's simulator: numbers, years, requests, the market itself."""

import contextlib
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_worker.exchanges.blockchain import decode
from container_worker.exchanges.outcomes import BookDelta, BookState, CandleState, Trade
from local.exchanges.blockchain.eras import ERAS, era, later
from local.exchanges.blockchain.instruments import TABLE, instrument
from local.exchanges.blockchain.java_numbers import java_text, java_units
from local.exchanges.blockchain.requests import Rejected, read
from local.exchanges.blockchain.throttle import Throttle
from local.exchanges.blockchain.venue import SimulatedMarket, snapshot
from marketdata.errors import InputError, SettingsError

START_MS = 1_722_445_567_890


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0", "0.0"),
        ("0.00000016", "1.6E-7"),
        ("0.00001", "1.0E-5"),
        ("0.00099999", "9.9999E-4"),
        ("0.001", "0.001"),
        ("0.0011853", "0.0011853"),
        ("200", "200.0"),
        ("8501.10", "8501.1"),
        ("20.000001", "20.000001"),
        ("9999999.9", "9999999.9"),
        ("10000000", "1.0E7"),
        ("123456789.5", "1.234567895E8"),
    ],
)
def test_numbers_are_printed_as_java_does(number, text) -> None:
    assert java_text(Decimal(number)) == text


@given(st.integers(0, 10**20))
def test_no_digit_of_a_number_is_lost(units) -> None:
    text = java_units(units)
    assert Decimal(text) == Decimal(units) / 10**8
    whole, _, rest = text.partition(".")
    assert whole.isdigit()
    assert rest[0].isdigit()
    assert ("E" in text) == (units > 0 and not 10**5 <= units < 10**15)


@given(st.integers(0, 2**62), st.integers(-10_000_000, 10_000_000))
def test_times_of_a_payload_move_and_keep_their_digits(below, by_ms) -> None:
    for one in ERAS.values():
        payload = b'{"timestamp":"%s","x":1}' % one.stamp(START_MS, below).encode()
        moved = b'{"timestamp":"%s","x":1}' % one.stamp(START_MS + by_ms, below).encode()
        assert later(payload, by_ms) == moved


def test_a_candles_start_moves_in_its_own_unit_and_what_has_no_time_stays() -> None:
    assert later(b'{"price":[1589135580,1.5]}', 60_000) == b'{"price":[1589135640,1.5]}'
    assert later(b'{"price":[1589135580000,1]}', -500) == b'{"price":[1589135579500,1]}'
    assert later(b'{"price":8501.1}', 500) == b'{"price":8501.1}'


def frames(seed=1, year="2021", wanted=lambda _: True, steps=200, tickers=tuple(TABLE)):
    market = SimulatedMarket(
        [instrument(ticker) for ticker in tickers], seed, START_MS, ERAS[year], 5_000
    )
    return market, [
        frame for n in range(steps) for frame in market.step(START_MS + 50 * n, wanted)
    ]


def test_the_same_seed_makes_the_same_market_whoever_listens() -> None:
    _, everything = frames()
    _, again = frames()
    assert everything == again
    _, books = frames(wanted=lambda stream: stream.endswith("@l2"))
    assert books == [frame for frame in everything if frame.stream.endswith("@l2")]
    _, other = frames(seed=2)
    assert other != everything


def test_ids_of_book_frames_follow_each_other_and_reach_the_ladders() -> None:
    market, sent = frames()
    for ticker in market.tickers:
        ids = [(one.first_id, one.last_id) for one in sent if one.stream == f"{ticker}@l2"]
        assert len(ids) > 100
        assert all(first == last + 1 for (_, last), (first, _) in pairwise(ids))
        assert ids[-1][1] == market.ladder(ticker).last_id


@pytest.mark.parametrize("year", ERAS)
def test_the_frames_of_every_year_decode(year) -> None:
    market, sent = frames(year=year)
    payloads = [frame.payload for frame in sent]
    payloads += [snapshot(market, name, "BTC-USD") for name in ("l2", "ticker")]
    kinds = {}
    for payload in payloads:
        for outcome in decode.decode(payload, START_MS * 10**6):
            kinds.setdefault(type(outcome), []).append(outcome)
    clock = "exchange" if ERAS[year].book_times else "received"
    assert {one.clock for one in kinds[BookDelta]} == {clock}
    assert {one.clock for one in kinds[Trade]} == {"exchange"}
    assert all(one.start_ms % 60_000 == 0 for one in kinds[CandleState])
    assert len(kinds[BookState]) == 1
    assert all(0 <= START_MS + 10_000 - one.time_ms < 10_000 for one in kinds[Trade])


def test_a_pair_against_a_coin_has_prices_with_an_exponent() -> None:
    market, _ = frames(tickers=("ALGO-BTC",))
    book = snapshot(market, "l2", "ALGO-BTC")
    assert book.count(b"E-5") > 100
    message = decode.decode(book, 1)[0].message
    true = market.ladder("ALGO-BTC").text(10_000)
    for ours, theirs in ((message.b, true.bids), (message.a, true.asks)):
        levels = msgspec.json.decode(f"[{theirs}]")
        assert [tuple(map(Decimal, one)) for one in ours] == [
            tuple(map(Decimal, one)) for one in levels
        ]


@pytest.mark.parametrize(
    "ticker", ["btc-usd", "BTCUSD", "", "A-B", "LTC-BTC", "X" * 20 + "-USD"]
)
def test_what_is_no_pair_cannot_be_simulated(ticker) -> None:
    with pytest.raises(InputError, match="cannot be simulated"):
        instrument(ticker)


def test_a_year_that_nobody_knows_is_named() -> None:
    with pytest.raises(SettingsError, match=r"setting era: '1999' is none of 2019, 2020"):
        era("1999")


@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["action", "channel", "symbol", "granularity"]), inner
            )
        ),
        max_leaves=6,
    ).map(lambda value: msgspec.json.encode(value).decode())
)
def test_any_message_is_a_request_or_is_rejected(text) -> None:
    with contextlib.suppress(Rejected):
        assert read(text, {"BTC-USD"}, set()).stream.count("@") in {1, 2}


def test_the_message_too_many_begins_a_pause_after_which_all_counts_again() -> None:
    throttle = Throttle(3, 60.0)
    assert [throttle.begins(now) for now in (0.0, 1.0, 2.0, 60.5, 60.6)] == [
        False, False, False, False, True,
    ]  # fmt: skip
    assert throttle.ignores(120.5)
    assert not throttle.ignores(120.7)
    assert [throttle.begins(now) for now in (120.7, 120.8, 120.9, 121.0)] == [
        False, False, False, True,
    ]  # fmt: skip
