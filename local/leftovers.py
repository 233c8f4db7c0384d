"""Ends the processes that a killed supervisor left behind: exactly those, never another's.

A process is recognised by its pid and its start time. `python -m local.leftovers DIR` is the
watcher that every supervisor starts: it waits until its standard input closes, which happens
whatever way the supervisor ends.

    stack.json ─► processes ended in the order of the way down
"""

import sys
import time
from itertools import groupby
from pathlib import Path

from local import run_file
from local.processes import POLL_S, end_all
from local.run_file import RunFile
from marketdata.errors import LocalError

PATIENCE_S = 10.0


def end_leftovers(data: Path) -> list[str]:
    """End what is left of the stack and remove its run file; the names of what was alive.

    The caller owns the data folder (`run_file.ownership`).
    """
    run = run_file.read(data)
    if run is None:
        return []
    alive = [name for name, one in run.processes.items() if one.identity.alive()]
    _end(run)
    run_file.remove(data)
    return alive


def _end(run: RunFile) -> None:
    """Capture first, then what reads from Kafka, the servers last; all of one place at once."""
    ordered = sorted(run.processes.values(), key=lambda one: one.end)
    for _, group in groupby(ordered, key=lambda one: one.end):
        together = list(group)
        end_all([one.identity for one in together], max(one.grace_s for one in together))


def watch(data: Path) -> int:
    """Wait for the supervisor's end, then clean up unless somebody else does."""
    sys.stdin.buffer.read()
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            with run_file.ownership(data):
                end_leftovers(data)
        except LocalError:
            # The system may close the dying supervisor's pipe before it frees its lock; when
            # it is a new `up` or a `down` that has it, the leftovers are theirs.
            if time.monotonic() > until_s:
                return 0
            time.sleep(POLL_S)
        else:
            return 0


if __name__ == "__main__":
    raise SystemExit(watch(Path(sys.argv[1])))
