"""Several exchanges in one process: which are served, what each is told, what all cost."""

import gzip
import json
import socket
import subprocess
import sys
import urllib.request

import psutil
import pytest

from local.exchanges.__main__ import main
from local.exchanges.chosen import choose
from local.exchanges.options import parse_options
from local.exchanges.port_table import PORT_NAMES, PORTS, served_names
from marketdata.errors import InputError, SettingsError

FREE = [part for name in PORT_NAMES for part in (f"--{name.replace('_', '-')}-port", "0")]


def chosen(*arguments):
    made = choose(parse_options([str(each) for each in arguments]), None, lambda *_, **__: None)
    return {each.simulator.name: each.options for each in made}


@pytest.fixture
def together():
    """`together(*arguments)`: the process and its ready line."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "local.exchanges", *map(str, arguments)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(process)
        for line in process.stderr:
            event = json.loads(line)
            if event["event"] == "ready":
                return process, event
        raise AssertionError(f"exited with {process.wait()} before it was ready")

    yield start
    for process in started:
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
        process.stderr.close()


def asked(port, path="/_control/status"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def test_one_process_serves_them_all_and_its_overview_tells_them(together):
    process, ready = together(*FREE, "--overview-port", "0", "--seed", "7")
    overview = asked(ready["overview_port"], "/exchanges")
    assert list(overview["exchanges"]) == served_names()
    assert overview["done"] is False
    for name, told in overview["exchanges"].items():
        for port, number in told["ports"].items():
            assert ready[f"{name}_{port}_port"] == number
        status = asked(list(told["ports"].values())[-1])
        assert status["tickers"] == told["tickers"]
        assert status["mode"] == told["mode"] == "simulate"
    assert ready["tickers"] == sum(len(e["tickers"]) for e in overview["exchanges"].values())
    idle = psutil.Process(process.pid)
    before = sum(idle.cpu_times()[:2])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    assert sum(idle.cpu_times()[:2]) - before < 0.3 * 2


def test_the_exchanges_are_those_named_or_those_with_a_port_or_all():
    assert list(chosen("--exchanges", "coinbase,binance")) == ["coinbase", "binance"]
    assert list(chosen("--coinbase-rest-port", "0")) == ["coinbase"]
    assert list(chosen()) == served_names()


def test_ports_and_tickers_are_each_exchanges_own():
    made = chosen("--coinbase-ws-port", "5", "--binance-rest-port", "6", "--tickers", "BTCUSDT")
    assert made["coinbase"].ports == {"ws": 5, "rest": PORTS["coinbase"]["rest"]}
    assert made["binance"].ports == {"ws": PORTS["binance"]["ws"], "rest": 6}
    assert made["binance"].tickers == ("BTCUSDT",)
    assert made["coinbase"].tickers == ("BTC-USD", "ETH-USD")
    other = chosen("--coinbase-tickers", "ETH-USD", "--exchanges", "coinbase")
    assert other["coinbase"].tickers == ("ETH-USD",)


def test_settings_reach_their_exchange_with_the_defaults_of_the_rest():
    made = chosen(
        "--set", "binance.pong_seconds=1", "--ping-seconds", "2", "--exchanges", "binance"
    )
    options = made["binance"]
    assert options.seconds("pong_seconds") == 1.0
    assert options.seconds("ping_seconds") == 2.0
    assert options.count("messages_per_second") == 5
    never = chosen("--set", "binance.life_seconds=never", "--exchanges", "binance")
    assert never["binance"].seconds("life_seconds") == float("inf")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--exchanges", "kraken"], "'kraken' is no exchange: choose from binance, coinbase"),
        (["--exchanges", ","], "no exchange is named"),
        (["--set", "binance.nope=1"], "binance has no setting nope: it has ping_seconds"),
        (["--set", "nope=1"], "'nope=1' is not EXCHANGE.NAME=VALUE"),
        (["--set", "kraken.x=1"], "'kraken.x=1' is not EXCHANGE.NAME=VALUE"),
        (["--stellar-ws-port", "1"], "--stellar-ws-port"),
    ],
)
def test_a_wrong_choice_is_one_sentence(arguments, words):
    with pytest.raises(SettingsError) as refused:
        chosen(*arguments)
    assert words in str(refused.value)


@pytest.mark.parametrize("value", ["x", "-1", "nan"])
def test_a_setting_that_is_no_number_of_seconds_is_one_sentence(value):
    options = chosen("--set", f"binance.ping_seconds={value}", "--exchanges", "binance")[
        "binance"
    ]
    with pytest.raises(SettingsError, match="setting ping_seconds: "):
        options.seconds("ping_seconds")


@pytest.mark.parametrize("value", ["x", "0", "-1", "1.5"])
def test_a_setting_that_is_no_count_is_one_sentence(value):
    given = f"binance.messages_per_second={value}"
    options = chosen("--set", given, "--exchanges", "binance")["binance"]
    with pytest.raises(SettingsError, match="setting messages_per_second: "):
        options.count("messages_per_second")


def recording(path, host, body):
    path.write_bytes(
        gzip.compress(f"wss://{host}/x <-> 1618677372.1\n1618677372.2: {body}\n".encode())
    )
    return path


def test_recordings_go_to_the_exchanges_that_they_are_of(tmp_path):
    frame = '{"stream":"abcusd@trade","data":{}}'
    binance = recording(tmp_path / "a.gz", "stream.binance.com", frame)
    made = chosen("--replay", binance, "--coinbase-ws-port", "0")
    assert {name: each.recordings for name, each in made.items()} == {"binance": (binance,)}
    with pytest.raises(InputError, match="--replay has no recording of stellar"):
        chosen("--replay", binance, "--exchanges", "stellar")


def test_a_recording_of_an_exchange_that_is_not_served_is_refused_by_name(tmp_path):
    path = recording(tmp_path / "k.gz", "ws.kraken.com", "{}")
    with pytest.raises(InputError, match=r"k\.gz is a recording of ws\.kraken\.com, which"):
        chosen("--replay", path)


def test_a_taken_port_of_any_exchange_ends_all_with_one_sentence(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([*FREE, "--coinbase-rest-port", str(port)]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in error
