"""Child processes: each in a group of its own, known by pid and start time, ended whole.

command ─► Child ─► group of processes, log file
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil

POLL_S = 0.02
START_FIELD = 22 - 3
BOOT = Path("/proc/sys/kernel/random/boot_id")
TAIL_BYTES = 16 * 1024
LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: a name for people and files, the command line, and the whole environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


class Identity(msgspec.Struct, frozen=True):
    """One process for ever: a pid is used again, a pid with its start is not."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """The identity of a running process; one that just ended gets an empty start."""
        return cls(pid, _started(pid))

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        try:
            zombie = psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        return not zombie and bool(self.started) and _started(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Signal the process's whole group; nothing happens when it is gone."""
        if self.alive():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def ask_to_end(self) -> None:
        """Send SIGTERM to this process alone; nothing happens when it is gone."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)


def _started(pid: int) -> str:
    """When a process started, the same text whoever asks; empty when it is gone.

    Linux: in clock ticks since this boot. Elsewhere by the wall clock, which Linux would move
    under a process's feet when it is corrected.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return f"{fields[START_FIELD]} ticks after boot {BOOT.read_text().strip()}"
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""


class Child:
    """A started command; its group is its own, so a terminal's Ctrl-C does not reach it."""

    def __init__(self, command: Command, log: Path) -> None:
        self.command = command
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(command.env) or None,
                start_new_session=True,
            )
        self.identity = Identity.of(self._popen.pid)

    @property
    def name(self) -> str:
        """The command's name."""
        return self.command.name

    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it.

        The process is looked at without being reaped where the system can do so: its pid, which
        is its group's too, cannot become another's before `kill`.
        """
        if self._popen.returncode is not None or not hasattr(os, "waitid"):
            return self._popen.poll()
        seen = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return None
        return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status

    def terminate(self) -> None:
        """Ask it to end."""
        if self.exit_code() is None:
            self.identity.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything in its group, now."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    def stop(self, grace_s: float) -> None:
        """Ask, wait up to `grace_s`, then end it."""
        self.terminate()
        until = time.monotonic() + grace_s
        while self.exit_code() is None and time.monotonic() < until:
            time.sleep(POLL_S)
        self.kill()


def end_all(identities: Sequence[Identity], grace_s: float) -> None:
    """Ask processes that are not our children to end, wait, then end what is left."""
    for one in identities:
        one.signal(signal.SIGTERM)
    until = time.monotonic() + grace_s
    while any(one.alive() for one in identities) and time.monotonic() < until:
        time.sleep(POLL_S)
    for one in identities:
        one.signal(signal.SIGKILL)


def last_words(log: Path) -> str:
    """What a process said last, short enough for a sentence; of a JSON line its message."""
    try:
        text = log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return "(no log)"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = _said(lines[-1]) if lines else "(nothing)"
    return said if len(said) <= LONGEST_WORDS else f"{said[:LONGEST_WORDS]}…"


def _said(line: str) -> str:
    try:
        entry = msgspec.json.decode(line.encode(), type=dict[str, Any])
    except msgspec.DecodeError:
        return line
    trace = str(entry.get("traceback") or "").strip().splitlines()
    words = (entry.get(name) for name in ("event", "message", "error", "reason", "detail"))
    return ": ".join([str(word) for word in words if word] + trace[-1:])
