"""What `tapedeck status` says, and how `tapedeck down` ends a stack (design.md §9).

run file, processes ─► Status
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from local import leftovers, run_file
from local.processes import POLL_S
from local.stack_plan import URL_NAMES
from local.stack_settings import BUCKET
from marketdata.errors import LocalError

DOWN_TIMEOUT_S = 120.0


class Status(msgspec.Struct, frozen=True):
    """`tapedeck status --json`; None is for what does not exist (yet)."""

    ready: bool
    state: str
    mode: str | None
    replay: str | None
    urls: dict[str, str | None]
    bucket: str
    pids: dict[str, int]
    restarts: dict[str, int]
    data: str


def status(data: Path) -> Status:
    """The stack of this data folder; `ready` when every process is alive and has been ready."""
    run = run_file.read(data)
    if run is None:
        urls = dict.fromkeys(URL_NAMES)
        return Status(False, "down", None, None, urls, BUCKET, {}, {}, str(data))
    alive = {name: one.identity.alive() for name, one in run.processes.items()}
    supervised = run.supervisor.alive()
    return Status(
        ready=supervised and run.state == run_file.READY and all(alive.values()),
        state=run.state if supervised else "killed",
        mode=run.mode,
        replay=run.replay,
        urls=run.urls,
        bucket=run.bucket,
        pids={name: one.identity.pid for name, one in run.processes.items() if alive[name]},
        restarts=run.restarts,
        data=run.data,
    )


def down(data: Path, tell: Callable[[str], None]) -> bool:
    """End the stack of this data folder; False when there was none.

    Raises:
        LocalError: it did not end in time.
    """
    run = run_file.read(data)
    if run is None:
        return False
    if run.supervisor.alive():
        run.supervisor.ask_to_end()
        until = time.monotonic() + DOWN_TIMEOUT_S
        while run.supervisor.alive():
            if time.monotonic() > until:
                raise LocalError(
                    f"the stack on {data} did not end within {DOWN_TIMEOUT_S:.0f} s: "
                    f"its supervisor is process {run.supervisor.pid}"
                )
            time.sleep(POLL_S)
    with run_file.ownership(data):
        for name in leftovers.end_leftovers(data):
            tell(f"ended {name}, which its supervisor had left behind")
    return True
