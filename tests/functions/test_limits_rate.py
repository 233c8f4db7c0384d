"""How fast a key may be used: exact, whoever asks at once."""

import threading
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import limiting, limits
from functions.limits import LimitsTable
from functions.logic.limit_rate import Rate
from marketdata.errors import ClientError

NOW_US = 1_800_000_000_000_000


def in_threads(count, work):
    """What `work(number)` returns in as many threads that begin together."""
    results, start = [None] * count, threading.Barrier(count)

    def run(number):
        start.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def table(functions, database, table_variables):
    limits.limits_table.cache_clear()
    yield LimitsTable(database, table_variables["LIMITS_TABLE"])
    limits.limits_table.cache_clear()


@given(
    per_minute=st.integers(1, 1_000_000),
    burst=st.integers(1, 100),
    pauses_us=st.lists(st.integers(0, 3_000_000), max_size=60),
)
def test_the_moment_says_the_same_as_a_bucket_of_tokens(per_minute, burst, pauses_us):
    """A bucket that holds `burst` tokens and gets one each interval, in exact fractions."""
    rate = Rate(per_minute, burst)
    now_us, full_us, tokens = NOW_US, 0, Fraction(burst)
    for pause_us in pauses_us:
        now_us += pause_us
        tokens = min(Fraction(burst), tokens + Fraction(pause_us, rate.interval_us))
        wait_us = rate.wait_us(full_us, now_us, 1)
        assert (wait_us == 0) == (tokens >= 1)
        if wait_us == 0:
            tokens -= 1
            full_us = max(full_us, now_us) + rate.interval_us
        else:
            assert wait_us == (1 - tokens) * rate.interval_us


@given(st.integers(1, 1_000_000))
def test_an_interval_never_lets_more_through_than_the_rate(per_minute):
    assert Rate(per_minute, 1).interval_us * per_minute >= 60_000_000


@pytest.mark.services
def test_two_hundred_at_once_get_exactly_the_burst_and_later_exactly_the_refill(table):
    rate = Rate(per_minute=60, burst=50)
    first = in_threads(200, lambda _: table.spend("crowd", rate, NOW_US))
    assert first.count(0) == 50
    assert all(wait in {0, 1_000_000} for wait in first)
    later = in_threads(60, lambda _: table.spend("crowd", rate, NOW_US + 10_500_000))
    assert later.count(0) == 10
    assert table.spend("crowd", rate, NOW_US + 10_999_999) == 1
    assert table.spend("crowd", rate, NOW_US + 11_000_000) == 0


@pytest.mark.services
def test_clocks_that_differ_let_no_more_through(table):
    rate = Rate(per_minute=60, burst=5)
    at_once = in_threads(40, lambda number: table.spend("skewed", rate, NOW_US + number * 1000))
    # Who is 39 ms behind the clock that came first may just miss the fifth.
    assert at_once.count(0) in (4, 5)


@pytest.mark.services
def test_what_expires_is_worth_a_full_bucket_and_no_other_key_is_touched(
    table, database, table_variables
):
    rate = Rate(per_minute=1, burst=2)
    assert [table.spend("a", rate, NOW_US) for _ in range(3)] == [0, 0, 60_000_000]
    assert table.spend("b", rate, NOW_US, cost=2) == 0
    key = {"pk": {"S": "RATE#a"}, "sk": {"S": "BUCKET"}}
    name = table_variables["LIMITS_TABLE"]
    item = database.get_item(TableName=name, Key=key)["Item"]
    assert int(item["exp"]["N"]) * 1_000_000 > int(item["full_us"]["N"])
    database.delete_item(TableName=name, Key=key)
    assert [table.spend("a", rate, NOW_US) for _ in range(3)] == [0, 0, 60_000_000]


@pytest.mark.services
def test_one_use_too_many_is_told_with_the_limit_and_the_seconds(table):
    own = {"rate": "2", "burst": "1"}
    limiting.spend("hasty", own)
    with pytest.raises(ClientError) as refused:
        limiting.spend("hasty", own)
    assert (refused.value.code, refused.value.message) == ("RATE_LIMITED", "Too many requests")
    assert str(refused.value).startswith("this key may send 2 requests a minute, 1 of them at")
    assert refused.value.retry_after_s == 30
    for _ in range(3):
        limiting.spend("", own)  # no key, no limit


@pytest.mark.services
@pytest.mark.parametrize(
    ("authorizer", "expected"),
    [
        ({}, (10, Rate(120, 60))),
        ({"connections": "3", "rate": "7", "burst": "9"}, (3, Rate(7, 9))),
        ({"rate": "7"}, (10, Rate(7, 7))),
        ({"rate": "900"}, (10, Rate(900, 60))),
        ({"connections": "0", "rate": "-1", "burst": "1e3"}, (10, Rate(120, 60))),
        ({"connections": "", "rate": "٣", "burst": None}, (10, Rate(120, 60))),
    ],
)
def test_a_keys_own_limits_come_before_the_deployments(functions, authorizer, expected):
    assert limiting.limits_of(authorizer) == expected
