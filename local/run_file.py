"""The run file of a stack, `<data>/run/stack.json`: who runs it, on which ports, since when.

Written whole and atomically after every change, readable by its owner only. With it another
command finds the stack, and ends what a killed supervisor left behind.

    supervisor ─► stack.json ─► status, down, the next up
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from local.file_lock import LockTaken, exclusive
from local.processes import POLL_S, Identity
from marketdata.errors import LocalError

STARTING, READY, RESTARTING, STOPPING = "starting", "ready", "restarting", "stopping"
"""`restarting`: it was ready, and something in it has died and is being started again."""

DONE = "done"
CLEANING_TIMEOUT_S = 60.0


class Running(msgspec.Struct, frozen=True):
    """One process of the stack and the place that it has on the way down."""

    identity: Identity
    end: int = 0
    grace_s: float = 20.0


class RunFile(msgspec.Struct):
    """The state of one start; `replay` is None, `running` or `done`."""

    supervisor: Identity
    data: str
    mode: str
    urls: dict[str, str | None]
    state: str = STARTING
    bucket: str = "tapedeck"
    replay: str | None = None
    processes: dict[str, Running] = {}
    restarts: dict[str, int] = {}


def path_of(data: Path) -> Path:
    """Where the run file of a data folder is."""
    return data / "run" / "stack.json"


def read(data: Path) -> RunFile | None:
    """The run file, or None when there is none; one that cannot be read counts as none."""
    try:
        return msgspec.json.decode(path_of(data).read_bytes(), type=RunFile)
    except (OSError, msgspec.DecodeError):
        return None


def write(data: Path, run: RunFile) -> None:
    """Replace the run file.

    Raises:
        LocalError: the folder cannot be written.
    """
    path = path_of(data)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(run))
        part.replace(path)
    except OSError as error:
        raise LocalError(f"{path} cannot be written: {error.strerror}") from error


def remove(data: Path) -> None:
    """Forget the stack."""
    with contextlib.suppress(FileNotFoundError):
        path_of(data).unlink()


@contextlib.contextmanager
def ownership(data: Path) -> Iterator[None]:
    """Be the only one who starts or ends the stack of this data folder.

    Waits for one that cleans up; refuses when a supervisor is alive.

    Raises:
        LocalError: another process has the folder.
    """
    lock = data / "run" / "stack.lock"
    until = time.monotonic() + CLEANING_TIMEOUT_S
    while True:
        try:
            with exclusive(lock, refuse=f"another `tapedeck up` is at work on {data}"):
                yield
                return
        except LockTaken:
            run = read(data)
            if (run and run.supervisor.alive()) or time.monotonic() > until:
                raise
        time.sleep(POLL_S)
