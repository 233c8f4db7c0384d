"""How a connection ends, and who gets none: limits, pings, life, other sites."""

import json
from itertools import islice

import pytest
import websocket

DEPTH = "btcusdt@depth@100ms"


def test_more_than_five_messages_a_second_close_the_connection(start_exchange):
    socket = start_exchange().connect("/ws")
    with pytest.raises(websocket.WebSocketException):  # noqa: PT012 - whichever of them fails
        for number in range(6):
            socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        while True:
            opcode, frame = socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                assert int.from_bytes(frame[:2], "big") == 1008
                raise websocket.WebSocketConnectionClosedException


def test_pings_count_as_messages(start_exchange):
    socket = start_exchange().connect("/ws")
    for _ in range(6):
        socket.ping("x")
    assert close_code(socket) == 1008


def close_code(socket):
    """The code of the close frame that ends the connection."""
    while True:
        opcode, frame = socket.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(frame[:2], "big")


def test_a_client_ping_is_answered_with_its_payload(exchange):
    socket = exchange.connect("/ws")
    socket.ping("hello")
    opcode, frame = socket.recv_data(control_frame=True)
    assert (opcode, frame) == (websocket.ABNF.OPCODE_PONG, b"hello")


def raw_frames(socket):
    """Frames as they come, without websocket-client's own pong."""
    while True:
        frame = socket.recv_frame()
        yield frame.opcode, frame.data


def test_the_server_pings_with_a_payload_and_ends_who_does_not_pong(start_exchange):
    socket = start_exchange("--ping-seconds", "0.1", "--pong-seconds", "0.5").connect("/ws")
    frames = raw_frames(socket)
    opcode, payload = next(frames)
    assert opcode == websocket.ABNF.OPCODE_PING
    assert payload
    socket.pong(b"unsolicited")
    codes = [data[:2] for opcode, data in frames_until_close(frames)]
    assert int.from_bytes(codes[-1], "big") == 1008


def frames_until_close(frames):
    for opcode, payload in frames:
        yield opcode, payload
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return


def test_who_pongs_stays(start_exchange):
    exchange = start_exchange(
        "--ping-seconds", "0.05", "--pong-seconds", "0.3", "--messages-per-second", "1000"
    )
    socket = exchange.connect("/ws")
    for opcode, payload in islice(raw_frames(socket), 20):
        assert opcode == websocket.ABNF.OPCODE_PING
        socket.pong(payload)


def test_a_connection_has_a_life_span(start_exchange):
    socket = start_exchange("--life-seconds", "0.5").connect(f"/ws/{DEPTH}")
    assert close_code(socket) == 1000


@pytest.mark.parametrize("header", ["Origin: http://evil.example", "Host: evil.example"])
def test_another_site_is_refused(exchange, header):
    name, _, value = header.partition(": ")
    options = (
        {"origin": value} if name == "Origin" else {"host": value, "suppress_origin": True}
    )
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        exchange.connect("/ws", **options)
    status, _, _ = exchange.request("/_control/status", headers={name: value})
    assert status == 403


def test_a_request_that_is_no_upgrade_is_refused(exchange):
    url = exchange.rest_url
    exchange.rest_url = exchange.ws_url.replace("ws:", "http:")
    try:
        assert exchange.request("/ws")[0] == 400
        assert exchange.request("/elsewhere")[0] == 404
    finally:
        exchange.rest_url = url
