"""The ledger's arithmetic: time counted once, coverage rounded down, gaps that last."""

import random
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketdata.archive_ledger import count_event, count_gap, how_many, split_days
from marketdata.archive_state import Hole, LedgerDay, PartitionState, UnitState
from marketdata.completeness import ledger
from marketdata.times import day_of, iso_ms

MIDNIGHT_MS = 1_723_161_600_000
BEGUN_MS = MIDNIGHT_MS - 10_000


def unit_at(begun_ms=BEGUN_MS):
    unit = UnitState()
    count_event(unit, day_of(begun_ms, "binance"), iso_ms(begun_ms))
    return unit


def lose(unit, start, end):
    told = ("stall", iso_ms(start), iso_ms(end))
    count_gap(unit, "binance", day_of(end, "binance"), missing=0, told=told)


def figures(unit, date=None):
    unit.last_time = unit.last_time or unit.began
    return list(ledger(PartitionState(units={"binance:BTCUSDT ws_trades": unit}), date))


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 9_000)), max_size=12))
def test_each_moment_without_cover_is_counted_once_in_its_own_day(gaps):
    unit = unit_at()
    moments = set()
    for start, length in gaps:
        lose(unit, BEGUN_MS + start, BEGUN_MS + start + length)
        moments.update(range(start, start + length))
    found = {day: one.uncovered_ms for day, one in unit.ledger.items()}
    before = sum(moment < 10_000 for moment in moments)
    assert found.get("2024-08-08", 0) == before
    assert found.get("2024-08-09", 0) == len(moments) - before


def test_time_before_the_first_event_is_no_loss():
    unit = unit_at()
    lose(unit, 0, BEGUN_MS + 1_000)
    assert unit.ledger["2024-08-08"].uncovered_ms == 1_000
    assert set(unit.ledger) == {"2024-08-08"}


def test_coverage_is_rounded_down_so_that_a_hundred_means_everything():
    unit = unit_at(MIDNIGHT_MS)
    unit.watermark = MIDNIGHT_MS + 86_400_000
    [whole] = figures(unit)
    lose(unit, MIDNIGHT_MS + 5, MIDNIGHT_MS + 6)
    [one] = figures(unit)
    assert (whole.coverage_percent, one.coverage_percent) == (Decimal(100), Decimal("99.9999"))
    assert one.gaps_per_million == Decimal(1_000_000)


def test_a_gap_that_lasts_counts_up_to_what_is_known():
    unit = unit_at(MIDNIGHT_MS - 4_000)
    unit.hole = Hole("stall", iso_ms(MIDNIGHT_MS - 3_000), announced=True)
    unit.watermark = MIDNIGHT_MS + 2_000
    [before] = figures(unit, "2024-08-08")
    [after] = figures(unit, "2024-08-09")
    assert (before.uncovered_ms, before.span_ms, before.open_cause) == (3_000, 4_000, "stall")
    assert (after.uncovered_ms, after.span_ms, after.open_cause) == (2_000, 2_000, "stall")
    assert figures(unit)[0].uncovered_ms == 5_000
    assert figures(unit)[0].gaps == 0


def test_a_day_of_which_nothing_is_known_is_not_told():
    assert figures(unit_at(), "2023-01-01") == []
    assert figures(unit_at(), "2030-01-01") == []


def test_a_unit_that_wrote_only_watermarks_is_told_with_zeros():
    unit = UnitState(watermark=MIDNIGHT_MS)
    [one] = ledger(PartitionState(units={"stellar:events contract_events": unit}))
    assert (one.events, one.gaps_per_million, one.coverage_percent) == (0, None, None)


def test_ids_are_counted_by_their_distance():
    assert how_many((60_000, 240_000), 60_000) == 4
    assert how_many((5, 5), 1) == 1
    assert how_many((None, 5), 1) == how_many((5, 5), 0) == 0


def test_days_of_an_interval_are_the_exchange_s_own():
    five_in_the_afternoon = MIDNIGHT_MS + 17 * 3_600_000
    piece = (five_in_the_afternoon - 1_000, five_in_the_afternoon + 500)
    assert split_days(piece, "stockbit") == [("2024-08-09", 1_000), ("2024-08-10", 500)]


def test_what_the_ledger_remembers_is_bounded():
    unit, rng = unit_at(0), random.Random(1)
    for number in range(1_000):
        at = number * 86_400_000 + rng.randrange(1_000)
        count_event(unit, day_of(at, "binance"), iso_ms(at))
        lose(unit, at, at + 10)
    assert len(unit.ledger) == 400
    assert len(unit.uncovered) == 16
    assert isinstance(unit.ledger[max(unit.ledger)], LedgerDay)
