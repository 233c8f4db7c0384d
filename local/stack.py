"""One local stack from the first check to the last process: the composition root of `up`.

StackSettings ─► checks ─► servers' files ─► Supervisor
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from container_worker import streams_file
from container_worker.exchanges import REGISTRY
from local import (
    data_folder,
    data_sources,
    dynamodb_server,
    kafka_server,
    leftovers,
    run_file,
    s3_server,
)
from local.data_sources import sources_of
from local.environment import forget_accounts, inherited
from local.exchanges.recordings import find_recordings, header_of
from local.exchanges.registry import replays
from local.ports import refuse_taken
from local.processes import Child, Command, Identity, last_words
from local.provisions import provisions
from local.replay_progress import EndOfReplay
from local.run_file import RunFile
from local.stack_exchanges import credentials
from local.stack_plan import ServerCommands, plan, urls
from local.stack_settings import LIVE, REPLAY, StackSettings, choose_ports, public_ports
from local.supervisor import POLL_S, StackStopped, Supervisor
from marketdata.errors import InputError, LocalError

# A terminal and a parent may send the same one twice.
SAME_SIGNAL_S = 0.3
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Counts the signals that ask for the end; the second one asks for it at once."""

    def __init__(self) -> None:
        self.count = 0
        self._last_at = 0.0

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Count while the block lasts, then put the handlers of before back."""
        before = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        now = time.monotonic()
        if now - self._last_at > SAME_SIGNAL_S:
            self.count += 1
        self._last_at = now

    def stop_asked(self) -> bool:
        """Whether to end."""
        return self.count > 0

    def hurry_asked(self) -> bool:
        """Whether to end without waiting for anything."""
        return self.count > 1


def already_up(data: Path) -> RunFile | None:
    """The stack that runs on this data folder and has been ready, or None."""
    run = run_file.read(data)
    up = {run_file.READY, run_file.RESTARTING}
    if run and run.state in up and run.supervisor.alive():
        return run
    return None


@dataclass(frozen=True, slots=True)
class _Start:
    """What one start has chosen and where it reports."""

    settings: StackSettings
    ports: Mapping[str, int]
    signals: Signals
    tell: Callable[[str], None]
    announce: Callable[[RunFile], None]


def run_stack(
    settings: StackSettings,
    tell: Callable[[str], None],
    announce: Callable[[RunFile], None],
) -> None:
    """Start a stack, keep it running until a signal, end it; returns when nothing is left.

    `tell` gets a line for each step of the start, `announce` the run file when all is ready.

    Raises:
        InputError: a path that is given does not exist, or a stage refuses what it was given.
        LocalError: a port, the folder, the disk or a process is in the way.
    """
    forget_accounts()
    settings, sources = _checked(settings)
    data_folder.prepare(settings.data)
    signals = Signals()
    with signals.caught(), run_file.ownership(settings.data):
        for name in leftovers.end_leftovers(settings.data):
            tell(f"ended {name}, left behind by an earlier start")
        data_sources.claim(settings.data, sources)
        ports = choose_ports(settings)
        refuse_taken(public_ports(settings, ports), settings.host)
        with contextlib.suppress(StackStopped):
            servers = _server_commands(settings, ports, signals)
            _run(_Start(settings, ports, signals, tell, announce), servers)


def _run(start: _Start, servers: ServerCommands) -> None:
    settings, ports = start.settings, start.ports
    environment = inherited()
    run = RunFile(
        supervisor=Identity.of(os.getpid()),
        data=str(settings.data),
        mode=settings.mode,
        urls=urls(settings, ports, environment),
        replay="running" if settings.mode == REPLAY and settings.once else None,
    )
    supervisor = Supervisor(
        settings=settings,
        stages=plan(settings, ports, servers, environment, _credentials(settings, environment)),
        provisions=provisions(settings, ports),
        run=run,
        stop_asked=start.signals.stop_asked,
        hurry_asked=start.signals.hurry_asked,
    )
    run_file.write(settings.data, run)
    ended = threading.Event()
    with _watcher(settings.data):
        try:
            supervisor.start(start.tell)
            start.announce(run)
            supervisor.watch(_end_of_replay(start, run, ended))
        finally:
            ended.set()
            start.tell("stopping")
            supervisor.stop()
            run_file.remove(settings.data)


def _credentials(settings: StackSettings, environment: Mapping[str, str]) -> dict[str, str]:
    live = settings.mode == LIVE
    return credentials(settings.exchanges, environment, live=live, now_s=int(time.time()))


def _end_of_replay(
    start: _Start, run: RunFile, ended: threading.Event
) -> Callable[[], object] | None:
    if run.replay is None:
        return None
    at, ports = start.settings.address, start.ports
    end = EndOfReplay(f"http://{at}:{ports['exchanges']}", f"{at}:{ports['kafka']}")
    return lambda: end.wait(ended)


def _checked(settings: StackSettings) -> tuple[StackSettings, Mapping[str, str]]:
    """The settings, with the exchanges that the recordings are of, and where data come from."""
    given = [*settings.recordings, *([settings.streams] if settings.streams else [])]
    for path in given:
        if not path.exists():
            raise InputError(f"{path} does not exist")
    if settings.streams:
        streams_file.read(settings.streams)
    if settings.mode != REPLAY:
        return settings, sources_of(settings, REGISTRY, None)
    found = find_recordings(settings.recordings, replays)
    headers = [header_of(path) for path in found.paths("stockbit")]
    wires = {header.wire for header in headers if header and header.wire}
    if len(wires) > 1:
        raise InputError("recordings of Stockbit's two wire formats cannot be one tape")
    replayed = tuple(found.venues)
    settings = replace(settings, replayed=replayed, stockbit_wire="".join(wires))
    return settings, sources_of(settings, replayed, found)


def _server_commands(
    settings: StackSettings, ports: Mapping[str, int], signals: Signals
) -> ServerCommands:
    """Write the servers' settings and their commands; format Kafka's folder the first time."""
    data = settings.data
    kafka = kafka_server.write_settings(
        data / "kafka",
        host=settings.host,
        port=ports["kafka"],
        controller_port=ports["kafka_controller"],
    )
    s3 = s3_server.write_settings(data / "run", data / "s3", port=ports["s3_private"])
    s3_server.remove_torn_writes(data / "s3")
    commands = ServerCommands(
        kafka=kafka_server.start_command(kafka),
        dynamodb=dynamodb_server.start_command(
            data / "dynamodb", host=settings.host, port=ports["dynamodb"]
        ),
        s3=s3_server.start_command(s3),
    )
    if not kafka_server.is_formatted(data / "kafka"):
        _finish(Command("kafka", kafka_server.format_command(kafka)), settings, signals)
    return commands


def _finish(command: Command, settings: StackSettings, signals: Signals) -> None:
    child = Child(command, settings.logs / f"{command.name}.log")
    try:
        while child.exit_code() is None:
            if signals.stop_asked():
                raise StackStopped
            time.sleep(POLL_S)
    finally:
        child.kill()
    if child.exit_code():
        raise LocalError(f"{command.name} could not be set up: {last_words(child.log)}")


@contextlib.contextmanager
def _watcher(data: Path) -> Iterator[None]:
    """A process that cleans up if this one is killed; it sees its standard input close."""
    watcher = subprocess.Popen(
        [sys.executable, "-m", "local.leftovers", str(data)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()
        if watcher.stdin:
            watcher.stdin.close()
