"""`tapedeck watch` against a real gateway: prices in, prices out; a refusal is a sentence."""

import contextlib
import importlib.util
import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import boto3
import pytest
import requests

from local import run_file
from local.ports import answers, free_ports
from local.processes import Identity

pytestmark = pytest.mark.services


def _load(name):
    path = Path(__file__).parents[1] / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Gateway:
    """A gateway process that can be ended and started again on the same ports."""

    def __init__(self, variables, folder, wait_until):
        self.api, self.port, self._candles = free_ports(3)
        self.url = f"ws://127.0.0.1:{self.port}/stream"
        self.api_url = f"http://127.0.0.1:{self.api}"
        self._wait_until = wait_until
        self._log = folder / "gateway.log"
        self._environment = os.environ | variables
        for stage in ("stream", "ws", "candles"):
            url = f"{self.api_url}/_management/{stage}"
            self._environment[f"CALLBACK_URL_{stage.upper()}"] = url
        self._environment["AWS_ENDPOINT_URL_LAMBDA"] = f"{self.api_url}/_lambda"
        self.start()

    def start(self):
        command = [sys.executable, "-m", "local.gateway", "--host", "127.0.0.1"]
        command += ["--api-port", str(self.api), "--stream-port", str(self.port)]
        command += ["--candles-port", str(self._candles)]
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=self._environment, stderr=output, stdout=output
            )
        self._wait_until(
            lambda: answers(self.api) and answers(self.port), 20, "the gateway's start"
        )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def connections(self):
        listed = requests.get(f"{self.api_url}/_control/connections", timeout=10).json()
        return [one["id"] for one in listed["connections"]]

    def price(self, symbol, digits):
        """Posts a price to every connection, as push does."""
        client = boto3.client(
            "apigatewaymanagementapi", endpoint_url=f"{self.api_url}/_management/stream"
        )
        text = (
            f'{{"type":"price_update","symbol":"{symbol}","price":{digits},"volume":null,'
            '"timestamp":"2025-10-10T14:30:00.000Z","source":"binance"}'
        )
        for connection in self.connections():
            # One that leaves between the two is none to send to.
            with contextlib.suppress(client.exceptions.GoneException):
                client.post_to_connection(ConnectionId=connection, Data=text.encode())


@pytest.fixture(scope="module")
def gateway(dynamodb, tmp_path_factory, wait_until):
    variables = _load("function_tables").create(dynamodb)
    one = Gateway(variables, tmp_path_factory.mktemp("watch"), wait_until)
    yield one
    one.kill()


@pytest.fixture
def running_stack(gateway, tmp_path):
    """A data folder whose run file names the gateway; this test is its supervisor."""
    me = Identity.of(os.getpid())
    (tmp_path / "run").mkdir()
    urls = {"stream": gateway.url, "api": gateway.api_url}
    run = run_file.RunFile(me, str(tmp_path), "simulate", urls, state=run_file.READY)
    run.processes["gateway"] = run_file.Running(Identity.of(gateway.process.pid))
    run.processes["kafka"] = run_file.Running(me)  # a stack is more than its gateway
    run_file.write(tmp_path, run)
    return tmp_path


@pytest.fixture
def watch():
    """`watch(*arguments)`: a started `tapedeck watch`; all are gone afterwards."""
    started = []

    def start(*arguments, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        process = subprocess.Popen(
            [sys.executable, "-m", "tapedeck", "watch", *map(str, arguments)], **options
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_lines(process):
    """Collects the lines of stdout as they come."""
    lines = []
    thread = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    thread.start()
    return lines


class Feed:
    """Posts rising prices until `lines` holds as many as wanted."""

    def __init__(self, gateway, wait_until):
        self._gateway = gateway
        self.wait_until = wait_until
        self._numbers = itertools.count(1)

    def until(self, done, symbol="BTC/USDT"):
        def one_more():
            self._gateway.price(symbol, f"{next(self._numbers)}.50")
            return done()

        self.wait_until(one_more, 20, "the prices")


@pytest.fixture
def feed(gateway, wait_until):
    return Feed(gateway, wait_until)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_prices_are_lines_and_ctrl_c_unsubscribes_and_ends_quietly(
    gateway, running_stack, watch, feed, number
):
    process = watch("BTC/USDT", "--data", running_stack)
    lines = read_lines(process)
    feed.until(lambda: len(lines) >= 3)
    process.send_signal(number)
    assert process.wait(10) == 0
    assert re.fullmatch(r"2025-10-10T14:30:00\.000Z BTC/USDT \d+\.50 binance\n", lines[0])
    feed.wait_until(lambda: not gateway.connections(), what="the end of the connection")
    assert process.stderr.read() == f"tapedeck: connected to {gateway.url}\n"


def test_json_lines_are_the_servers_own_messages(gateway, watch, feed):
    process = watch("BTC/USDT", "--url", gateway.url, "--json", "--seconds", "3")
    lines = read_lines(process)
    feed.until(lambda: len(lines) >= 2)
    assert process.wait(20) == 0
    assert json.loads(lines[0]) == {
        "type": "price_update",
        "symbol": "BTC/USDT",
        "price": pytest.approx(float(lines[0].split('"price":')[1].split(",")[0])),
        "volume": None,
        "timestamp": "2025-10-10T14:30:00.000Z",
        "source": "binance",
    }
    assert '.50,"volume"' in lines[0]


def test_without_symbols_all_that_is_captured_is_watched(running_stack, watch, feed):
    process = watch("--data", running_stack)
    lines = read_lines(process)
    feed.until(lambda: any("C3/USDT" in line for line in lines), "C3/USDT")


def test_a_broken_connection_is_made_again(gateway, running_stack, watch, feed):
    process = watch("BTC/USDT", "--data", running_stack)
    lines = read_lines(process)
    feed.until(lambda: lines)
    gateway.kill()
    gateway.start()
    run = run_file.read(running_stack)
    run.processes["gateway"] = run_file.Running(Identity.of(gateway.process.pid))
    run_file.write(running_stack, run)
    before = len(lines)
    feed.until(lambda: len(lines) > before)
    process.terminate()
    assert process.wait(10) == 0
    assert "connection lost" in process.stderr.read()


def test_a_terminal_shows_a_table_that_changes_in_place(running_stack, watch, feed):
    main, side = pty.openpty()
    process = watch(
        "BTC/USDT",
        "ETH/USDT",
        *("--data", running_stack),
        stdout=side,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
    )
    os.close(side)
    chunks = []

    def read():
        try:
            while chunk := os.read(main, 65536):
                chunks.append(chunk)
        except OSError:
            pass  # Linux says EIO when the other side is closed

    reader = threading.Thread(target=read)
    reader.start()
    feed.until(lambda: "▲".encode() in b"".join(chunks))
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    reader.join(10)
    os.close(main)
    shown = b"".join(chunks).decode()
    for expected in ("BTC/USDT", "ETH/USDT", "binance", ".50", "Ctrl-C ends", "connected to"):
        assert expected in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--data", "no-such-folder", "BTC/USDT"], 1, "`make demo`"),
        (["--url", "http://x", "BTC/USDT"], 2, "does not begin with ws://"),
        (["--url", "{url}"], 2, "Name the symbols"),
        (["--url", "ws://127.0.0.1:1/stream", "BTC/USDT"], 1, "no connection to ws://127"),
        (["--url", "{url}", "--key", "wrong", "BTC/USDT"], 2, "refused the API key (401)"),
        (["--url", "{url}", "NO/SUCH", "BTC/USDT"], 2, "NO/SUCH"),
        (["--url", "{url}x", "BTC/USDT"], 1, "is it the address of /stream?"),
        (["--url", "{url}", *(f"C{n}USDT" for n in range(11))], 2, "at most 10"),
        (
            ["--url", "{url}", "--seconds", "1", "C9USDT"],
            1,
            "no price of C9USDT came within 1 s",
        ),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    gateway, watch, arguments, code, said
):
    process = watch(*(argument.format(url=gateway.url) for argument in arguments))
    output, errors = process.communicate(timeout=30)
    lines = [line for line in errors.splitlines() if "connected to" not in line]
    assert process.returncode == code
    assert len(lines) == 1
    assert said in lines[0]
    assert output == ""


def test_a_reader_that_has_enough_ends_it_quietly(running_stack, watch, feed):
    process = watch("BTC/USDT", "--data", running_stack)
    first = []

    def read_one():
        first.append(process.stdout.readline())
        process.stdout.close()

    reader = threading.Thread(target=read_one)
    reader.start()
    feed.until(lambda: process.poll() is not None)
    reader.join()
    assert process.returncode == 0
    assert "Traceback" not in process.stderr.read()
    process.stdout = None
