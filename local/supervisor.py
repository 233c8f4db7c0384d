"""Starts the stages of a stack, keeps them running, and ends them in order.

Single-threaded: one loop that looks at everything twenty times a second, so that a signal at
any moment finds a known state. Blocking work is done in threads that the loop looks at too.

    [Stage], [Provision] ─► processes ─► run file
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from local import run_file
from local.background import Background
from local.log_files import rotate
from local.ports import answers
from local.processes import Child, last_words
from local.provisions import Provision
from local.run_file import RunFile, Running
from local.stack_plan import Stage
from local.stack_settings import StackSettings
from marketdata.errors import InputError, LocalError

POLL_S = 0.05
START_TIMEOUT_S = 90.0
SETTLED_S = 1.0
STEADY_S = 30.0
ROTATE_EVERY_S = 5.0
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
BAD_INPUT = 2
FATAL_CRASHES = 3


class StackStopped(Exception):
    """The stack was asked to end."""


@dataclass(slots=True)
class _Process:
    """A stage and what became of it."""

    stage: Stage
    child: Child | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    crashes: int = 0
    ready: bool = False


@dataclass(slots=True)
class _Work:
    """A provision and its thread."""

    provision: Provision
    thread: Background | None = None
    ready: bool = False


@dataclass(slots=True)
class Supervisor:
    """One start of a stack; `stop_asked` is looked at in every round of every loop.

    A provision that needs a stage which this stack does not have is not made.
    """

    settings: StackSettings
    stages: Sequence[Stage]
    provisions: Sequence[Provision]
    run: RunFile
    stop_asked: Callable[[], bool]
    hurry_asked: Callable[[], bool] = lambda: False
    _processes: dict[str, _Process] = field(init=False)
    _work: list[_Work] = field(init=False)
    _rotated_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._processes = {stage.name: _Process(stage) for stage in self.stages}
        there = {*self._processes, *(one.fact for one in self.provisions)}
        self._work = [_Work(one) for one in self.provisions if there.issuperset(one.needs)]
        self.run.restarts = {stage.name: 0 for stage in self.stages}

    def start(self, tell: Callable[[str], None]) -> None:
        """Start everything; returns when all stages are ready. `tell` gets each name then.

        Raises:
            LocalError: a stage did not start; the text has its last lines and its log's name.
            InputError: a stage says that what it was given is wrong.
            StackStopped: asked to end.
        """
        until = time.monotonic() + START_TIMEOUT_S
        told: set[str] = set()
        while not self._all_ready():
            self._round()
            for name in sorted(self._ready() - told):
                tell(name)
            told |= self._ready()
            if time.monotonic() > until:
                raise LocalError(self._late())
        self.run.state = run_file.READY
        self._write()

    def watch(self, end_of_replay: Callable[[], object] | None = None) -> None:
        """Keep everything running until asked to end.

        `end_of_replay` blocks until the replay has arrived, which the run file then says.

        Raises:
            InputError: a stage says that what it was given is wrong.
            StackStopped: asked to end.
        """
        arriving = Background(end_of_replay) if end_of_replay else None
        while True:
            self._round()
            state = run_file.READY if self._all_ready() else run_file.RESTARTING
            if state != self.run.state:
                self.run.state = state
                self._write()
            if arriving and self.run.replay != run_file.DONE and arriving.done():
                self.run.replay = run_file.DONE
                self._write()

    def stop(self) -> None:
        """End everything, in order; what does not end in its time is killed."""
        self.run.state = run_file.STOPPING
        with suppress(LocalError):  # on a full disk the processes end all the same
            self._write()
        alive = [one for one in self._processes.values() if one.child]
        ordered = sorted(alive, key=lambda one: one.stage.end)
        for _, group in groupby(ordered, key=lambda one: one.stage.end):
            self._stop_together(list(group))

    def _stop_together(self, group: Sequence[_Process]) -> None:
        begun = time.monotonic()
        children = [one.child for one in group if one.child]
        grace = max(one.stage.grace_s for one in group)
        for child in children:
            child.terminate()
        while any(child.exit_code() is None for child in children):
            if time.monotonic() - begun > grace or self.hurry_asked():
                break
            time.sleep(POLL_S)
        for child in children:
            child.kill()

    def _round(self) -> None:
        if self.stop_asked():
            raise StackStopped
        ready = self._ready()
        for process in self._processes.values():
            self._look_at(process, ready)
        for work in self._work:
            _further(work, ready)
        self._rotate_logs()
        time.sleep(POLL_S)

    def _look_at(self, process: _Process, ready: set[str]) -> None:
        now = time.monotonic()
        if process.child is None:
            if now >= process.start_again_at and ready.issuperset(process.stage.needs):
                self._start(process)
            return
        code = process.child.exit_code()
        if code is not None:
            self._ended(process, process.child, code)
        elif not process.ready and self._answers(process, now):
            process.ready = True

    def _start(self, process: _Process) -> None:
        stage = process.stage
        try:
            child = Child(stage.command, self.settings.logs / f"{stage.name}.log")
        except OSError as error:
            raise LocalError(f"{stage.name} cannot be started: {error}") from error
        process.child = child
        process.started_at = time.monotonic()
        self.run.processes[stage.name] = Running(child.identity, stage.end, stage.grace_s)
        self._write()

    def _ended(self, process: _Process, child: Child, code: int) -> None:
        """A stage that dies is started again, as ECS would, unless it can never work."""
        now = time.monotonic()
        lived = now - process.started_at
        child.kill()  # whatever it started itself
        for name in process.stage.takes_along:
            other = self._processes[name].child
            if other:
                other.kill()
        process.crashes = 1 if lived > STEADY_S else process.crashes + 1
        starting = self.run.state == run_file.STARTING
        if code == BAD_INPUT and (starting or lived < STEADY_S):
            name = process.stage.name
            said = last_words(child.log).removeprefix(f"{name}: ")
            raise InputError(f"{name}: {said}")
        if starting and process.crashes >= FATAL_CRASHES:
            raise LocalError(self._died(process, child, code))
        backoff = min(FIRST_BACKOFF_S * 2 ** (process.crashes - 1), LONGEST_BACKOFF_S)
        process.child, process.ready = None, False
        process.start_again_at = now + backoff
        self.run.restarts[process.stage.name] += 1
        self._write()

    def _answers(self, process: _Process, now: float) -> bool:
        port = process.stage.port
        if port is None:
            return now - process.started_at > SETTLED_S
        private = process.stage.name in PRIVATE
        return answers(port, "127.0.0.1" if private else self.settings.address)

    def _ready(self) -> set[str]:
        stages = {name for name, process in self._processes.items() if process.ready}
        return stages | {work.provision.fact for work in self._work if work.ready}

    def _all_ready(self) -> bool:
        return len(self._ready()) == len(self._processes) + len(self._work)

    def _late(self) -> str:
        ready = self._ready()
        stages = [process.stage for process in self._processes.values() if not process.ready]
        late = [stage.name for stage in stages if ready.issuperset(stage.needs)]
        late += [work.provision.fact for work in self._work if work.thread and not work.ready]
        log = self.settings.logs / f"{late[0]}.log"
        return (
            f"{', '.join(late)} not ready within {START_TIMEOUT_S:.0f} s; the end of {log}: "
            f"{last_words(log)}"
        )

    @staticmethod
    def _died(process: _Process, child: Child, code: int) -> str:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return (
            f"{process.stage.name} ended with {how} {process.crashes} times; the end of "
            f"{child.log}: {last_words(child.log)}"
        )

    def _rotate_logs(self) -> None:
        if time.monotonic() - self._rotated_at > ROTATE_EVERY_S:
            self._rotated_at = time.monotonic()
            rotate(self.settings.logs)

    def _write(self) -> None:
        run_file.write(self.settings.data, self.run)


PRIVATE = {"s3"}


def _further(work: _Work, ready: set[str]) -> None:
    if work.ready or not ready.issuperset(work.provision.needs):
        return
    if work.thread is None:
        work.thread = Background(work.provision.work)
    work.ready = work.thread.done()
