"""The handlers on real tables, with API Gateway's events."""

import io
import json
import subprocess
import sys
import time
from base64 import b64encode

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from functions import (
    authorize,
    connect,
    default,
    disconnect,
    ping,
    push,
    subscribe,
    unsubscribe,
)
from functions.candles import candles_table
from functions.logic.candle_items import CandleRecord, PairSource
from functions.settings import read_settings
from functions.tables import connections_table
from functions.telemetry import logger
from marketdata.errors import SettingsError, StoreUnavailable
from marketdata.messages import Candle

pytestmark = pytest.mark.services

KEY = "chrono_public_dev_key_001"
ARN = "arn:aws:execute-api:us-east-1:000000000000:local/stream/$connect"
ID = "L0SM9cOFvHcCIhw="
MESSAGE_HANDLERS = (subscribe, unsubscribe, ping, default, connect, disconnect)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LIKELY = st.fixed_dictionaries(
    {"type": st.sampled_from(["subscribe", "unsubscribe", "ping", "$disconnect"])},
    optional={
        "symbols": st.lists(st.sampled_from(["BTC/USDT", "btcusdt", ""]) | JSON),
        "channels": st.lists(st.sampled_from(["prices", "depth"]) | JSON, max_size=3),
        "rate": st.sampled_from(["all", "10s", "2s"]) | JSON,
        "resume": st.booleans() | JSON,
        "from": st.lists(st.sampled_from(["ticks:a:0:1", "x"]) | JSON, max_size=3),
    },
)
BARE = st.tuples(
    st.sampled_from(["subscribe", "unsubscribe"]),
    st.lists(st.sampled_from(["BTC/USDT", "", " "]) | st.text(max_size=70), max_size=12),
).map(lambda said: ",".join((said[0], *said[1])))
BODIES = st.one_of(st.text(), JSON.map(json.dumps), LIKELY.map(json.dumps), BARE)


class Context:
    def get_remaining_time_in_millis(self):
        return 30_000


def socket_event(kind, body=None, *, connection_id=ID, headers=None, stage="stream"):
    return {
        "headers": headers,
        "requestContext": {
            "eventType": kind,
            "stage": stage,
            "connectionId": connection_id,
            "connectedAt": time.time_ns() // 1_000_000,
            "routeKey": "$default",
            "authorizer": {"key_id": "key-1", "scope": "read", "integrationLatency": 3},
        },
        "body": body,
    }


def authorizer_event(headers=None, query=None):
    return {
        "type": "REQUEST",
        "methodArn": ARN,
        "headers": headers or {},
        "queryStringParameters": query or {},
        "requestContext": {"stage": "stream", "eventType": "CONNECT"},
    }


@pytest.fixture
def connected(functions):
    """A connection that `$connect` has let in; yields what its posts are answered by."""
    assert connect.handler(socket_event("CONNECT"), None) == {"statusCode": 200}
    yield functions
    disconnect.handler(socket_event("DISCONNECT"), None)


@pytest.fixture
def log(monkeypatch):
    """What the functions log, in place of stderr."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": f"Bearer {KEY}"}, None),
        ({"aUTHORIZATION": f"bEARER   {KEY} "}, {"api_key": "another"}),
        ({"Authorization": "Basic x"}, {"api_key": KEY}),
        (None, {"api_key": KEY}),
    ],
)
def test_a_good_key_is_let_in_with_its_id_and_scope(functions, headers, query):
    policy = authorize.handler(authorizer_event(headers, query), None)
    assert policy["principalId"] == "key-1"
    assert policy["context"] == {"key_id": "key-1", "scope": "read"}
    [statement] = policy["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Allow", ARN)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        (None, None),
        ({"Authorization": KEY}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Bearer wrong"}, {"api_key": KEY}),
        (None, {"api_key": "a-key-that-has-expired"}),
        (None, {"api_key": "x" * 5000}),
        (None, {"api_key": "\ud800"}),
    ],
)
def test_any_other_is_unauthorized_in_api_gateways_own_word(functions, headers, query):
    with pytest.raises(Exception, match=r"^Unauthorized$") as refused:
        authorize.handler(authorizer_event(headers, query), None)
    assert type(refused.value) is Exception


def test_a_wrong_key_of_the_http_api_is_denied_by_policy(functions):
    event = authorizer_event({"Authorization": "Bearer wrong"}, None)
    del event["requestContext"]
    [statement] = authorize.handler(event, None)["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", ARN)


def test_the_key_and_the_query_are_in_no_log(functions, log):
    event = authorizer_event({"Authorization": f"Bearer {KEY}"}, {"api_key": KEY})
    authorize.handler(event, None)
    with pytest.raises(Exception, match="Unauthorized"):
        authorize.handler(authorizer_event(None, {"api_key": "a-wrong-secret"}), None)
    connect.handler({**socket_event("CONNECT", headers=event["headers"])}, None)
    subscribe.handler(socket_event("MESSAGE", json.dumps({"type": KEY})), None)
    disconnect.handler(socket_event("DISCONNECT"), None)
    logged = log.getvalue()
    assert '"connected"' in logged
    assert KEY not in logged
    assert "a-wrong-secret" not in logged
    assert all(json.loads(line) for line in logged.splitlines())


def test_connect_takes_the_first_subprotocol(functions):
    headers = {"sec-websocket-protocol": "chrono.v1, other"}
    answer = connect.handler(socket_event("CONNECT", headers=headers), None)
    assert answer["headers"] == {"Sec-WebSocket-Protocol": "chrono.v1"}
    assert connections_table().get("stream", ID).rev == 0
    disconnect.handler(socket_event("DISCONNECT"), None)
    assert connections_table().get("stream", ID) is None


def test_connect_refuses_a_stage_that_is_none(functions):
    answer = connect.handler(socket_event("CONNECT", stage="other"), None)
    assert answer == {"statusCode": 403}


@pytest.mark.parametrize("module", [connect, disconnect])
def test_a_message_named_like_a_lifecycle_route_is_refused_and_harmless(connected, module):
    connected.posts.clear()
    body = '{"type":"$disconnect"}'
    assert module.handler(socket_event("MESSAGE", body), None) == {"statusCode": 200}
    [(to, text)] = connected.posts
    assert to == ID
    assert json.loads(text)["code"] == "VALIDATION_ERROR"
    assert connections_table().get("stream", ID) is not None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=BODIES, module=st.sampled_from(MESSAGE_HANDLERS))
@example(body='{"type":"subscribe","symbols":["BTC/USDT"],"\\ud800":1}', module=subscribe)
@example(
    body='{"type":"subscribe","symbols":["BTC/USDT"],"from":["ticks:a:0:1"]}', module=subscribe
)
@example(body="subscribe,BTC/USDT", module=default)
def test_whatever_a_client_sends_has_one_answer_of_the_protocol(connected, body, module):
    """To any message handler: an error with a code and a detail, or the normal answer."""
    one = Candle("BTC/USDT", 0, *[msgspec.Raw(b"1")] * 5, "binance", "1m", closed=True)
    candles_table().put_pair(PairSource("binance", "BTC/USDT", "BTCUSDT"))
    candles_table().put(CandleRecord(one, "BTCUSDT", "candles", 0, 0))
    connected.posts.clear()
    response = module.handler(socket_event("MESSAGE", body), None)
    assert response["statusCode"] == 200
    told = [json.loads(text) for _, text in connected.posts]
    told += [json.loads(response["body"])] if "body" in response else []
    [answer] = told
    if answer.get("type") == "error":
        codes = {"VALIDATION_ERROR", "SUBSCRIPTION_LIMIT", "UNKNOWN_SYMBOL"}
        assert answer["code"] in codes
        assert answer["detail"]
    else:
        known = {"subscribed", "unsubscribed", "pong"}
        assert "pair" in answer or answer["type"] in known
    assert len(connections_table().get("stream", ID).names) <= 10


def test_a_valid_message_at_the_wrong_function_is_refused(connected):
    answer = ping.handler(socket_event("MESSAGE", '{"type":"unsubscribe"}'), None)
    assert json.loads(answer["body"])["code"] == "VALIDATION_ERROR"
    answer = default.handler(socket_event("MESSAGE", '{"type":"ping"}'), None)
    assert json.loads(answer["body"])["code"] == "VALIDATION_ERROR"


def test_a_failure_of_the_service_is_an_internal_error(connected, monkeypatch):
    def fail(*_):
        raise StoreUnavailable("DynamoDB is away")

    monkeypatch.setattr(type(connections_table()), "get", fail)
    answer = unsubscribe.handler(socket_event("MESSAGE", '{"type":"unsubscribe"}'), None)
    told = json.loads(answer["body"])
    assert (told["code"], told["message"]) == ("INTERNAL", "Internal error")
    assert "DynamoDB" not in answer["body"]


def test_push_reads_its_own_settings_and_logs_one_line_a_batch(connected, log):
    message = json.dumps({"type": "subscribe", "symbols": ["BTC/USDT"]})
    subscribe.handler(socket_event("MESSAGE", message), None)
    connected.posts.clear()
    log.truncate(0)
    log.seek(0)
    value = (
        b'{"type":"price_update","symbol":"BTC/USDT","price":1.0,"volume":null,'
        b'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance","rates":["1s"]}'
    )
    record = {
        "offset": 0,
        "timestamp": time.time_ns() // 1_000_000,
        "key": "YmluYW5jZTpCVENVU0RU",
        "value": b64encode(value).decode(),
    }
    push.handler({"records": {"ticks-0": [record, {}]}}, Context())
    [(_, text)] = connected.posts
    assert json.loads(text)["price"] == 1.0
    [line] = log.getvalue().splitlines()
    logged = json.loads(line)
    expected = {"message": "pushed", "records": 2, "poison": 1, "sent": 1, "connections": 1}
    assert {name: logged[name] for name in expected} == expected


def test_missing_settings_are_all_named():
    with pytest.raises(SettingsError) as missing:
        read_settings({"KEYS_TABLE": "k"}).having("keys_table", "archive_bucket", "region")
    assert missing.value.faults == (
        "the variable ARCHIVE_BUCKET is not set",
        "the variable AWS_REGION is not set",
    )


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("ping", {"asyncio", "aiohttp"}),
        ("default", {"aiohttp"}),
        ("authorize", {"aiohttp"}),
        ("push", {"aiohttp"}),
    ],
)
def test_a_cold_start_loads_no_more_than_the_function_needs(module, absent):
    code = f"import sys, functions.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not absent & set(done.stdout.split())
