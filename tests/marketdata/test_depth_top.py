"""Tops of books against a plain model: which levels, when, and whether they can be believed."""

import hashlib
import json
import random
from decimal import Decimal

import pytest

from marketdata import codec
from marketdata.book import Book
from marketdata.candle_periods import Taken
from marketdata.codec import HeaderFields
from marketdata.depth_fold import IDLE_MS, PACE_MS, DepthFold
from marketdata.depth_top import LEVELS, Side
from marketdata.messages import DepthSnapshot, DepthUpdate, Gap, Watermark

T = 1_700_000_000_000
KEYS = {
    "binance": codec.key("binance", "BTCUSDT"),
    "coinbase": codec.key("coinbase", "BTC-USD"),
    "stockbit": codec.key("stockbit", "BBCA"),
}
TYPES = {"binance": "ws_diff_depth", "coinbase": "ws_diff_depth", "stockbit": "ws_depth"}


class Reader:
    """A fold, and the tops that it said."""

    def __init__(self, exchange="binance"):
        self.fold = DepthFold(lambda key: key.decode())
        self.exchange = exchange
        self.offset = -1
        self.now_ms = 0

    def take(self, message, *, epoch=7, ours=False, type_=None):
        self.offset += 1
        type_ = TYPES[self.exchange] if type_ is None else type_
        fields = HeaderFields(type_, "q", epoch, "", 0, "exchange", "ours" if ours else "")
        value, headers = codec.encode(message), [("epoch", b"%d" % epoch)]
        key = KEYS[self.exchange]
        self.fold.take(Taken(key, fields, value, self.offset, self.now_ms, headers))

    def top(self, *, ms=PACE_MS):
        """What is said next; None if nothing is."""
        self.now_ms += ms
        said = list(self.fold.due(self.now_ms))
        assert len(said) <= 1
        return said[0].message if said else None


def snapshot(u, bids=(), asks=(), *, side=None, at=T, x="binance"):
    levels = ([(p, q) for p, q in one] for one in (bids, asks))
    return DepthSnapshot(at, "s", u, *levels, x, side)


def delta(first, last, bids=(), asks=(), *, at=T, x="binance"):
    return DepthUpdate(at, "s", first, last, list(bids), list(asks), x)


def gap(first, last=None, *, to=None, at=T):
    return Gap(at, "s", "x", first, last, "disconnect", at, to)


@pytest.mark.parametrize("seed", range(4))
def test_the_top_is_that_of_a_plain_book_after_any_changes(seed):
    print(f"seed {seed}: pytest {__file__} -k 'plain and {seed}'")  # noqa: T201
    rng, book, reader, said = random.Random(seed), Book(), Reader(), 0
    levels = [(f"{rng.randrange(10**5)}.{n:02d}", "1") for n in range(100)]
    opened = snapshot(1, levels[:50], levels[50:])
    book.load(opened)
    reader.take(opened)
    for number in range(2, 600):
        changes = [
            [(rng.choice(levels)[0], rng.choice(("0", "0.000", "2", "7.5"))) for _ in range(n)]
            for n in (rng.randrange(5), rng.randrange(60 if number % 50 else 4000))
        ]
        one = delta(number, number, *changes)
        book.apply(one)
        reader.take(one)
        if rng.random() < 0.3:
            top = reader.top()
            said += top is not None
            bids, asks = book.levels()
            assert top is None or (top.bids, top.asks, top.id) == (
                bids[:LEVELS],
                asks[:LEVELS],
                number,
            )
    assert said > 50


def test_the_hash_is_that_of_the_levels_as_json_without_white_space():
    reader = Reader()
    reader.take(snapshot(5, [("1.50", "2")], [("1.60", "3.0")]))
    top = reader.top()
    text = json.dumps([[["1.50", "2"]], [["1.60", "3.0"]]], separators=(",", ":"))
    assert top.hash == hashlib.sha256(text.encode()).hexdigest()
    assert (top.symbol, top.source, top.timestamp) == (
        "binance:BTCUSDT",
        "binance",
        "2023-11-14T22:13:20.000Z",
    )


def test_a_burst_gives_four_tops_a_second_and_its_last_one_always():
    reader = Reader()
    reader.take(snapshot(1, [("1", "1")]))
    said = []
    for number in range(2, 102):
        reader.take(delta(number, number, [("1", str(number))]))
        said.append(reader.top(ms=10))
    said.append(reader.top())
    told = [one.bids[0][1] for one in said if one]
    assert told == ["2", "27", "52", "77", "101"]


def test_a_change_below_the_top_is_no_news():
    reader = Reader()
    reader.take(snapshot(1, [(str(100 + n), "1") for n in range(30)]))
    assert reader.top() is not None
    reader.take(delta(2, 2, [("105", "9")]))
    assert reader.top() is None


def test_after_a_hole_a_book_is_provisional_until_it_is_stated():
    reader = Reader()
    reader.take(delta(1, 1, [("9", "9")]))
    assert reader.top() is None
    reader.take(snapshot(5, [("1", "1")], [("2", "1")]))
    assert not reader.top().provisional
    reader.take(delta(8, 8, [("1", "3")]))
    top = reader.top()
    assert (top.provisional, top.bids) == (True, [("1", "3")])
    reader.take(snapshot(7, [("4", "4")]))
    assert reader.top() is None
    reader.take(snapshot(8, [("1", "3")], [("2", "1")]))
    assert not reader.top().provisional


def test_a_gap_record_makes_a_book_provisional_before_the_next_change():
    reader = Reader()
    reader.take(snapshot(5, [("1", "1")], [("2", "1")]))
    reader.top()
    reader.take(gap(6))
    assert reader.top().provisional
    reader.take(gap(6, 7, to=T + 5))
    reader.take(delta(8, 8))
    assert reader.top() is None
    reader.take(snapshot(8, [("1", "1")], [("2", "1")]))
    assert not reader.top().provisional


def test_a_one_sided_book_is_whole_once_both_sides_are_stated_after_its_gap():
    reader = Reader("stockbit")
    reader.take(snapshot(1, [("10", "5")], side="b"), ours=True)
    assert reader.top().provisional
    reader.take(snapshot(2, (), [("11", "5")], side="a"), ours=True)
    assert not reader.top().provisional
    reader.take(gap(3), ours=True)
    reader.take(snapshot(4, [("10", "7")], side="b"), ours=True)
    top = reader.top()
    assert (top.provisional, top.bids, top.asks) == (True, [("10", "7")], [("11", "5")])
    reader.take(gap(3, to=T), ours=True)
    reader.take(snapshot(5, (), [("11", "5")], side="a"), ours=True)
    assert not reader.top().provisional


def test_numbers_of_our_own_begin_anew_with_an_epoch_and_with_a_snapshot():
    reader = Reader("coinbase")
    reader.take(snapshot(900, [("1", "1")], [("2", "1")]), ours=True)
    reader.top()
    reader.take(delta(1, 1, [("1", "5")]), ours=True, epoch=8)
    top = reader.top()
    assert (top.provisional, top.bids) == (True, [("1", "1")])
    reader.take(snapshot(2, [("1", "6")], [("2", "1")]), ours=True, epoch=8)
    reader.take(delta(901, 901, [("1", "7")]), ours=True, epoch=7)
    top = reader.top()
    assert (top.provisional, top.bids, top.id) == (False, [("1", "6")], 2)
    assert reader.fold.stale == 1


def test_another_tape_or_series_is_followed_from_its_first_snapshot():
    reader = Reader()
    reader.take(snapshot(900, [("1", "1")], [("2", "1")]))
    reader.take(snapshot(5, [("3", "1")], [("4", "1")], at=T - 10**9), epoch=8)
    assert reader.top().id == 5
    reader.take(snapshot(4, [("5", "1")], [("6", "1")], at=T - 10**9), epoch=9)
    assert reader.top() is None
    reader.take(snapshot(3, [("5", "1")], [("6", "1")], at=T), epoch=10)
    assert reader.top().id == 3


def test_only_the_main_type_is_read_and_watermarks_change_nothing():
    reader = Reader()
    reader.take(snapshot(1, [("1", "1")], [("2", "1")]), type_="ws_depth")
    assert reader.top() is None
    reader.take(snapshot(1, [("1", "1")], [("2", "1")]), type_="")
    reader.take(Watermark(E=T, s="s", x="binance"))
    assert reader.top().bids == [("1", "1")]


def test_another_one_begins_where_every_book_is_stated():
    reader = Reader("stockbit")
    reader.take(snapshot(1, [("10", "5")], side="b"), ours=True)
    reader.take(snapshot(2, (), [("11", "5")], side="a"), ours=True)
    reader.take(snapshot(3, (), [("11", "6")], side="a"), ours=True)
    assert reader.fold.done_below(3) == 0
    reader.take(snapshot(4, [("10", "8")], side="b"), ours=True)
    assert reader.fold.done_below(4) == 2
    reader.fold.settle(IDLE_MS)
    assert reader.fold.done_below(4) == 4


def test_nothing_is_said_before_the_fold_has_caught_up():
    reader = Reader()
    reader.take(snapshot(1, [("1", "1")], [("2", "1")]))
    assert not list(reader.fold.due(0, is_live=False))
    assert reader.top() is not None


def test_a_side_keeps_one_spelling_of_a_price_and_leaves_out_what_is_none():
    side = Side()
    side.load([("1.0", "1"), ("x", "1"), ("2", "1")])
    assert side.best(5, highest=True) == [("2", "1"), ("1.0", "1")]
    side.put([("1.00", "7")])
    assert side.best(5, highest=False) == [("1.00", "7"), ("2", "1")]
    side.put([("1.00", "0")])
    assert side.best(5, highest=False) == [("2", "1")]


def test_a_side_that_is_never_asked_for_stays_as_small_as_its_book():
    side = Side()
    for number in range(50_000):
        side.put([(str(number), "1"), (str(number - 10), "0")])
    assert len(side._levels) < 20_000
    assert [Decimal(price) for price, _ in side.best(3, highest=True)] == [
        49_999,
        49_998,
        49_997,
    ]
