"""A seeded plan of faults over all five simulated exchanges at once, and the truth after it."""

import os

import pytest
from judgement import complaints_about
from losses import losses_wanted, rows_untried
from plan import make_plan
from venues_rig import TICKERS
from weather import repeat_with, weather

GIVEN = os.environ.get("TAPEDECK_FAULT_SEED")
SEEDS = (4, 5) if GIVEN is None else (int(GIVEN),)
FAULTS = int(os.environ.get("TAPEDECK_FAULTS", "150"))
FILE = "tests/faults/test_fault_plan.py"


@pytest.mark.timeout(len(SEEDS) * (90 + FAULTS))
def test_after_300_faults_everything_lost_is_told_and_every_book_is_true(
    short_times, wait_until
) -> None:
    """Two storms of 150: the seed chooses between Stockbit's two layouts."""
    wanted = 0
    for seed in SEEDS:
        outcome = weather(seed, FAULTS, FILE, wait_until)
        complaints, repeat = complaints_about(outcome), repeat_with(seed, FAULTS, FILE)
        assert not complaints, "\n".join([repeat, *complaints[:40]])
        assert not rows_untried(outcome), f"not tried: {rows_untried(outcome)}; {repeat}"
        wanted += len(losses_wanted(outcome))
    assert wanted > len(SEEDS) * FAULTS // 5, f"too mild: seeds {SEEDS}, {FAULTS} faults each"


def test_a_plan_is_the_same_for_the_same_seed_and_has_every_kind() -> None:
    plan = make_plan(4, 3_000, TICKERS)
    assert plan == make_plan(4, 3_000, TICKERS) != make_plan(5, 3_000, TICKERS)
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
