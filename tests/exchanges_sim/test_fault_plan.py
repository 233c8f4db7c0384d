"""Many faults in a server's life: which one acts, how many are kept, what is listed."""

import time

import pytest

from local.exchanges import fault_hits
from local.exchanges.fault_plan import FAULTS_KEPT, FaultPlan, TooManyFaults
from local.exchanges.faults import Clock, Cut, Drop, Refuse, Slow
from local.exchanges.frames import Frame
from marketdata.errors import InputError


def frame(ticker, number=1, kind="depth"):
    return Frame(ticker, f"{ticker.lower()}@{kind}", b"{}", number, number)


def acting(plan, ticker, kind="depth"):
    run = plan.on_frame(frame(ticker, kind=kind), (1,))
    return run and run.number


def test_of_several_faults_that_match_the_one_posted_first_acts():
    plan = FaultPlan()
    for spec in (Drop(ticker="B"), Drop(), Drop(ticker="A"), Drop(ticker="A", stream="trade")):
        plan.add(spec)
    assert [acting(plan, "A"), acting(plan, "B"), acting(plan, "C")] == [2, 1, 2]
    plan.active()[1].active = False
    assert [acting(plan, "A"), acting(plan, "B"), acting(plan, "C")] == [3, 1, None]
    plan.active()[1].active = False
    assert acting(plan, "A") is None
    assert acting(plan, "A", "trade") == 4


def test_a_plan_is_quiet_when_every_frame_fault_has_ended():
    plan = FaultPlan()
    run = plan.add(Drop(ticker="A"))
    plan.add(Cut())
    plan.add(Slow(seconds=1))
    assert not plan.quiet
    run.active = False
    assert acting(plan, "A") is None
    assert plan.quiet


def test_twenty_thousand_faults_fit_in_a_servers_life_and_no_more():
    plan = FaultPlan()
    for number in range(FAULTS_KEPT):
        run = plan.add(Drop(ticker=f"T{number % 7}", after=10**6))
        run.active = number % 100 == 0
    with pytest.raises(TooManyFaults, match="20000 faults have been posted"):
        plan.add(Drop())
    assert len(plan.listed()) == FAULTS_KEPT
    assert [each["id"] for each in plan.listed(FAULTS_KEPT - 1)] == [19_999, 20_000]
    assert plan.listed(FAULTS_KEPT + 1) == []


def test_faults_that_have_ended_cost_frames_and_requests_nothing():
    def seconds(plan):
        began = time.process_time()
        for _ in range(2_000):
            plan.on_frame(frame("A"), (1,))
            plan.refusal("rest", "/x", 0)
        return time.process_time() - began

    few, many = FaultPlan(), FaultPlan()
    for plan, count in ((few, 10), (many, FAULTS_KEPT - 1)):
        for number in range(count):
            plan.add(Drop(ticker="A") if number % 2 else Refuse(status=429)).active = False
        plan.add(Drop(ticker="A", after=10**6))
    assert min(seconds(many) for _ in range(3)) < 5 * max(seconds(few) for _ in range(3))


def test_hits_of_all_faults_together_are_bounded_and_then_counted(monkeypatch):
    monkeypatch.setattr(fault_hits, "ALL_HITS_KEPT", 5)
    plan = FaultPlan()
    runs = [plan.add(Drop(frames=10)) for _ in range(2)]
    for number in range(4):
        for run in runs:
            run.record(0, (number,), frame=frame("A", number * 10))
    assert sum(len(run.hits) for run in runs) == 5
    assert sum(run.unlisted for run in runs) == 3


def test_a_clock_fault_is_refused_where_frames_have_no_times():
    with pytest.raises(InputError, match="no times"):
        FaultPlan().add(Clock(ahead_s=1))


def test_clock_hits_are_recorded_as_not_lost():
    plan = FaultPlan(lambda payload, ahead_ms: payload + b"%d" % ahead_ms)
    run = plan.add(Clock(ticker="A", ahead_s=-2, frames=2))
    sent = [run.take(frame("A", number), (1,), 0.0, 0).send[0].payload for number in (1, 2, 3)]
    assert sent == [b"{}-2000", b"{}-2000", b"{}"]
    assert [(hit.first_id, hit.last_id, hit.lost) for hit in run.hits] == [(1, 2, False)]
