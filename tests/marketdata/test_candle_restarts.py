"""Candles of every interval over silences, holes, midnights and kills, to the last word said.

Of each candle all that readers saw is looked at, and its last word is compared with plain
arithmetic over the trades.
"""

import random
from decimal import Decimal

import pytest
from derive_rig import INTERVALS, Derive, numbers, only_grows

from marketdata import codec
from marketdata.candle_kept import HISTORY_MS, LATE_MS
from marketdata.candle_values import MINUTE, MINUTE_MS
from marketdata.times import DAY_MS

DAY = 19_700 * DAY_MS
SILENCES_MS = tuple(MINUTE_MS * minutes for minutes in (5, 50, 61, 62, 180, 26 * 60, 50 * 60))


class Market:
    """Seeded trades of three tickers; a hole is filled before its minutes are an hour past.

    After a silence all that was missed is fetched, however long it was. `dies_silent`: derive
    is killed in silences too.
    """

    def __init__(self, rng, derive, *, dies_silent):
        self.rng, self.derive = rng, derive
        self.dies_silent = dies_silent
        self.event_ms = DAY - 2 * LATE_MS + rng.randrange(LATE_MS)
        self.keys = [codec.key("coinbase", name) for name in ("A-USD", "B-USD", "C-USD")]
        self.trades = {key: [] for key in self.keys}
        self.missing = []

    def go_on(self):
        """Something happens."""
        rng = self.rng
        chance = rng.random()
        if chance < 0.02:
            self.fill()
            self.fall_silent(rng.choice(SILENCES_MS))
        elif chance < 0.1:
            self.derive.mark(rng.choice(self.keys), self.event_ms)
        else:
            self.pass_ms(rng.choice((0, 3, 900, 7_000, 31_000, 200_000)))
            one = self.happen()
            if rng.random() < 0.1:
                self.missing.append(one)
            else:
                self.write(one)
        if rng.random() < 0.05:
            self.fill()

    def pass_ms(self, ms):
        if self.missing and self.event_ms + ms - self.missing[0][2] > LATE_MS // 2:
            self.fill()
        self.event_ms += ms

    def happen(self):
        """A trade, which nobody has heard of yet."""
        rng = self.rng
        key = rng.choices(self.keys, (10, 5, 1))[0]
        text, quantity = f"{rng.randrange(1, 999)}.{rng.randrange(99):02d}", rng.random()
        one = (key, len(self.trades[key]) + 1, self.event_ms, text, f"{quantity:.9f}")
        self.trades[key].append(one)
        return one

    def fall_silent(self, ms):
        """The exchange goes on without us; then a trade comes, and what was missed."""
        rng, until_ms = self.rng, self.event_ms + ms
        for _ in range(rng.randrange(12)):
            self.event_ms += rng.choice((10, 9_000, 70_000, 900_000))
            if self.event_ms < until_ms:
                self.missing.append(self.happen())
        self.event_ms = until_ms
        if rng.random() < 0.8:
            for _ in range(20):
                self.derive.rest(ms // 20, 1)
                self.die(0.01)
        self.write(self.happen())
        if rng.random() < 0.5:
            self.derive.rest(6_000, 1)
            self.die(0.1)
        self.fill()
        self.die(0.1)
        self.derive.catch_up()
        self.derive.rest(24_000, 4)

    def die(self, chance):
        if self.dies_silent and self.rng.random() < chance:
            self.derive.begin()

    def fill(self):
        missing, self.missing = self.missing, []
        for one in missing:
            self.write(one, late=True)

    def write(self, one, *, late=False):
        for _ in range(1 + (self.rng.random() < 0.05)):
            self.derive.trade(*one, late=late)

    def end(self):
        self.fill()
        self.derive.catch_up()
        for key in self.keys:
            self.derive.mark(key, self.event_ms + 3 * DAY_MS)
        self.derive.rest(24_000, 4)

    def expected(self):
        """By plain arithmetic: the candle of every ticker, interval and start."""
        by_place = {}
        for key, trades in self.trades.items():
            for one in trades:
                for interval, length_ms in INTERVALS.items():
                    place = key, interval, one[2] // length_ms * length_ms
                    by_place.setdefault(place, []).append(one)
        return {place: _candle(trades) for place, trades in by_place.items()}


def _candle(trades):
    prices = [Decimal(text) for *_, text, _ in trades]
    volume = sum(Decimal(quantity) for *_, quantity in trades)
    return prices[0], max(prices), min(prices), prices[-1], volume


def live(rng, market, derive):
    """The market's life and, at random, polls, commits and kills."""
    market.write(market.happen())
    derive.rest(HISTORY_MS, 2)
    for _ in range(150):
        market.go_on()
        if rng.random() < 0.4:
            ms = rng.choice((50, 1_500)) if derive.is_live() else 50
            most = rng.choice((1, 3, 10, 10**9))
            derive.step(ms=ms, most=most, is_acked=rng.random() < 0.7)
        if rng.random() < 0.2:
            derive.commit()
        if rng.random() < 0.04:
            derive.begin()
    market.end()


@pytest.mark.parametrize("dies_silent", [False, True])
@pytest.mark.parametrize("seed", range(7))
def test_no_candle_is_wrong_or_shown_older_than_it_was_wherever_it_was_killed(
    seed, dies_silent
):
    print(f"seed {seed}: pytest {__file__} -k 'shown_older and {seed}-{dies_silent}'")  # noqa: T201
    rng = random.Random(seed)
    derive = Derive(rng)
    market = Market(rng, derive, dies_silent=dies_silent)
    live(rng, market, derive)
    said, truth = derive.said(), market.expected()
    left = derive.left() if dies_silent else set()
    assert truth.keys() - left <= said.keys() <= truth.keys()
    for place, values in said.items():
        if place not in left:
            assert (numbers(values[-1]), values[-1].closed) == (truth[place], True), place
        if place not in left or place[1] == MINUTE:
            only_grows(values, place)
