"""API keys: how they are made and stored, and whom the authorizer lets in."""

import io
import json
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from functions import authorize, connect
from functions import settings as functions_settings
from functions.telemetry import logger
from infra.access_log import FIELDS
from marketdata.api_keys import (
    StoredKey,
    checked_name,
    expiry_s,
    key_hash,
    key_item,
    key_text,
    revoked_item,
    stored_key,
)
from marketdata.errors import DecodeError, InputError

pytestmark = pytest.mark.services

NOW_S = 1_800_000_000
KEY = "chrono_public_dev_key_001"
ARN = "arn:aws:execute-api:us-east-1:000000000000:local/stream/$connect"
NUMBERS = st.none() | st.integers(1, 10**9)
ODD_TEXT = st.text() | st.sampled_from([KEY, f"Bearer {KEY}", "Bearer", "bearer  ", "x" * 9000])
HEADERS = st.dictionaries(
    st.sampled_from(["Authorization", "authorization", "AUTHORIZATION", "Cookie", "x-api-key"])
    | st.text(),
    ODD_TEXT,
    max_size=4,
)


def socket_event(headers=None, query=None, stage="stream"):
    return {
        "type": "REQUEST",
        "methodArn": ARN,
        "headers": headers,
        "queryStringParameters": query,
        "requestContext": {"stage": stage, "eventType": "CONNECT"},
    }


def http_event(method, key, version="1.0"):
    context = {"http": {"method": method}} if version == "2.0" else {"httpMethod": method}
    resource = {"routeArn" if version == "2.0" else "methodArn": ARN}
    headers = {"authorization": f"Bearer {key}"}
    return {"type": "REQUEST", **resource, "headers": headers, "requestContext": context}


def effect(event):
    [statement] = authorize.handler(event, None)["policyDocument"]["Statement"]
    return statement["Effect"]


@pytest.fixture
def put_key(functions, database, table_variables):
    """`put_key(key, **attributes)`: a key as the command stores it."""

    def put(key, **attributes):
        stored = StoredKey(**{"id": "k1", "name": "n", "scope": "read", **attributes})
        item = key_item(key_hash(key), stored)
        database.put_item(TableName=table_variables["KEYS_TABLE"], Item=item)

    return put


@pytest.fixture
def closed_ws(functions, monkeypatch):
    """A deployment whose stage `ws` asks for a key, and that has no third address."""
    monkeypatch.delenv("OPEN_WS")
    monkeypatch.delenv("CALLBACK_URL_CANDLES")
    functions_settings.settings.cache_clear()


def test_a_key_is_43_url_safe_characters_of_32_random_bytes():
    assert key_text(bytes(32)) == "A" * 43
    assert key_text(b"\xff" * 32) == "_" * 42 + "8"


@given(
    st.builds(
        StoredKey,
        id=st.text(min_size=1),
        name=st.text(),
        scope=st.sampled_from(["read", "operate"]),
        created_ms=NUMBERS,
        expires_s=NUMBERS,
        connections=NUMBERS,
        rate=NUMBERS,
        burst=NUMBERS,
    )
)
def test_a_stored_key_comes_back_and_has_no_key_in_it(stored):
    item = key_item(key_hash(KEY), stored)
    assert stored_key(item) == stored
    assert KEY not in json.dumps(item)


def test_a_key_written_by_hand_needs_no_more_than_its_id():
    assert stored_key({"id": {"S": "desk-1"}}) == StoredKey("desk-1", "", "read")
    for wrong in ({}, {"id": {"S": "x"}, "rate": {"N": "many"}}, {"id": {"N": "1"}}):
        with pytest.raises(DecodeError, match="an item of the keys table"):
            stored_key(wrong)


def test_what_is_revoked_is_told_for_longer_than_a_connection_lives():
    item = revoked_item("k1", NOW_S * 1000)
    assert (item["pk"]["S"], item["sk"]["S"]) == ("REVOKED", "k1")
    assert int(item["exp"]["N"]) >= NOW_S + 7_500


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1d", 86_400), ("30d", 30 * 86_400), ("3650d", 3650 * 86_400), ("2027-01-16", 57_600)],
)
def test_an_expiry_is_days_from_now_or_a_day(text, seconds):
    assert expiry_s(text, NOW_S) - NOW_S == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "0d",
        "-1d",
        "30",
        "3651d",
        "1e2d",
        "٣d",
        "2027-01-15",
        "2026-02-30",
        "9999-01-01",
    ],
)
def test_any_other_expiry_is_refused_by_name(text):
    with pytest.raises(InputError, match="--expires"):
        expiry_s(text, NOW_S)


def test_a_name_is_one_line_that_can_be_shown():
    assert checked_name("  first desk ") == "first desk"
    for wrong in ("", "   ", "a\nb", "x" * 65, "\x1b[2J"):
        with pytest.raises(InputError, match="NAME"):
            checked_name(wrong)


def test_a_keys_own_limits_are_told_to_later_functions_as_texts(put_key):
    put_key("limited", scope="operate", connections=3, rate=7, burst=2)
    answer = authorize.handler(socket_event(query={"api_key": "limited"}), None)
    own = {"connections": "3", "rate": "7", "burst": "2"}
    assert answer["context"] == {"key_id": "k1", "scope": "operate", **own}


def test_an_expired_key_is_refused_before_dynamodb_removes_it(put_key):
    put_key("good-for-long", expires_s=int(time.time()) + 60)
    put_key("over", expires_s=int(time.time()))
    assert effect(socket_event(query={"api_key": "good-for-long"})) == "Allow"
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize.handler(socket_event(query={"api_key": "over"}), None)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize(
    ("scope", "method", "expected"),
    [
        ("read", "GET", "Allow"),
        ("read", "POST", "Deny"),
        ("read", "PUT", "Deny"),
        ("read", "", "Deny"),
        ("operate", "GET", "Allow"),
        ("operate", "POST", "Allow"),
        ("none-that-there-is", "DELETE", "Deny"),
    ],
)
def test_what_changes_something_needs_the_scope_operate(
    put_key, version, scope, method, expected
):
    put_key("a-key", scope=scope)
    assert effect(http_event(method, "a-key", version)) == expected


@pytest.mark.parametrize("stage", ["ws", "candles"])
def test_an_open_stage_lets_in_who_has_no_key_but_checks_one_that_is_given(functions, stage):
    answer = authorize.handler(socket_event(stage=stage), None)
    assert answer["context"] == {"key_id": ""}
    given_one = authorize.handler(socket_event(query={"api_key": KEY}, stage=stage), None)
    assert given_one["context"]["key_id"] == "key-1"
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize.handler(socket_event(query={"api_key": "wrong"}, stage=stage), None)


@pytest.mark.parametrize("stage", ["ws", "candles", "stream", "", "other"])
def test_a_stage_that_is_not_open_asks_for_a_key(closed_ws, stage):
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize.handler(socket_event(stage=stage), None)
    assert effect(socket_event(query={"api_key": KEY}, stage=stage)) == "Allow"


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    headers=st.none() | HEADERS,
    query=st.none() | st.dictionaries(st.sampled_from(["api_key", "API_KEY", ""]), ODD_TEXT),
    stage=st.sampled_from(["stream", "ws"]),
)
@example(headers={"Authorization": "Bearer \ud800"}, query=None, stage="stream")
@example(headers={"Authorization": f"Bearer {KEY}", "authorization": "x"}, query={}, stage="ws")
@example(headers={"Authorization": f"Bearer {KEY},{KEY}"}, query=None, stage="stream")
def test_whatever_is_sent_is_let_in_with_a_known_key_or_is_401(
    functions, headers, query, stage
):
    """Never another error, and never the id of a key that was not given."""
    event = socket_event(headers, query, stage)
    given_texts = [*(headers or {}).values(), *(query or {}).values()]
    try:
        answer = authorize.handler(event, None)
    except Exception as error:  # noqa: BLE001  (API Gateway's contract is this text)
        assert str(error) == "Unauthorized"  # noqa: PT017
        return
    key_id = answer["context"]["key_id"]
    assert (key_id, stage) == ("", "ws") or any(KEY in text for text in given_texts)


def test_neither_an_event_nor_its_error_shows_a_key():
    assert KEY not in repr(
        authorize.read(socket_event(query={"api_key": KEY}), authorize.AuthorizerEvent)
    )
    with pytest.raises(DecodeError) as wrong:
        stored_key({"pk": {"S": f"KEY#{key_hash(KEY)}"}})
    assert key_hash(KEY) not in str(wrong.value)


def test_the_deployed_access_log_has_no_query_no_header_and_no_body():
    secret = ("query", "header", "body", "path", "identity", "authorizer", "rawpath")
    assert [one for one in FIELDS.values() if any(word in one.lower() for word in secret)] == []


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(headers=st.none() | HEADERS, protocol=st.none() | st.text(max_size=30))
def test_connecting_logs_nothing_of_what_the_request_had(functions, headers, protocol):
    stream, known = io.StringIO(), logger.registered_handler.stream
    sent = {**(headers or {}), "Cookie": KEY}
    if protocol is not None:
        sent["Sec-WebSocket-Protocol"] = f"{KEY},{protocol}"
    about = {
        "eventType": "CONNECT",
        "stage": "stream",
        "connectionId": "L0SM9cOFvHcCIhw=",
        "connectedAt": time.time_ns() // 1_000_000,
        "authorizer": {"key_id": "", "integrationLatency": 3},
    }
    logger.registered_handler.stream = stream
    try:
        event = {"headers": sent, "requestContext": about, "body": KEY}
        assert connect.handler(event, None)["statusCode"] == 200
    finally:
        logger.registered_handler.stream = known
    assert KEY not in stream.getvalue()
