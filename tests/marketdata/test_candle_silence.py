"""Candles when an exchange or a ticker falls silent, and what a restart says of them."""

import random

import pytest
from derive_rig import Derive, only_grows

from marketdata import codec
from marketdata.candle_fold import TradeFold
from marketdata.candle_kept import HISTORY_MS, LATE_MS, QUIET_MS, SILENT_MS
from marketdata.candle_periods import Taken
from marketdata.candle_values import LONGER_MS, MINUTE, MINUTE_MS
from marketdata.times import DAY_MS

DAY = 19_700 * DAY_MS
NOON = DAY + 12 * LATE_MS
KEY, OTHER = codec.key("coinbase", "BTC-USD"), codec.key("coinbase", "ETH-USD")


@pytest.fixture
def derive():
    one = Derive(random.Random(1))
    one.trade(KEY, 1, NOON)
    one.rest(2 * HISTORY_MS)
    return one


def word(derive, start_ms=NOON, interval=MINUTE, key=KEY):
    """The last word on a candle: its close, its volume, whether it is closed."""
    last = derive.said()[key, interval, start_ms][-1]
    return bytes(last.close), bytes(last.volume), last.closed


def come_back(derive, ms, *, fetched_first=False):
    """The trade that shows the hole, and what was missed of the minute before it."""
    if fetched_first:
        derive.trade(KEY, 2, NOON + 1, "7", late=True)
        derive.step()
    derive.trade(KEY, 9, NOON + ms)
    derive.rest(6_000, 1)
    if not fetched_first:
        derive.trade(KEY, 2, NOON + 1, "7", late=True)
    derive.rest(24_000, 4)


@pytest.mark.parametrize("fetched_first", [False, True])
@pytest.mark.parametrize("minutes", [58, 62, 600, 26 * 60, 60 * 60])
def test_a_minute_that_a_silence_interrupted_takes_what_is_fetched_after_it(
    derive, minutes, fetched_first
):
    derive.rest(minutes * MINUTE_MS)
    come_back(derive, minutes * MINUTE_MS, fetched_first=fetched_first)
    assert word(derive) == (b"7", b"0.20", True)
    for interval, length_ms in LONGER_MS.items():
        start_ms = NOON // length_ms * length_ms
        assert word(derive, start_ms, interval)[1:] == (
            b"0.30" if start_ms + length_ms > NOON + minutes * MINUTE_MS else b"0.20",
            start_ms + length_ms <= NOON + minutes * MINUTE_MS,
        )


def test_a_restart_in_a_silence_of_hours_still_takes_what_was_missed(derive):
    derive.rest(20 * LATE_MS)
    derive.begin()
    come_back(derive, 20 * LATE_MS)
    assert word(derive) == (b"7", b"0.20", True)


def test_after_a_day_of_silence_the_commit_moves_on_and_a_restart_leaves_what_was_written(
    derive,
):
    derive.rest(SILENT_MS)
    ends = [len(derive.prices), len(derive.candles)]
    assert [offset for offset, _ in derive.committed] == ends
    before = derive.said()[KEY, MINUTE, NOON]
    derive.begin()
    come_back(derive, SILENT_MS)
    assert derive.said()[KEY, MINUTE, NOON] == before
    assert word(derive) == (b"1.50", b"0.10", False)
    back_ms = NOON + SILENT_MS
    assert word(derive, back_ms) == (b"1.50", b"0.10", False)
    assert derive.shares[0].fold.counts()["late"] == 1


def test_after_a_restart_nothing_is_said_that_a_late_trade_had_corrected(derive):
    derive.trade(KEY, 4, NOON + MINUTE_MS)
    derive.step()
    derive.trade(KEY, 2, NOON + 1, "7", late=True)
    derive.rest(6_000)
    assert word(derive) == (b"7", b"0.20", True)
    before = len(derive.said()[KEY, MINUTE, NOON])
    derive.begin()
    while not derive.is_live():
        derive.step(most=1)
    derive.rest(6_000)
    assert len(derive.said()[KEY, MINUTE, NOON]) == before


def test_a_day_that_is_over_is_not_said_again_as_it_was_before_a_correction():
    derive = Derive(random.Random(1))
    late_ms = DAY - 10 * MINUTE_MS
    derive.trade(KEY, 1, late_ms)
    derive.trade(KEY, 3, DAY + MINUTE_MS)
    derive.rest(6_000)
    derive.trade(KEY, 2, late_ms + 1, "7", late=True)
    derive.rest(12_000)
    assert word(derive, DAY - DAY_MS, "1d") == (b"7", b"0.20", True)
    derive.begin()
    while not derive.is_live():
        derive.step(ms=50, most=1)
    derive.rest(12_000)
    for place, said in derive.said().items():
        only_grows(said, place)


def test_what_was_closed_stays_closed_when_a_restart_no_longer_hears_what_closed_it(derive):
    derive.mark(KEY, NOON + 3 * LATE_MS)
    derive.rest(2 * HISTORY_MS)
    start_ms = NOON + 3 * LATE_MS - 10 * MINUTE_MS
    derive.trade(KEY, 2, start_ms, late=True)
    derive.rest(12_000)
    assert derive.committed[0][0] == len(derive.prices) - 1
    derive.begin()
    derive.rest(12_000)
    for interval in (MINUTE, "5m"):
        assert [one.closed for one in derive.said()[KEY, interval, start_ms]] == [True]


def test_a_long_way_to_catch_up_is_written_and_committed_on_the_way_but_for_the_last_hour(
    derive,
):
    assert word(derive) == (b"1.50", b"0.10", False)
    before = len(derive.candles)
    for number in range(1, 181):
        derive.trade(KEY, number + 1, NOON + number * MINUTE_MS)
    derive.begin()
    derive.step(most=170)
    derive.step(most=0)
    assert len(derive.candles) == before
    derive.step(ms=HISTORY_MS + QUIET_MS, most=0)
    assert not derive.is_live()
    starts = [start_ms for *_, start_ms in derive.candles[before:] if start_ms is not None]
    assert starts == [NOON + number * MINUTE_MS for number in range(109)]
    derive.commit()
    assert derive.committed[0][0] == 109


@pytest.mark.parametrize("fetched_first", [False, True])
def test_a_candle_whose_first_trades_the_log_has_lost_is_not_written(fetched_first):
    derive = Derive(random.Random(1))
    if fetched_first:
        derive.trade(KEY, 2, NOON - MINUTE_MS, late=True)
    for number in (3, 4, 5):
        derive.trade(KEY, number, NOON + number * MINUTE_MS)
    fold = TradeFold({"coinbase"}, is_cut=True)
    for offset, (key, fields, value, _) in enumerate(derive.prices, 500):
        fold.take(Taken(key, fields, value, offset, 0, []))
    starts = [one.message.timestamp for one in fold.due(0)]
    assert starts == [NOON + number * MINUTE_MS for number in (4, 5)]


def test_candles_of_a_silent_ticker_close_when_the_others_are_an_hour_past_them(derive):
    derive.trade(OTHER, 1, NOON + 5 * MINUTE_MS + LATE_MS - 1)
    derive.rest(12_000)
    assert not word(derive, NOON, "5m")[2]
    derive.trade(OTHER, 2, NOON + 5 * MINUTE_MS + LATE_MS)
    derive.rest(12_000)
    assert word(derive, NOON, "5m")[2]
    assert not word(derive, NOON, "15m")[2]


def test_a_ticker_that_fell_silent_is_forgotten(derive):
    for hour in range(1, 5):
        derive.trade(OTHER, hour, NOON + hour * LATE_MS)
        derive.rest(LATE_MS)
    assert word(derive) == (b"1.50", b"0.10", True)
    assert derive.shares[0].fold.counts()["keys"] == 1


def test_what_a_silence_left_open_is_closed_before_anything_newer_is_said(derive):
    before = len(derive.candles)
    derive.trade(OTHER, 1, NOON + 3 * LATE_MS)
    derive.step()
    starts = [start_ms for *_, start_ms in derive.candles[before:]]
    assert starts == [NOON, NOON + 3 * LATE_MS]
    derive.rest(12_000)
    volumes = [one.volume for one in derive.said()[KEY, "5m", NOON]]
    assert [bytes(volume) for volume in volumes] == [b"0.10", b"0.10"]
