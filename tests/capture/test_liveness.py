"""A dead ticker on a live socket is found, a quiet one is left alone: simulated days."""

import math
import random
import zlib
from itertools import pairwise

import pytest

from container_worker.capture.liveness import LEAST_ARRIVALS, Pace
from container_worker.capture.watch import Alarm, Watch

DAY_S = 86_400.0
RATES = [10.0, 1.0, 1 / 10, 1 / 60, 1 / 300, 1 / 900, 1 / 3600]


def chance_of(*parts):
    """A random source and its seed, which says what to repeat."""
    seed = zlib.crc32(repr(parts).encode())
    return random.Random(seed), f"seed {seed}: parts {parts!r}"


def days_of(rate):
    """Long enough to see a slow ticker often, short enough to be quick for a fast one."""
    return max(1.0, min(40.0, 30_000 / (rate * DAY_S)))


def live(pace, arrivals):
    """Feeds arrival times; the times at which an alarm was given, each silence once."""
    alarms = []
    before = None
    for now_s in arrivals:
        if before is not None and pace.silent(now_s):
            alarms.append(now_s)
            pace.doubt()
        pace.saw(now_s)
        before = now_s
    return alarms


def poisson(chance, rate, until_s, now_s=0.0):
    while (now_s := now_s + chance.expovariate(rate)) < until_s:
        yield now_s


@pytest.mark.parametrize("run", range(3))
@pytest.mark.parametrize("rate", RATES)
def test_a_living_ticker_has_less_than_one_false_alarm_a_day(rate, run) -> None:
    chance, said = chance_of("poisson", rate, run)
    days = days_of(rate)
    alarms = live(Pace(10.0), poisson(chance, rate, days * DAY_S))
    assert len(alarms) < max(1.0, days), said


@pytest.mark.parametrize("run", range(3))
@pytest.mark.parametrize("rate", RATES)
def test_a_dead_ticker_is_found_within_ten_of_its_longest_intervals(rate, run) -> None:
    chance, said = chance_of("dead", rate, run)
    pace = Pace(10.0)
    times = list(poisson(chance, rate, max(1_200, 2_000 / rate)))
    live(pace, times)
    longest_s = max(after - before for before, after in pairwise(times))
    silences = (step * longest_s / 20 for step in range(1, 10_000))
    found_s = next(silent_s for silent_s in silences if pace.silent(times[-1] + silent_s))
    assert found_s <= max(10 * longest_s, 11.0), said
    assert found_s >= max(10.0, longest_s), said


def test_a_market_that_goes_to_sleep_wakes_nobody_more_than_a_few_times() -> None:
    chance, said = chance_of("sleep")
    pace = Pace(10.0)
    times, now_s = [], 0.0
    while now_s < DAY_S:
        hour = now_s / 3600
        now_s += chance.expovariate(2.0 * math.exp(-5 * (1 - math.cos(hour / 24 * 6.28)) / 2))
        times.append(now_s)
    assert len(live(pace, times)) <= 2, said


def test_a_burst_at_the_start_does_not_make_it_impatient() -> None:
    pace = Pace(10.0)
    for number in range(40):
        pace.saw(number / 20)
    assert not pace.silent(60.0)
    assert pace.silent(400.0)


def test_nothing_is_known_before_twenty_arrivals() -> None:
    pace = Pace(10.0)
    for number in range(LEAST_ARRIVALS - 1):
        pace.saw(float(number))
    assert not pace.silent(1e9)
    pace.saw(float(LEAST_ARRIVALS))
    assert pace.silent(1e9)


def test_a_false_alarm_doubles_the_patience_until_the_pace_is_back() -> None:
    pace = Pace(10.0)
    for number in range(4_000):
        pace.saw(float(number))
    usual_s = pace.patience_s()
    pace.doubt()
    assert pace.patience_s() == 2 * usual_s
    pace.doubt()
    assert pace.patience_s() == 4 * usual_s
    for number in range(4_100, 4_100 + LEAST_ARRIVALS + 1):
        pace.saw(float(number))
    assert pace.patience_s() == pytest.approx(usual_s, rel=0.05)


def test_what_was_not_listened_to_is_no_silence_and_is_not_learned() -> None:
    pace = Pace(10.0)
    for number in range(1_000):
        pace.saw(float(number))
    pace.rest()
    assert not pace.silent(50_000.0)
    assert not pace.silent(50_005.0)
    assert pace.silent(50_020.0)
    pace.saw(50_021.0)
    assert pace.longest_s < 25.0


def test_an_outlier_is_forgotten_after_some_hours() -> None:
    pace = Pace(10.0)
    now_s = 0.0
    for _ in range(1_000):
        pace.saw(now_s := now_s + 1.0)
    pace.saw(now_s := now_s + 9.0)
    assert pace.longest_s == 9.0
    for _ in range(20 * 3_600):
        pace.saw(now_s := now_s + 1.0)
    assert pace.longest_s < 2.0


def arrive(watch, now_s):
    watch.arrived_ns = int(now_s * 1e9) + 1
    assert watch.look(now_s) is Alarm.NONE


def lived(watch, seconds=1_000):
    for number in range(seconds):
        arrive(watch, float(number))
    return float(seconds)


def alarms_of(watch, begin_s, end_s):
    now_s, found = begin_s, []
    while now_s < end_s:
        alarm = watch.look(now_s)
        if alarm is not Alarm.NONE:
            found.append(alarm)
        now_s += 0.25
    return found


def test_a_silent_unit_is_restated_then_its_socket_is_replaced_then_it_is_left_alone() -> None:
    watch = Watch(10.0)
    now_s = lived(watch)
    assert alarms_of(watch, now_s, now_s + 12) == [Alarm.RESTATE]
    assert watch.is_doubted
    assert alarms_of(watch, now_s + 12, now_s + 30) == [Alarm.REPLACE]
    watch.rest()
    assert alarms_of(watch, now_s + 30, now_s + 10_000) == []
    arrive(watch, now_s + 10_001)
    assert not watch.is_doubted


def test_no_socket_is_replaced_for_a_unit_that_was_silent_from_its_beginning() -> None:
    watch = Watch(10.0)
    now_s = lived(watch)
    assert watch.look(now_s + 1) is Alarm.NONE
    watch.rest()
    assert alarms_of(watch, now_s + 2, now_s + 10_000) == [Alarm.RESTATE]


def test_an_answer_without_news_is_no_life_and_breaks_no_socket() -> None:
    watch = Watch(10.0)
    now_s = lived(watch)
    found = []
    until_s = now_s + 2_000
    while now_s < until_s:
        alarm = watch.look(now_s)
        if alarm is not Alarm.NONE:
            found.append((now_s, alarm))
            watch.answered()
        now_s += 0.25
    assert {alarm for _, alarm in found} == {Alarm.RESTATE}
    assert 5 <= len(found) <= 8


def test_life_after_an_alarm_makes_the_next_alarm_the_first_one_again() -> None:
    watch = Watch(10.0)
    now_s = lived(watch)
    assert alarms_of(watch, now_s, now_s + 12) == [Alarm.RESTATE]
    for number in range(100):
        arrive(watch, now_s + 13 + number)
    assert alarms_of(watch, now_s + 114, now_s + 126) == [Alarm.RESTATE]
