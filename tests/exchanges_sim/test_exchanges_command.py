"""`python -m local.exchanges`: its options, its errors, its ports, TLS, its import time."""

import json
import socket
import ssl
import subprocess
import sys

import pytest
import trustme
import websocket

from local.exchanges.__main__ import main


def run(*arguments):
    """A command that must fail by itself."""
    command = [sys.executable, "-m", "local.exchanges", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def refused(capsys):
    """`refused(*arguments)`: the one sentence of a command that must end with 2."""

    def sentence(*arguments):
        ports = ("--binance-ws-port", "0", "--binance-rest-port", "0")
        assert main([*ports, *map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if not line.startswith("{")]
        assert (out, len(lines)) == ("", 1), err
        return lines[0]

    return sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nope"], "--nope"),
        (["--see", "1"], "--see"),
        (["--seed", "x"], "--seed"),
        (["--speed", "0"], "'0' is neither a number above 0 nor max"),
        (["--speed", "fast"], "'fast' is neither"),
        (["--speed", "nan"], "'nan' is neither"),
        (["--binance-ws-port", "70000"], "'70000' is not a port"),
        (["--binance-rest-port", "http"], "'http' is not a port"),
        (["--tickers", ","], "--tickers"),
        (["--tickers", "btcusdt"], "'btcusdt' cannot be simulated"),
        (["--more-tickers", "5000"], "0 to 2000"),
        (["--messages-per-second", "0"], "--messages-per-second"),
        (["--ping-seconds", "-1"], "-1"),
        (["--once"], "--once and --retime go with --replay"),
        (["--tls-cert", "a.pem"], "given together"),
        (["--tls-folder", "/proc/none"], "--tls-folder /proc/none"),
        (["--tls-cert", "a.pem", "--tls-key", "b.pem"], "--tls-cert a.pem"),
        (["--replay"], "--replay"),
        (["--replay", "/nowhere/tape.gz"], "/nowhere/tape.gz cannot be read: No such file"),
    ],
)
def test_bad_options_are_one_sentence(refused, arguments, words):
    assert words in refused(*arguments)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a recording: its first line"),
        (b"hello\n", "is not a recording: its first line"),
        (b"\x1f\x8b broken", "cannot be read"),
        (b"1723161590000000000 {}\n", "line 1 is neither a message of a combined stream"),
        (b'1723161590000000000 {"stream":"a@trade","data":{}}\nrubbish\n', "line 2 has none"),
        (b'1723161590000000000 {"stream":"a@trade","data"\n', "line 1 is no message"),
        (b"wss://ws.example.com/x <-> 1618677372.1\n", "is a recording of ws.example.com"),
        (b"wss://stream.binance.com:9443/stream <-> 1618677372.1\n", "no frame of Binance"),
    ],
)
def test_what_is_no_recording_is_one_sentence(refused, tmp_path, content, words):
    path = tmp_path / "tape"
    path.write_bytes(content)
    sentence = refused("--replay", path)
    assert words in sentence
    assert str(path) in sentence


def test_a_folder_without_recordings_is_one_sentence(refused, tmp_path):
    (tmp_path / "LICENSE").write_text("none")
    assert f"no recording in {tmp_path} can be replayed" in refused("--replay", tmp_path)


def test_two_venues_are_no_tape(refused, tmp_path):
    for name, host in (("a", "stream.binance.com"), ("b", "stream.binance.us")):
        frame = '1618677372.2: {"stream":"abcusd@trade","data":{}}'
        (tmp_path / name).write_text(f"wss://{host}:9443/stream <-> 1618677372.1\n{frame}\n")
    assert "a (binance), b (binance.us)" in refused("--replay", tmp_path)


def test_the_command_itself_ends_with_2_and_no_traceback():
    done = run("--nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "unrecognized arguments: --nope; see --help\n"


def test_help_names_every_option():
    done = run("--help")
    assert done.returncode == 0
    assert {"--replay", "--once", "--tls-cert", "--seed"} <= set(done.stdout.split()) | {
        word.strip("[]") for word in done.stdout.split()
    }


@pytest.mark.parametrize("option", ["--binance-ws-port", "--binance-rest-port"])
def test_a_taken_port_is_one_sentence_and_exit_1(option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = {"--binance-ws-port", "--binance-rest-port"} - {option}
        done = run(option, port, *other, "0")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"127.0.0.1:{port}" in done.stderr


def test_both_ports_speak_tls_with_a_certificate(start_exchange, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    client = ssl.create_default_context()
    authority.configure_trust(client)
    files = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    exchange = start_exchange(*files, tls=client)
    secure = exchange.connect("/ws/btcusdt@depth@100ms")
    assert json.loads(secure.recv())["s"] == "BTCUSDT"
    assert exchange.depth("BTCUSDT", 5)["bids"]
    exchange.fault(kind="cut")
    with pytest.raises((OSError, websocket.WebSocketException)):
        list(iter(secure.recv, ""))


def test_a_self_made_certificate_is_trusted_by_its_authority_alone(start_exchange, tmp_path):
    client = ssl.create_default_context()
    exchange = start_exchange("--tls-folder", tmp_path / "tls", tls=client)
    with pytest.raises(ssl.SSLCertVerificationError):
        exchange.connect("/ws/btcusdt@trade")
    client.load_verify_locations(tmp_path / "tls" / "authority.pem")
    secure = exchange.connect("/ws/btcusdt@depth@100ms")
    assert json.loads(secure.recv())["s"] == "BTCUSDT"
    assert exchange.depth("BTCUSDT", 5)["bids"]
    assert exchange.log[0]["authority"] == str(tmp_path / "tls" / "authority.pem")


def test_a_signal_ends_it_while_clients_are_connected(start_exchange):
    exchange = start_exchange()
    exchange.connect("/ws/btcusdt@trade")
    exchange.process.terminate()
    assert exchange.process.wait(5) == 0


def test_it_imports_in_under_half_a_second_of_processor_time():
    timed = (
        "import resource; before = resource.getrusage(resource.RUSAGE_SELF).ru_utime;"
        "import local.exchanges.__main__;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_utime - before)"
    )
    command = [sys.executable, "-c", timed]
    took = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(took) < 0.5
