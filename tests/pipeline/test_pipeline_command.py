"""`tapedeck pipeline FILE.yaml`: the document's file runs, with a real node's wire protocol."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from local.pipeline_file import read
from local.pipeline_plan import PipelineStack, stack_settings
from local.pipeline_stack import check
from local.ports import answers, free_ports
from marketdata.errors import InputError, LocalError

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
HEADER = "Bearer sesame"
REGISTER = {
    "type": "register",
    "filters": {
        "types": ["contract_event"],
        "account_ids": [],
        "asset_codes": ["USDC"],
        "min_amount": "",
    },
}


@pytest.fixture(scope="module")
def node():
    """The URL of a simulated Stellar RPC node, five times as fast as the chain."""
    command = [sys.executable, "-m", "local.exchanges", "--stellar-rpc-port", "0"]
    process = subprocess.Popen(
        [*command, "--exchanges", "stellar", "--speed", "5"], stderr=subprocess.PIPE, text=True
    )
    with process.stderr:
        for line in process.stderr:
            ready = json.loads(line)
            if ready["event"] == "ready":
                break
        yield f"http://127.0.0.1:{ready['stellar_rpc_port']}"
        process.kill()
    process.wait()


@dataclass
class Command:
    """A pipeline that a person started, and what it was given."""

    process: subprocess.Popen
    data: Path
    port: int
    secrets: tuple

    def status(self):
        done = tapedeck("status", "--json", "--data", str(self.data))
        return json.loads(done.stdout)


def tapedeck(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tapedeck", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def adapted(text, target, port):
    """The printed file for this machine, its filter for events of any number of topics."""
    return (
        text.replace('["*"]', '["**"]')
        .replace('"8080"', f'"{port}"')
        .replace('auth_header: ""', f'auth_header: "{HEADER}"')
        .replace('host: "localhost"', f'host: "127.0.0.1"\n          port: {target.port}')
        .replace('"stellar_events"', f'"{target.database}"')
        .replace('password: "password"', f'password: "{target.password}"')
    )


@pytest.fixture
def command(pipeline_text, target, node, tmp_path, wait_until):
    """The document's pipeline, up."""
    [port] = free_ports(1)
    file = tmp_path / "stellar.yaml"
    file.write_text(adapted(pipeline_text, target, port))
    data, log = tmp_path / "data", tmp_path / "up.log"
    arguments = ["pipeline", str(file), "--rpc-url", f"{node}/?key=sesame", "--data", str(data)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tapedeck", *arguments],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        up = lambda: " is up." in log.read_text() or process.poll() is not None  # noqa: E731
        wait_until(up, 90, "the pipeline's start")
        assert process.poll() is None, log.read_text()
        yield Command(process, data, port, (target.password, "sesame"))
        assert not any(secret in log.read_text() for secret in (target.password, "sesame"))
    finally:
        process.terminate()
        process.wait(60)


def usdc_ids(node, first, last):
    """What the chain has, by the node's own account."""
    with urllib.request.urlopen(f"{node}/_control/events?from={first}&to={last}") as answer:
        events = json.load(answer)["events"]
    return sorted(one["id"] for one in events if one["contractId"] == USDC)


@pytest.fixture
def rows(postgres, target):
    """`rows()`: id and ledger of every event in the table."""
    text = "SELECT id, ledger FROM contract_events ORDER BY id"
    return lambda: postgres.query(text, database=target.database)


def test_the_documents_file_feeds_clients_and_the_table(
    command, protocol_schema, rows, node, wait_until
):
    client = protocol_schema.connect(f"ws://127.0.0.1:{command.port}/ws", timeout=30)
    assert json.loads(client.recv())["type"] == "welcome"
    client.send(json.dumps(REGISTER))
    assert json.loads(client.recv())["type"] == "registered"
    wait_until(rows, 30, "rows")
    pushed = json.loads(client.recv())
    client.close()
    assert (pushed["type"], pushed["contract_id"]) == ("contract_event", USDC)
    wait_until(lambda: pushed["id"] in dict(rows()), 30, "the pushed event's row")
    found = rows()
    first, last = found[0][1], found[-1][1] - 1
    ids = [id_ for id_, ledger in found if ledger <= last]
    assert ids == usdc_ids(node, first, last)
    _no_secret_is_shown(command)
    _ends_with_ctrl_c(command)


def _no_secret_is_shown(command):
    status = command.status()
    assert status["ready"]
    assert status["mode"] == "pipeline"
    lines = [psutil.Process(pid).cmdline() for pid in status["pids"].values()]
    kept = [path for folder in ("run", "logs") for path in (command.data / folder).iterdir()]
    shown = [str(status), str(lines)]
    shown += [path.read_text(errors="replace") for path in kept if path.is_file()]
    for secret in command.secrets:
        assert not any(secret in text for text in shown)


def _ends_with_ctrl_c(command):
    pids = command.status()["pids"].values()
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(60) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not answers(command.port)


@pytest.fixture
def stack_of(tmp_path):
    """`stack_of(text)`: what the command starts for a file with that text."""

    def make(text):
        file = tmp_path / "stellar.yaml"
        file.write_text(text)
        [pipeline] = read(file)
        return PipelineStack(pipeline, stack_settings(tmp_path / "data", "127.0.0.1"), file)

    return make


def test_a_taken_port_is_named_with_the_line_that_says_it(pipeline_text, target, stack_of):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = stack_of(adapted(pipeline_text, target, port))
        with pytest.raises(LocalError) as caught:
            check(stack, {})
    line = 1 + pipeline_text[: pipeline_text.index("port:")].count("\n")
    wanted = f"port {port} of SaveToWebSocket (stellar.yaml, line {line}) is in use"
    assert wanted in str(caught.value)


def test_a_database_in_the_way_is_said_with_what_to_do(pipeline_text, target, stack_of):
    [port] = free_ports(1)
    refused = stack_of(adapted(pipeline_text, replace(target, password="wrong sesame"), port))
    with pytest.raises(InputError, match=r"authentication failed.*correct SaveToPostgreSQL"):
        check(refused, {})
    away = stack_of(adapted(pipeline_text, replace(target, port=free_ports(1)[0]), port))
    with pytest.raises(LocalError, match=r"does not answer: .*: start the database server"):
        check(away, {})


def test_a_faulty_file_ends_the_command_with_2_and_a_line_for_each_fault(
    pipeline_text, tmp_path
):
    file = tmp_path / "stellar.yaml"
    faulty = pipeline_text.replace("poll_interval", "poll_intervall").replace("json", "xml")
    file.write_text(faulty)
    done = tapedeck("pipeline", str(file), "--data", str(tmp_path / "data"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert "line 9: config of source of the pipeline" in done.stderr
    assert not (tmp_path / "data").exists()
