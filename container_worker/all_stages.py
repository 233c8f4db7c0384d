"""`all`: every stage as a child process of its own, for the small deployment (rule 30).

all ─► capture, archive, derive, keep    a stage that dies is started again after a pause
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from container_worker import log, settings
from marketdata.errors import SettingsError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 60.0
"""A stage that ran so long before it died is started again after the first pause."""
DRAIN_S = 20.0
_BAD_INPUT = 2
_POLL_S = 0.1


class Stage:
    """One child process and when it may be started again."""

    def __init__(self, arguments: list[str]) -> None:
        self.name = arguments[0]
        self._command = [sys.executable, "-m", "container_worker", *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_s = FIRST_PAUSE_S
        self._started_s = 0.0
        self._next_start_s = 0.0

    def keep_running(self, now_s: float) -> int | None:
        """Starts it when it is due; the exit code when it has just ended, else None."""
        if self._process is None:
            if now_s >= self._next_start_s:
                self._process = subprocess.Popen(self._command)  # noqa: S603 - our own
                self._started_s = now_s
            return None
        code = self._process.poll()
        if code is None:
            return None
        self._process = None
        if now_s - self._started_s >= HEALTHY_S:
            self._pause_s = FIRST_PAUSE_S
        self._next_start_s = now_s + self._pause_s
        log.event(
            "all.stage_ended",
            level="warning",
            child=self.name,
            code=code,
            restart_in_s=self._pause_s,
        )
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)
        return code

    def terminate(self) -> None:
        """Asks the child to drain."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_or_kill(self, deadline_s: float) -> bool:
        """Whether the child ended with 0 before the deadline; it is gone afterwards."""
        if self._process is None:
            return True
        try:
            return self._process.wait(max(0.0, deadline_s - time.monotonic())) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            log.event("all.stage_killed", level="error", child=self.name, after_s=DRAIN_S)
            return False


def run(
    streams: Path | None,
    variables: Mapping[str, str],
    stop: threading.Event,
    make_stage: Callable[[list[str]], Stage] = Stage,
) -> int:
    """Runs all stages until `stop`; the exit code is 0 when all of them drained cleanly.

    A stage that ends because its input is wrong ends the others too, since starting it again
    would not help: the exit code is then 2.

    Raises:
        SettingsError: with the faults of all stages, before anything is started.
    """
    _check(streams, variables)
    capture = ["capture", *(["--streams", str(streams)] if streams else [])]
    others = [["archive"], ["derive"], ["keep"]]
    stages = [make_stage(arguments) for arguments in (capture, *others)]
    code = 0
    while code != _BAD_INPUT and not stop.wait(_POLL_S):
        now_s = time.monotonic()
        ended = [stage.keep_running(now_s) for stage in stages]
        code = _BAD_INPUT if _BAD_INPUT in ended else 0
    for stage in stages:
        stage.terminate()
    deadline_s = time.monotonic() + DRAIN_S
    drained = [stage.wait_or_kill(deadline_s) for stage in stages]
    return code or (0 if all(drained) else 1)


def _check(streams: Path | None, variables: Mapping[str, str]) -> None:
    faults: dict[str, None] = {}
    if streams is None and not settings.names_streams(variables):
        faults["no streams to capture: give --streams FILE, STREAMS_FILE or STREAMS"] = None
    reads = (
        settings.read_capture,
        settings.read_archive,
        settings.read_derive,
        settings.read_keep,
    )
    for read in reads:
        try:
            read(variables)
        except SettingsError as error:
            faults |= dict.fromkeys(error.faults)
    if faults:
        raise SettingsError(tuple(faults))
