"""Ten thousand faults, with fresh seeds; each run is a storm of its own, and bounded."""

import os
import secrets

import pytest
from judgement import complaints_about
from losses import rows_untried
from weather import repeat_with, weather

SEEDS = os.environ.get("TAPEDECK_FAULT_SEED")
FAULTS = int(os.environ.get("TAPEDECK_FAULTS", "10000"))
_A_STORM = 2_500


@pytest.mark.soak
@pytest.mark.timeout(7_000)
@pytest.mark.parametrize("number", range(-(-FAULTS // _A_STORM)))
def test_after_10_000_faults_everything_lost_is_told_and_every_book_is_true(
    number, short_times, wait_until, capsys
) -> None:
    seed = secrets.randbelow(10**6) if SEEDS is None else int(SEEDS) + number
    count = min(_A_STORM, FAULTS)
    file = "-m soak tests/faults/test_fault_plan_soak.py"
    repeat = repeat_with(seed, count, file)
    with capsys.disabled():
        print(f"\n{count} faults, {repeat}")  # noqa: T201 - a soak tells its seed
    outcome = weather(seed, count, file, wait_until)
    complaints = complaints_about(outcome)
    assert not rows_untried(outcome), f"not tried: {rows_untried(outcome)}; {repeat}"
    assert not complaints, "\n".join([repeat, *complaints[:40]])
