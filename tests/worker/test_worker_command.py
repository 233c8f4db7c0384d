"""The worker's command line and `all`: bad input, signals, restarts."""

import logging
import os
import signal
import subprocess
import sys
import threading

import pytest

from container_worker import __main__ as worker
from container_worker import all_stages
from container_worker.all_stages import Stage
from marketdata.errors import BrokerError, SettingsError

ALL = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "ARCHIVE_BUCKET": "b",
    "STREAMS": "streams: []",
    "CONNECTIONS_TABLE": "c",
    "RING_TABLE": "r",
    "KEYS_TABLE": "k",
    "CALLBACK_URL_STREAM": "https://h/stream",
}


@pytest.fixture(autouse=True)
def restored_logging():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def run(*arguments, **variables):
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "container_worker", *arguments],
        env=clean | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "STAGE"),
        (["captur"], "'captur'"),
        (["capture", "--stream", "x"], "--stream"),
        (["derive", "--streams", "x"], "--streams"),
        (["archive", "extra"], "extra"),
    ],
)
def test_what_is_unknown_is_named_in_one_sentence_and_exits_with_2(arguments, named):
    done = run(*arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_all_faults_of_the_variables_are_lines_on_stderr_and_exit_with_2():
    done = run("capture", QUEUEID="x", KAFKA_BOOTSTRAP_SERVER="h:1", TYPE="depth")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert all(line.startswith("capture: ") for line in lines)
    for name in ("QUEUEID", "KAFKA_BOOTSTRAP_SERVER ", "TYPE", "SYMBOL", "KAFKA_TOPIC"):
        assert any(name in line for line in lines)


def test_all_names_the_faults_of_every_stage_once():
    with pytest.raises(SettingsError) as raised:
        all_stages.run(None, {}, threading.Event())
    assert len(raised.value.faults) == 7


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingsError(["a is bad", "b is bad"]), 2, "derive: a is bad\nderive: b is bad\n"),
        (BrokerError("Kafka refused"), 1, "derive: Kafka refused\n"),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_code(monkeypatch, capsys, error, code, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(worker, "run", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert worker.main(["derive"]) == code
    assert capsys.readouterr().err == said


def test_a_bug_is_one_json_line_with_its_traceback(monkeypatch, capsys):
    def fail(*_):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(worker, "run", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert worker.main(["derive"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert '"event": "worker.crashed"' in line
    assert "ZeroDivisionError: boom" in line


class Script(Stage):
    """A stage whose process is a given Python program."""

    program = ""

    def __init__(self, arguments):
        super().__init__(arguments)
        self._command = [sys.executable, "-c", self.program.format(name=self.name)]


def run_all(program, stop, monkeypatch, pause_s=0.01):
    monkeypatch.setattr(all_stages, "FIRST_PAUSE_S", pause_s)
    stage = type("Scripted", (Script,), {"program": program})
    return all_stages.run(None, ALL, stop, stage)


def test_a_stage_that_dies_is_started_again_and_sigterm_reaches_every_child(
    monkeypatch, tmp_path, wait_until
):
    program = f"""
import signal, sys, pathlib
marks = pathlib.Path({str(tmp_path)!r})
signal.signal(signal.SIGTERM, lambda *_: ((marks / "{{name}}.ended").touch(), sys.exit(0)))
first = marks / "{{name}}.first"
if not first.exists():
    first.touch()
    sys.exit(1)
(marks / "{{name}}.second").touch()
signal.pause()
"""
    stop, codes = threading.Event(), []
    thread = threading.Thread(target=lambda: codes.append(run_all(program, stop, monkeypatch)))
    thread.start()
    wait_until(lambda: len(list(tmp_path.glob("*.second"))) == 4, 30, "four restarts")
    stop.set()
    thread.join(30)
    assert codes == [0]
    assert len(list(tmp_path.glob("*.ended"))) == 4


def test_a_stage_with_wrong_input_ends_all_with_2(monkeypatch):
    program = "import sys, signal; sys.exit(2) if '{name}' == 'archive' else signal.pause()"
    assert run_all(program, threading.Event(), monkeypatch) == 2


def test_a_stage_that_does_not_drain_is_killed_and_the_exit_code_says_so(
    monkeypatch, tmp_path, wait_until
):
    program = f"""
import signal, pathlib
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({str(tmp_path)!r}, "{{name}}").touch()
while True: signal.pause()
"""
    monkeypatch.setattr(all_stages, "DRAIN_S", 0.3)
    stop, codes = threading.Event(), []
    thread = threading.Thread(target=lambda: codes.append(run_all(program, stop, monkeypatch)))
    thread.start()
    wait_until(lambda: len(list(tmp_path.iterdir())) == 4, 30, "four children")
    stop.set()
    thread.join(30)
    assert codes == [1]


def test_the_pause_before_a_restart_grows_to_its_cap(monkeypatch):
    stage = Script(["derive"])
    stage._command = [sys.executable, "-c", ""]
    now_s, pauses, ended_s = 0.0, [], 0.0
    while len(pauses) < 8:
        if stage.keep_running(now_s) is not None:
            ended_s = now_s
        if stage._process is not None:
            pauses.append(now_s - ended_s)
            stage._process.wait()
        now_s += 0.5
    assert pauses[1:] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
