"""A seeded plan of faults over all five simulated exchanges at once, and the truth after it."""

import os

import pytest
from judgement import complaints_about
from losses import losses_wanted
from plan import make_plan
from venues_rig import TICKERS
from weather import repeat_with, weather

SEED = int(os.environ.get("TAPEDECK_FAULT_SEED", "4"))
FAULTS = int(os.environ.get("TAPEDECK_FAULTS", "300"))


@pytest.mark.timeout(60 + FAULTS)
def test_after_300_faults_everything_lost_is_told_and_every_book_is_true(
    short_times, wait_until
) -> None:
    outcome = weather(SEED, FAULTS, "tests/faults/test_fault_plan.py", wait_until)
    complaints = complaints_about(outcome)
    repeat = repeat_with(SEED, FAULTS, "tests/faults/test_fault_plan.py")
    assert len(losses_wanted(outcome)) > FAULTS // 5, f"too mild a storm: {repeat}"
    assert not complaints, "\n".join([repeat, *complaints[:40]])


def test_a_plan_is_the_same_for_the_same_seed_and_has_every_kind() -> None:
    plan = make_plan(SEED, 3_000, TICKERS)
    assert plan == make_plan(SEED, 3_000, TICKERS) != make_plan(SEED + 1, 3_000, TICKERS)
    faults = [fault for steps in plan.values() for step in steps for fault in step.faults]
    assert len(faults) == 3_000
    assert {fault["kind"] for fault in faults} == {
        *("drop", "duplicate", "reorder", "garbage", "clock", "stall", "delay", "cut"),
        *("refuse", "slow", "stale_snapshot", "server_shutdown", "full"),
    }
    refused = [fault for fault in faults if fault["kind"] == "refuse"]
    assert {fault["status"] for fault in refused} >= {418, 429, 451, 500, 502, 503}
    assert {fault.get("where", "rest") for fault in refused} == {"rest", "ws"}
    assert {fault.get("body", "whole") for fault in refused} == {"whole", "stall", "reset"}
