"""The management API answers boto3 as API Gateway does, and the faults do what they say."""

import pytest
import requests
import websocket
from botocore.exceptions import ClientError, ReadTimeoutError

pytestmark = pytest.mark.services


def error_of(call, *arguments, **named):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_a_post_is_a_text_message(gateway, client):
    gateway.post(client.id, b'{"any":"text"}')
    opcode, data = client.socket.recv_data()
    assert (opcode, data) == (websocket.ABNF.OPCODE_TEXT, b'{"any":"text"}')


def test_connection_ids_look_like_api_gateways(client):
    assert len(client.id) == 16
    assert client.id.endswith("=")


def test_get_tells_who_is_connected(gateway, client):
    found = gateway.management().get_connection(ConnectionId=client.id)
    assert found["Identity"]["SourceIp"] == "127.0.0.1"
    assert found["LastActiveAt"] >= found["ConnectedAt"]


def test_delete_closes_the_connection(gateway, client):
    gateway.management().delete_connection(ConnectionId=client.id)
    opcode, data = client.socket.recv_data()
    assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, (1000).to_bytes(2))
    assert error_of(gateway.post, client.id, b"{}") == (410, "GoneException")


def test_an_unknown_connection_is_gone(gateway):
    api = gateway.management()
    for call in (api.get_connection, api.delete_connection):
        assert error_of(call, ConnectionId="abcdefghijklmno=") == (410, "GoneException")
    assert error_of(gateway.post, "abcdefghijklmno=", b"{}") == (410, "GoneException")


def test_a_connection_of_another_stage_is_gone(gateway, client):
    url = f"{gateway.api}/_management/ws/@connections/{client.id}"
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}
    assert requests.post(url, data=b"{}", headers=signed, timeout=10).status_code == 410


def test_a_post_of_more_than_128_kb_is_too_large(gateway, client):
    gateway.post(client.id, b"x" * 131_072)
    assert len(client.socket.recv()) == 131_072
    too_large = (413, "PayloadTooLargeException")
    assert error_of(gateway.post, client.id, b"x" * 131_073) == too_large
    assert error_of(gateway.post, client.id, b"x" * 3_000_000) == too_large


def test_an_unsigned_request_is_refused(gateway, client):
    url = f"{gateway.api}/_management/stream/@connections/{client.id}"
    for method in (requests.post, requests.get, requests.delete):
        answer = method(url, timeout=10)
        assert answer.status_code == 403
        assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    assert client.is_silent()


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("gone", (410, "GoneException")),
        ("throttled", (429, "LimitExceededException")),
        ("too_large", (413, "PayloadTooLargeException")),
        ("forbidden", (403, "ForbiddenException")),
        ("error", (500, "InternalServerErrorException")),
    ],
)
def test_a_fault_is_made_as_often_as_told_and_for_whom(gateway, client, kind, answer):
    other = gateway.connect()
    gateway.fault(kind, connection=client.id, times=2)
    assert gateway.faults()[0]["left"] == 2
    gateway.post(other.id, b"1")
    assert error_of(gateway.post, client.id, b"{}") == answer
    assert error_of(gateway.post, client.id, b"{}") == answer
    assert gateway.faults() == []
    gateway.post(client.id, b"{}")
    assert client.receive(ours=False) == {}


def test_a_hang_answers_nobody_in_time(gateway, client):
    gateway.fault("hang", seconds=2)
    api = gateway.management(read_timeout=0.3)
    with pytest.raises(ReadTimeoutError):
        api.post_to_connection(ConnectionId=client.id, Data=b"{}")
    gateway.post(client.id, b"{}")
    assert client.receive(ours=False) == {}


@pytest.mark.parametrize("fault", [{"kind": "flood"}, {"kind": "gone", "times": 0}, [], {}])
def test_a_fault_that_is_none_is_refused(gateway, fault):
    answer = requests.post(f"{gateway.api}/_control/faults", json=fault, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


def test_faults_are_bounded(gateway):
    for _ in range(100):
        gateway.fault("gone", connection="nobody")
    answer = requests.post(f"{gateway.api}/_control/faults", json={"kind": "gone"}, timeout=10)
    assert answer.status_code == 400


def test_a_cut_breaks_off_without_a_word(gateway, held, wait_until):
    one, other = gateway.connect(), gateway.connect()
    assert gateway.fault("cut", connection=one.id) == {"cut": 1}
    with pytest.raises((ConnectionError, websocket.WebSocketConnectionClosedException)):
        one.receive(ours=False)
    assert other.is_silent()
    wait_until(lambda: held(one.id).reserved is None, 5, "the cut connection's $disconnect")
    assert gateway.fault("cut") == {"cut": 1}


def test_without_disconnect_the_tables_keep_what_was_there(gateway, held, wait_until):
    client = gateway.connect()
    client.ask({"type": "subscribe", "symbols": ["BTC/USDT"]})
    gateway.fault("no_disconnect", connection=client.id)
    client.socket.close()
    wait_until(lambda: gateway.faults() == [], 5, "the fault")
    assert held(client.id).reserved == ["BTC/USDT"]


def test_a_slow_clients_buffer_fills_and_nobody_waits_for_it(gateway, wait_until):
    """A client that does not read is answered for with 429, its neighbour is served."""
    slow, other = gateway.connect(), gateway.connect()
    api = gateway.management()

    def is_full():
        try:
            api.post_to_connection(ConnectionId=slow.id, Data=b"x" * 100_000)
        except ClientError as error:
            return error.response["Error"]["Code"] == "LimitExceededException"
        return False

    wait_until(is_full, 20, "the slow client's buffer being full")
    gateway.post(other.id, b"{}")
    assert other.receive(ours=False) == {}
    [waiting] = [one["waiting_bytes"] for one in gateway.connections() if one["id"] == slow.id]
    assert waiting <= 512 * 1024
    while len(slow.socket.recv()) == 100_000 and not other.is_silent():
        pass
    wait_until(lambda: not is_full() or slow.socket.recv(), 10, "the slow client's recovery")
