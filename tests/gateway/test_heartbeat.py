"""The stage `ws`: pinged, and closed when no pong comes (sources/save-to-websocket.md)."""

import time

import pytest
import websocket

QUICK = ("--ping-s", "0.1", "--pong-s", "1")


@pytest.fixture(scope="module")
def quick(start_gateway):
    with start_gateway(*QUICK) as gateway:
        yield gateway


def frames_until_close(socket):
    """The opcodes that come, and the close's code; nothing is answered."""
    socket.settimeout(10)
    opcodes = []
    while True:
        opcode, data = socket.recv_data(control_frame=True)
        opcodes.append(opcode)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return opcodes, int.from_bytes(data[:2])


class Deaf(websocket.WebSocket):
    """A client that answers no ping."""

    def pong(self, payload=""):
        pass


def test_a_client_that_answers_no_ping_is_closed_with_1001(quick):
    client = quick.connect(url=quick.ws, class_=Deaf)
    opcodes, code = frames_until_close(client.socket)
    assert opcodes.count(websocket.ABNF.OPCODE_PING) > 1
    assert code == 1001


def test_a_client_that_answers_stays_far_longer(quick):
    client = quick.connect(url=quick.ws)
    pings, until = 0, time.monotonic() + 1.5
    while time.monotonic() < until:
        opcode, _ = client.socket.recv_data(control_frame=True)
        assert opcode != websocket.ABNF.OPCODE_CLOSE
        pings += opcode == websocket.ABNF.OPCODE_PING
    assert pings > 8


def test_on_stream_nobody_is_pinged(quick):
    client = quick.connect()
    client.socket.settimeout(1)
    with pytest.raises(websocket.WebSocketTimeoutException):
        client.socket.recv_data(control_frame=True)


def test_a_clients_own_ping_is_answered_with_its_text(quick):
    client = quick.connect()
    client.socket.ping("are you there")
    client.socket.settimeout(5)
    opcode, data = client.socket.recv_data(control_frame=True)
    assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"are you there")
