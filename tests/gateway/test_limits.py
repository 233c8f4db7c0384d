"""What the gateway refuses, closes, and says when it ends."""

import contextlib
import json
import signal
import socket as sockets
import subprocess
import sys
import time

import pytest
import requests
import websocket
from botocore.exceptions import ClientError

from functions.settings import VARIABLES
from local.gateway.settings import read_settings
from marketdata.errors import SettingsError

pytestmark = pytest.mark.services

MIB = 1024 * 1024


def close_code(socket):
    socket.settimeout(10)
    while True:
        frame = socket.recv_frame()
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(frame.data[:2])


def ping_of(length):
    text = '{"type":"ping","x":""}'
    return text.replace('""', f'"{"x" * (length - len(text))}"')


def test_a_message_of_one_mebibyte_is_taken_and_a_longer_one_closes(client):
    assert client.ask(ping_of(MIB))["type"] == "pong"
    client.send(ping_of(MIB + 1))
    assert close_code(client.socket) == 1009


def test_binary_messages_close_with_1003(client):
    client.socket.send_binary(b"{}")
    assert close_code(client.socket) == 1003


def test_text_that_is_not_utf8_closes_with_1007(client):
    client.socket.send(b"\xff\xfe", websocket.ABNF.OPCODE_TEXT)
    assert close_code(client.socket) == 1007


def test_a_clients_close_is_answered(client):
    client.socket.send_close(1000)
    assert close_code(client.socket) == 1000


@pytest.mark.parametrize("path", ["/", "/nothing", "/stream/more", "/ws"])
def test_a_path_that_is_none_is_404_in_the_protocols_words(gateway, path):
    answer = requests.get(f"http://{gateway.stream}{path}", timeout=10)
    assert answer.status_code == 404
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert path in answer.json()["detail"]


def test_a_request_without_upgrade_is_400_in_the_protocols_words(gateway):
    answer = requests.get(f"http://{gateway.stream}/stream", timeout=10)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid message format"
    assert "ask for an upgrade" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_under_api_is_404_in_rests_words(gateway, method):
    answer = getattr(requests, method)(f"{gateway.api}/api/nothing", timeout=10)
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "code": "NOT_FOUND",
        "message": "there is nothing at /api/nothing",
    }
    assert requests.post(f"{gateway.api}/api/symbols", timeout=10).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
)
def test_another_sites_page_is_refused(gateway, headers):
    paths = [f"{gateway.api}/api/symbols", f"{gateway.api}/_control/faults"]
    paths.append(f"http://{gateway.stream}/stream")
    for path in paths:
        assert requests.get(path, headers=headers, timeout=10).status_code == 403
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(
            f"ws://{gateway.stream}/stream?api_key={gateway.key}",
            host=headers.get("Host"),
            origin=headers.get("Origin"),
        )
    assert refused.value.status_code == 403


def test_a_page_of_this_machine_is_let_in(gateway):
    client = gateway.connect(origin="http://localhost:5173")
    assert client.ask({"type": "ping"})["type"] == "pong"


def test_both_ports_are_healthy(gateway):
    for address in (gateway.api, f"http://{gateway.stream}"):
        assert requests.get(f"{address}/healthz", timeout=10).json() == {"status": "ok"}


def test_garbage_is_no_traceback_in_the_log(gateway, client):
    host, port = gateway.stream.split(":")
    for raw in (b"\x00\x01\x02\r\n\r\n", b"GET /stream HTTP/9.9\r\n\r\n", b"x" * 20_000):
        with sockets.create_connection((host, int(port)), 5) as plain:
            plain.sendall(raw)
            plain.shutdown(sockets.SHUT_WR)
            while plain.recv(4096):
                pass
    broken = gateway.connect()
    broken.socket.sock.sendall(b"\xff\xff\xff\xff" * 100)
    assert close_code(broken.socket) == 1002
    client.send('{"type":"subscribe","symbols":[{}]}')
    assert client.receive()["code"] == "VALIDATION_ERROR"
    log = gateway.log.read_text()
    assert "Traceback" not in log
    assert all(json.loads(line) for line in log.splitlines())


def test_the_key_is_in_no_log(gateway):
    gateway.connect(url=f"ws://{gateway.stream}/stream?api_key={gateway.key}", header=[])
    gateway.connect().ask("{")
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(f"ws://{gateway.stream}/stream?api_key=wrong-secret-key")
    log = gateway.log.read_text()
    assert gateway.key not in log
    assert "wrong-secret-key" not in log


def test_the_ends_of_life_and_of_idle_time_close_with_1001(start_gateway):
    with start_gateway("--connection-life-s", "1.2", "--idle-s", "0.4") as gateway:
        assert close_code(gateway.connect().socket) == 1001
        busy = gateway.connect()
        began = time.monotonic()
        with contextlib.suppress(ValueError, OSError, websocket.WebSocketException):
            while busy.is_silent():
                pass
        assert 0.6 < time.monotonic() - began < 5


def test_api_gateways_own_limits_can_be_had(start_gateway):
    with start_gateway("--limits", "aws") as gateway:
        client = gateway.connect()
        assert client.ask(ping_of(32 * 1024))["type"] == "pong"
        client.send(ping_of(32 * 1024 + 1))
        assert close_code(client.socket) == 1009


def full_client(gateway, wait_until):
    """A client that reads nothing and whose buffer is full."""
    tiny = (sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    client = gateway.connect(sockopt=[tiny])

    def is_full():
        try:
            gateway.post(client.id, b"x" * 100_000)
        except ClientError as error:
            return error.response["Error"]["Code"] == "LimitExceededException"
        return False

    wait_until(is_full, 20, "the buffer's being full")
    return client


def test_sigterm_closes_clients_with_1001_and_cleans_up(start_gateway, held, wait_until):
    """One that reads nothing is broken off, and holds nobody up."""
    with start_gateway() as gateway:
        client, stuck = gateway.connect(), full_client(gateway, wait_until)
        client.ask({"type": "subscribe", "symbols": ["BTC/USDT"]})
        gateway.process.send_signal(signal.SIGTERM)
        assert close_code(client.socket) == 1001
        assert gateway.process.wait(10) == 0
    assert [held(one.id).reserved for one in (client, stuck)] == [None, None]


def test_a_database_that_does_not_answer_is_an_error_message_not_a_hang(
    start_gateway, free_port
):
    with start_gateway(AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{free_port}") as gateway:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            gateway.connect()
        assert refused.value.status_code == 500
        assert json.loads(refused.value.resp_body)["code"] == "INTERNAL"
        assert requests.get(f"{gateway.api}/api/symbols", timeout=20).status_code == 503
        assert "Traceback" not in gateway.log.read_text()


def run(*options, **variables):
    command = [sys.executable, "-m", "local.gateway", *options]
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_taken_port_is_named_and_1(gateway, tables):
    port = gateway.stream.split(":")[1]
    urls = {f"CALLBACK_URL_{stage}": "http://x" for stage in ("STREAM", "WS", "CANDLES")}
    variables = {**tables, **urls, "AWS_REGION": "us-east-1"}
    done = run("--api-port", "0", "--stream-port", port, **variables)
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot listen on 127.0.0.1:{port} (")
    assert done.stderr.endswith("or choose another with --stream-port\n")


def test_missing_variables_are_all_named_and_2():
    done = run()
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "the variable CONNECTIONS_TABLE is not set"
    assert len(done.stderr.splitlines()) == len(VARIABLES)


def test_bad_options_are_named(capsys):
    with pytest.raises(SettingsError) as bad:
        read_settings(["--api-port", "70000", "--idle-s", "0"])
    assert bad.value.faults == (
        "--api-port must be between 0 and 65535",
        "--idle-s must be more than 0",
    )
    with pytest.raises(SystemExit, match="2"):
        read_settings(["--api-prot", "1"])
    assert "unrecognized arguments: --api-prot" in capsys.readouterr().err
