"""The handlers on real tables, with API Gateway's events."""

import io
import json
import subprocess
import sys
import time
from base64 import b64encode

import boto3
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions import (
    archive_link,
    authorize,
    connect,
    default,
    disconnect,
    ping,
    push,
    subscribe,
    symbols,
    unsubscribe,
)
from functions.settings import read_settings
from functions.tables import connections_table
from functions.telemetry import logger
from marketdata.errors import SettingsError, StoreUnavailable

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
    optional={"symbols": st.lists(st.sampled_from(["BTC/USDT", "btcusdt", ""]) | JSON)},
)
BODIES = st.one_of(st.text(), JSON.map(json.dumps), LIKELY.map(json.dumps))


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


def http_event(**parameters):
    return {"version": "2.0", "queryStringParameters": parameters}


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
    assert connections_table().get(ID).rev == 0
    disconnect.handler(socket_event("DISCONNECT"), None)
    assert connections_table().get(ID) is None


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
    assert connections_table().get(ID) is not None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=BODIES, module=st.sampled_from(MESSAGE_HANDLERS))
def test_whatever_a_client_sends_has_one_answer_of_the_protocol(connected, body, module):
    """To any message handler: an error with a code and a detail, or the normal answer."""
    connected.posts.clear()
    response = module.handler(socket_event("MESSAGE", body), None)
    assert response["statusCode"] == 200
    told = [json.loads(text) for _, text in connected.posts]
    told += [json.loads(response["body"])] if "body" in response else []
    [answer] = told
    if answer["type"] == "error":
        codes = {"VALIDATION_ERROR", "SUBSCRIPTION_LIMIT", "UNKNOWN_SYMBOL"}
        assert answer["code"] in codes
        assert answer["detail"]
    else:
        assert answer["type"] in {"subscribed", "unsubscribed", "pong"}
    assert len(connections_table().get(ID).names) <= 10


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
        b'"timestamp":"t","source":"binance","rates":["1s"]}'
    )
    record = {"key": "YmluYW5jZTpCVENVU0RU", "value": b64encode(value).decode()}
    push.handler({"records": {"ticks-0": [record, {}]}}, Context())
    [(_, text)] = connected.posts
    assert json.loads(text)["price"] == 1.0
    [line] = log.getvalue().splitlines()
    logged = json.loads(line)
    expected = {"message": "pushed", "records": 2, "poison": 1, "sent": 1, "connections": 1}
    assert {name: logged[name] for name in expected} == expected


def test_symbols_are_listed_once_each(functions):
    response = symbols.handler(http_event(), None)
    body = json.loads(response["body"])
    assert (response["statusCode"], body["success"]) == (200, True)
    tickers = [one["ticker"] for one in body["symbols"]]
    assert len(tickers) == len(set(tickers)) == 32
    assert body["symbols"][0] == {
        "exchange": "binance",
        "ticker": "BTCUSDT",
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "channels": ["prices"],
    }


class TestArchive:
    """`GET /api/archive` on a real object store."""

    @pytest.fixture
    def s3_endpoint(self, s3):
        return s3

    def test_a_link_gives_the_object(self, functions, s3):
        path = "data/orderbook/binance/2024-08-08_BTCUSDT.marks.csv"
        boto3.client("s3", endpoint_url=s3).put_object(
            Bucket="tapedeck", Key=path, Body=b"row\n"
        )
        event = http_event(
            exchange="binance", ticker="BTCUSDT", date="2024-08-08", kind="marks"
        )
        response = archive_link.handler(event, None)
        body = json.loads(response["body"])
        assert (response["statusCode"], body["expires_in"]) == (200, 900)
        assert requests.get(body["url"], timeout=10).content == b"row\n"

    def test_an_object_that_is_not_there_is_404(self, functions):
        event = http_event(
            exchange="binance", ticker="NONE", date="2024-08-08", type="ws_trades"
        )
        response = archive_link.handler(event, None)
        assert response["statusCode"] == 404
        assert json.loads(response["body"])["error"] == {
            "code": "NOT_FOUND",
            "message": "the archive has no data/prices/binance/2024-08-08_NONE.csv",
        }


GOOD = {"exchange": "binance", "ticker": "BTCUSDT", "date": "2024-08-08"}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "'exchange'"),
        ({**GOOD, "exchange": "nyse"}, "'exchange'"),
        ({**GOOD, "ticker": ""}, "'ticker'"),
        ({**GOOD, "ticker": "x" * 65}, "'ticker'"),
        ({**GOOD, "date": "2024-8-8"}, "'date'"),
        ({**GOOD, "date": "2024-02-30"}, "'date'"),
        ({**GOOD, "date": "٢٠٢٤-٠٨-٠٨"}, "'date'"),
        ({**GOOD, "type": "ws_dept"}, "'type'"),
        ({**GOOD, "kind": "mark"}, "'kind'"),
        ({**GOOD, "day": "2024-08-08"}, "'day'"),
    ],
)
def test_a_bad_parameter_is_400_and_named(functions, parameters, named):
    response = archive_link.handler(http_event(**parameters), None)
    assert response["statusCode"] == 400
    error = json.loads(response["body"])["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert named in error["message"]


def test_a_store_that_is_not_there_is_503_without_its_details(functions):
    response = archive_link.handler(http_event(**GOOD), None)
    assert response["statusCode"] == 503
    assert json.loads(response["body"])["error"]["code"] == "INTERNAL"
    assert "S3" not in response["body"]


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
        ("ping", {"boto3", "asyncio", "aiohttp"}),
        ("default", {"boto3", "asyncio", "aiohttp"}),
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
