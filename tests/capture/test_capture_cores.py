"""The pure parts of capture, each by itself."""

import random
import threading

import pytest
from capture_rig import FakeProducer
from hypothesis import given
from hypothesis import strategies as st

from container_worker.capture.candle_sync import CandleSync
from container_worker.capture.clock_guard import ClockGuard
from container_worker.capture.emissions import Refuse, Write
from container_worker.capture.held_back import MOST, HeldBack
from container_worker.capture.orders import find_instruments, wanted_by
from container_worker.capture.outlet import Outlet
from container_worker.capture.overlap import Overlap
from container_worker.capture.own_book import OwnBook
from container_worker.capture.rejects import Rejects
from container_worker.capture.retry import pause_s
from container_worker.capture.state_sync import SnapshotSync
from container_worker.capture.timing import Timing
from container_worker.capture.trade_sync import TradeSync
from container_worker.capture.weight_budget import WeightBudget
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import BookState, CandleState, Trade
from container_worker.streams_file import Wish
from marketdata.book import Book
from marketdata.errors import (
    ExchangeUnavailable,
    RateLimited,
    RestrictedLocation,
    UnknownTicker,
)
from marketdata.instruments import Instrument
from marketdata.messages import DepthSnapshot, DepthUpdate, Gap

NOW_MS = 1_723_161_600_000
MINUTE = 60_000


def trade(number, time_ms=NOW_MS):
    return Trade("BTCUSDT", number, time_ms, "61837.63000000", "0.02000000", "BUY")


def candle(start, *, event=0, closed=False):
    return CandleState(
        "BTCUSDT", start + event, start, MINUTE, "1m", "1", "2", "0.5", "1.5", "10", closed
    )


def snapshot(last_id, time_ms=NOW_MS):
    book = DepthSnapshot(time_ms, "BTCUSDT", last_id, [("1.0", "1.0")], [], "binance")
    return BookState("ws_depth", "received", book)


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


def test_trades_are_published_once_in_order_and_a_hole_is_a_closed_gap() -> None:
    sync = TradeSync("binance", "BTCUSDT", "BTC/USDT")
    [first] = messages(sync.take(trade(5), NOW_MS))
    assert (first.trade_id, first.symbol, bytes(first.price)) == (
        5,
        "BTC/USDT",
        b"61837.63000000",
    )
    assert sync.take(trade(5), NOW_MS) == []
    assert sync.take(trade(4), NOW_MS) == []
    sync.disrupted("disconnect")
    gap, after = messages(sync.take(trade(9, NOW_MS + 100), NOW_MS))
    assert gap == Gap(
        NOW_MS + 100, "BTCUSDT", "binance", 6, 8, "disconnect", NOW_MS, NOW_MS + 100
    )
    assert after.trade_id == 9


def test_a_disruption_without_a_missing_id_is_no_gap() -> None:
    sync = TradeSync("binance", "BTCUSDT", "BTC/USDT")
    sync.take(trade(5), NOW_MS)
    sync.disrupted("disconnect")
    assert len(sync.take(trade(6), NOW_MS)) == 1
    [gap, _] = messages(sync.take(trade(8), NOW_MS))
    assert gap.cause == "sequence"


def test_an_event_an_hour_ahead_waits_for_a_second_one_that_agrees() -> None:
    sync = TradeSync("binance", "BTCUSDT", "BTC/USDT")
    sync.take(trade(1), NOW_MS)
    later = NOW_MS + 2 * 3_600_000
    assert sync.take(trade(2, later), NOW_MS) == []
    assert not sync.settled
    assert sync.take(trade(2, later), NOW_MS) == []
    assert [each.trade_id for each in messages(sync.take(trade(3, later), NOW_MS))] == [2, 3]


def test_an_event_an_hour_ahead_that_nobody_agrees_with_is_refused_and_a_gap() -> None:
    sync = TradeSync("binance", "BTCUSDT", "BTC/USDT")
    sync.take(trade(1), NOW_MS)
    wrong = trade(2, NOW_MS + 2 * 3_600_000)
    assert sync.take(wrong, NOW_MS) == []
    refused, *rest = sync.take(trade(3, NOW_MS + 1), NOW_MS)
    assert isinstance(refused, Refuse)
    assert refused.event == wrong
    gap, after = messages(rest)
    assert (gap.first, gap.last, gap.cause, after.trade_id) == (2, 2, "clock", 3)


def test_the_first_event_of_all_may_be_old_but_not_far_ahead_of_our_clock() -> None:
    assert ClockGuard().admit(1, NOW_MS - 10**11, NOW_MS).ready == (1,)
    assert ClockGuard().admit(1, NOW_MS + 10**7, NOW_MS).ready == ()


def test_a_partial_book_that_is_not_newer_is_dropped() -> None:
    sync = SnapshotSync("binance", "BTCUSDT")
    assert len(sync.take(snapshot(10), NOW_MS)) == 1
    assert sync.take(snapshot(10), NOW_MS) == []
    assert sync.take(snapshot(9), NOW_MS) == []
    assert sync.repeats == 2


def test_an_outage_of_partial_books_is_an_open_gap_then_a_closed_one() -> None:
    sync = SnapshotSync("binance", "BTCUSDT")
    assert sync.disrupted("disconnect") == []
    sync.take(snapshot(10), NOW_MS)
    [opened] = messages(sync.disrupted("stall"))
    assert sync.disrupted("disconnect") == []
    closed, book = messages(sync.take(snapshot(12, NOW_MS + 5), NOW_MS))
    assert (opened.cause, opened.from_, opened.to) == ("stall", NOW_MS, None)
    assert (closed.cause, closed.from_, closed.to) == ("stall", NOW_MS, NOW_MS + 5)
    assert book.u == 12


def test_a_candle_is_repeated_until_closed_and_never_goes_back() -> None:
    sync = CandleSync("binance", "BTCUSDT", "BTC/USDT")
    assert len(sync.take(candle(0, event=1), NOW_MS)) == 1
    assert sync.take(candle(0, event=1), NOW_MS) == []
    assert len(sync.take(candle(0, event=MINUTE, closed=True), NOW_MS)) == 1
    assert sync.take(candle(0, event=MINUTE + 1), NOW_MS) == []
    assert len(sync.take(candle(MINUTE, event=1), NOW_MS)) == 1
    assert sync.take(candle(0, event=2, closed=True), NOW_MS) == []


def test_a_candle_that_was_never_seen_closed_is_a_gap() -> None:
    sync = CandleSync("binance", "BTCUSDT", "BTC/USDT")
    sync.take(candle(MINUTE, event=1), NOW_MS)
    gap, _ = messages(sync.take(candle(4 * MINUTE, event=1), NOW_MS))
    assert (gap.first, gap.last, gap.cause) == (MINUTE, 3 * MINUTE, "sequence")


def test_minutes_without_a_trade_are_no_gap_unless_the_line_was_down() -> None:
    sync = CandleSync("binance", "BTCUSDT", "BTC/USDT")
    sync.take(candle(0, event=MINUTE, closed=True), NOW_MS)
    assert len(sync.take(candle(5 * MINUTE, event=MINUTE, closed=True), NOW_MS)) == 1
    sync.disrupted("disconnect")
    gap, _ = messages(sync.take(candle(8 * MINUTE), NOW_MS))
    assert (gap.first, gap.last, gap.cause) == (6 * MINUTE, 7 * MINUTE, "disconnect")


def test_candles_that_found_no_room_are_a_gap_and_the_present_one_is_said_again() -> None:
    sync = CandleSync("binance", "BTCUSDT", "BTC/USDT")
    unsent = sync.take(candle(MINUTE, event=1), NOW_MS)
    [opened] = messages(sync.overflow(unsent))
    assert (opened.first, opened.last, opened.cause) == (MINUTE, None, "backpressure")
    assert sync.take(candle(3 * MINUTE, event=1), NOW_MS) == []
    closed, again = messages(sync.speak())
    assert (closed.first, closed.last) == (MINUTE, 2 * MINUTE)
    assert again.timestamp == 3 * MINUTE


levels = st.lists(
    st.tuples(st.integers(1, 9).map(str), st.sampled_from(["0", "0.0", "1", "2.50"])),
    max_size=6,
)


@given(st.lists(st.tuples(levels, levels), max_size=30))
def test_the_own_book_equals_the_shared_one(deltas) -> None:
    mine, shared = OwnBook(), Book()
    mine._sweep_at = 5
    for number, (bids, asks) in enumerate(deltas):
        delta = DepthUpdate(0, "T", number, number, bids, asks, "x")
        mine.apply(delta)
        shared.apply(delta)
    assert mine.levels() == shared.levels()
    assert mine.last == shared.last


def test_held_back_events_come_in_order_and_are_bounded() -> None:
    held = HeldBack()
    assert not held.add(5, 5, "closed")
    held.open = True
    assert all(held.add(number, number, number) for number in range(MOST + 10, 10, -1))
    assert held.next(9) is None
    assert held.add(5, 5, 5)
    assert [held.next(2), held.next(2)] == [5, None]
    assert [held.next(10), held.next(11), held.next(12)] == [11, 12, 13]
    assert held.next(0, force=True) == 14


def test_the_old_socket_may_close_when_all_that_it_brought_came_on_the_new_one() -> None:
    one, two = Channel("A", "t"), Channel("B", "t")
    overlap = Overlap(100.0, least_s=1.0, most_s=30.0)
    overlap.delivered(one, by_new=False)
    overlap.delivered(two, by_new=True)
    assert not overlap.is_done(105.0, settled=True)
    overlap.delivered(one, by_new=True)
    assert not overlap.is_done(100.5, settled=True)
    assert not overlap.is_done(105.0, settled=False)
    assert overlap.is_done(105.0, settled=True)
    assert overlap.is_done(130.0, settled=False)


def test_a_budget_lets_a_minutes_share_through_and_makes_the_rest_wait() -> None:
    budget = WeightBudget(6000)
    passed = sum(budget.wait_s(250, 0.0) == 0 for _ in range(100))
    assert passed == 19
    assert 0 < budget.wait_s(250, 0.0) < 5
    assert budget.wait_s(250, 60.0) == 0
    budget.observe(4790, 60.0)
    assert budget.wait_s(250, 60.0) > 0
    budget.close(30, 200.0)
    assert budget.wait_s(1, 210.0) == 20.0
    assert budget.wait_s(1, 230.0) == 0


def test_pauses_are_capped_jittered_and_honour_what_the_exchange_asks() -> None:
    timing, chance = Timing(), random.Random(4)
    plain = ExchangeUnavailable("x")
    assert all(0 <= pause_s(plain, 0, timing, chance) <= timing.backoff_base for _ in range(50))
    late = [pause_s(plain, 1000, timing, chance) for _ in range(200)]
    assert max(late) <= timing.backoff_cap
    assert max(late) - min(late) > timing.backoff_cap / 2
    assert pause_s(RateLimited("x", retry_after_s=77), 0, timing, chance) >= 77
    assert pause_s(RestrictedLocation("x"), 0, timing, chance) == timing.restricted


def test_one_unit_is_captured_once_however_many_streams_want_it() -> None:
    wishes = [
        Wish("a", "binance", ("X", "Y"), ("ws_trades",)),
        Wish("b", "binance", ("Y",), ("ws_trades", "ws_depth")),
        Wish("c", "other", ("Y",), ("ws_trades",)),
    ]
    assert wanted_by(wishes, "binance") == {
        Channel("X", "ws_trades"): ["a"],
        Channel("Y", "ws_trades"): ["a", "b"],
        Channel("Y", "ws_depth"): ["b"],
    }


def test_instruments_carry_what_clients_can_have_of_them() -> None:
    listed = {"BTCUSDT": Instrument("binance", "BTCUSDT", "BTC/USDT", "BTC", "USDT")}
    channels = [Channel("BTCUSDT", "ws_trades"), Channel("BTCUSDT", "ws_diff_depth")]
    found = find_instruments(REGISTRY["binance"], listed, channels)
    assert found["BTCUSDT"].channels == ("depth", "prices")
    many = [Channel(f"T{number}", "ws_trades") for number in range(30)]
    with pytest.raises(UnknownTicker, match=r"T0, T1, .* and 10 more"):
        find_instruments(REGISTRY["binance"], listed, many)


def test_rejects_are_whole_and_bounded_in_rate() -> None:
    producer = FakeProducer()
    rejects = Rejects(producer, "binance", "rejects")
    for number in range(1000):
        rejects.put(b"frame \xff" if number == 0 else b"frame", "reason", 7)
    assert rejects.seen == 1000
    assert 200 <= len(producer.records) < 300
    assert b'"encoding":"base64","frame":"ZnJhbWUg/w=="' in producer.records[0].value


def test_a_stop_ends_the_wait_for_room() -> None:
    producer, stop = FakeProducer(), threading.Event()
    producer.full = True
    outlet = Outlet(producer, stop, patience_s=60.0)
    threading.Timer(0.1, stop.set).start()
    outlet.make_room()
    assert outlet.lossy
    assert outlet.waited_lately()
