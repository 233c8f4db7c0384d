"""What is another tape (a replay) and what only comes late or is read again."""

import random

import pytest
from derive_rig import Derive, numbers

from marketdata import codec
from marketdata.candle_fold import TradeFold
from marketdata.candle_kept import HISTORY_MS, LATE_MS
from marketdata.candle_periods import Taken
from marketdata.candle_values import MINUTE, MINUTE_MS
from marketdata.times import DAY_MS

DAY = 19_700 * DAY_MS
NOON = DAY + 12 * LATE_MS
KEYS = [codec.key("coinbase", name) for name in ("A-USD", "B-USD")]


@pytest.fixture
def derive():
    one = Derive(random.Random(1))
    for key in KEYS:
        one.trade(key, 1, NOON)
    one.rest(2 * HISTORY_MS)
    return one


def volumes(derive, interval, start_ms):
    return [numbers(derive.said()[key, interval, start_ms][-1])[4] * 10 for key in KEYS]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_missed_over_days_is_no_other_tape(derive, restarts):
    back_ms = NOON + 3 * DAY_MS
    if restarts:
        derive.begin()
    derive.trade(KEYS[0], 3, back_ms)
    derive.rest(6_000)
    for number, key in enumerate(KEYS, 3):
        derive.trade(key, 2, NOON + 1, late=True)
        derive.rest(6_000)
        derive.trade(key, number + 1, back_ms + MINUTE_MS)
    derive.rest(12_000)
    for _ in range(2):
        assert volumes(derive, MINUTE, NOON) == volumes(derive, "1d", DAY) == [2, 2]
        assert volumes(derive, "1d", DAY + 3 * DAY_MS) == [2, 1]
        derive.begin()
        derive.rest(12_000)


def test_a_replay_is_another_tape_for_the_longer_ones_too_when_derive_goes_on(derive):
    past_ms = NOON - 5 * DAY_MS
    for number in range(12):
        for key in KEYS:
            derive.trade(key, number, past_ms + number * MINUTE_MS, epoch=8)
        derive.step()
    derive.rest(12_000)
    assert volumes(derive, "5m", past_ms) == volumes(derive, "5m", past_ms + 300_000) == [5, 5]


def test_a_tape_that_is_played_again_is_said_again_from_its_beginning(derive):
    for number in range(2, 150):
        derive.trade(KEYS[0], number, NOON + number * MINUTE_MS)
    derive.rest(12_000)
    derive.begin()
    derive.rest(12_000)
    before = len(derive.candles)
    derive.trade(KEYS[0], 1, NOON, epoch=8)
    derive.rest(6_000, 1)
    assert not derive.said()[KEYS[0], MINUTE, NOON][-1].closed
    derive.trade(KEYS[0], 2, NOON + 2 * MINUTE_MS, epoch=8)
    derive.rest(6_000, 1)
    starts = [start_ms for *_, start_ms in derive.candles[before:] if start_ms is not None]
    assert starts == [NOON, NOON, NOON + 2 * MINUTE_MS]
    assert derive.said()[KEYS[0], MINUTE, NOON][-1].closed


def test_what_is_read_again_for_another_exchange_is_no_other_tape():
    slow, derive = codec.key("other", "BTC-USD"), Derive(random.Random(1))
    derive.trade(slow, 1, NOON)
    for number in range(6):
        derive.trade(KEYS[0], number, NOON + number * LATE_MS)

    def life(done, mark):
        fold = TradeFold({"coinbase", "other"}, mark)
        for offset, (key, fields, value, _) in enumerate(derive.prices[done:], done):
            fold.take(Taken(key, fields, value, offset, 0, []))
        said = list(fold.due(0))
        for one in said:
            one.acked()
        fold.settle(HISTORY_MS)
        return [one.message.timestamp for one in said if one.key == KEYS[0]], fold

    said, fold = life(0, "")
    assert said == [NOON + number * LATE_MS for number in range(6)]
    assert fold.done_below(len(derive.prices)) == 0
    assert life(0, fold.mark())[0] == [NOON + number * LATE_MS for number in (4, 5)]
