"""Ten connections a key: never an eleventh, and never a crashed client that shuts one out."""

import hashlib
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials

from functions import holders, limiting, limits
from functions import settings as functions_settings
from functions.limits import Holder, LimitsTable
from functions.logic.limit_slots import take_slot
from functions.signing import Credentials, Signer

pytestmark = pytest.mark.services

NOW_S = 1_800_000_000
NOW_MS = NOW_S * 1000
OLD_MS = NOW_MS - 30_000


class Asked(ThreadingHTTPServer):
    """Answers GET @connections with `statuses[id]`, else 200; notes what it was sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = {}
        self.requests = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append((self.path, dict(self.headers)))
        status = self.server.statuses.get(unquote(self.path.rsplit("/", 1)[1]), 200)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def asked(functions, monkeypatch):
    """A management API that is asked who is there."""
    server = Asked()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("CALLBACK_URL_STREAM", f"http://127.0.0.1:{server.server_port}/stream")
    functions_settings.settings.cache_clear()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def table(functions, database, table_variables):
    limits.limits_table.cache_clear()
    yield LimitsTable(database, table_variables["LIMITS_TABLE"])
    limits.limits_table.cache_clear()


@pytest.fixture
def key():
    return uuid.uuid4().hex


def fill(table, key, since_ms, count=10):
    for number in range(count):
        assert table.claim(key, number, Holder(f"old-{number}=", "stream", since_ms))


def held(table, key, now_ms=NOW_MS):
    return {slot.number: slot.holder.connection_id for slot in table.held(key, now_ms // 1000)}


def nobody(_stage, _ids):
    return set()


def everybody(_stage, ids):
    return set(ids)


def in_threads(count, work):
    results, start = [None] * count, threading.Barrier(count)

    def run(number):
        start.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_ten_are_let_in_and_the_eleventh_is_told_the_limit(table, key):
    authorizer = {"key_id": key, "rate": "100", "burst": "100"}
    now_ms = time.time_ns() // 1_000_000
    for number in range(10):
        assert limiting.admit(f"c{number}=", "stream", key, authorizer, now_ms) is None
    refused = limiting.admit("c10=", "stream", key, authorizer, now_ms)
    assert (refused.code, refused.retry_after_s) == ("RATE_LIMITED", 30)
    assert str(refused).startswith("this key may have 10 connections at a time, and has them")
    limiting.leave("c3=", key)
    limiting.leave("c3=", key)
    assert limiting.admit("c10=", "stream", key, authorizer, now_ms) is None
    assert len(held(table, key, now_ms)) == 10


def test_sixty_at_once_get_ten_slots_and_each_its_own(table, key):
    def take(number):
        return take_slot(table, key, Holder(f"c{number}=", "stream", NOW_MS), 10, nobody)

    assert in_threads(60, take).count(True) == 10
    assert len(set(held(table, key).values())) == 10


def test_on_ws_and_without_a_key_nothing_is_taken_but_a_keys_rate_counts(table, key):
    now_ms = time.time_ns() // 1_000_000
    authorizer = {"connections": "1", "rate": "2", "burst": "2"}
    for number in range(3):
        assert limiting.admit(f"c{number}=", "ws", "", authorizer, now_ms) is None
    answers = [limiting.admit(f"c{n}=", "ws", key, authorizer, now_ms) for n in range(3)]
    assert answers[:2] == [None, None]
    assert answers[2].code == "RATE_LIMITED"
    assert "2 requests a minute" in str(answers[2])
    assert held(table, key, now_ms) == {}
    limiting.leave("c0=", "")


def test_holders_that_are_gone_make_room_for_as_many(table, key):
    fill(table, key, OLD_MS)
    new = Holder("new=", "stream", NOW_MS)
    assert not take_slot(table, key, new, 10, nobody)
    assert take_slot(table, key, new, 10, everybody)
    assert set(held(table, key).values()) == {"new="}


def test_410_on_a_holder_younger_than_30_s_is_not_a_goodbye(table, key):
    fill(table, key, OLD_MS + 1)
    assert not take_slot(table, key, Holder("new=", "stream", NOW_MS), 10, everybody)
    assert take_slot(table, key, Holder("new=", "stream", NOW_MS + 1), 10, everybody)


def test_forty_at_once_on_a_full_key_of_the_gone_get_ten(table, key):
    fill(table, key, OLD_MS)

    def take(number):
        return take_slot(table, key, Holder(f"c{number}=", "stream", NOW_MS), 10, everybody)

    results = in_threads(40, take)
    assert results.count(True) == 10
    assert {f"c{number}=" for number, won in enumerate(results) if won} == set(
        held(table, key).values()
    )


def test_a_slot_expires_when_no_connection_can_be_alive(table, key):
    fill(table, key, NOW_MS - 7_501_000)
    assert held(table, key) == {}
    assert take_slot(table, key, Holder("new=", "stream", NOW_MS), 10, nobody)


def test_only_its_own_connection_frees_a_slot(table, key):
    fill(table, key, NOW_MS, count=1)
    assert not table.release(key, 0, "another=")
    assert not table.claim(key, 0, Holder("another=", "stream", NOW_MS), instead_of="third=")
    assert table.release(key, 0, "old-0=")


def test_one_that_was_taken_over_and_says_goodbye_late_frees_nobodys_slot(table, key):
    fill(table, key, OLD_MS)
    assert take_slot(table, key, Holder("new=", "stream", NOW_MS), 10, everybody)
    limiting.leave("old-0=", key)
    assert set(held(table, key).values()) == {"new="}


def test_gone_is_what_is_answered_410_and_nothing_else(asked):
    statuses = {
        "gone=": 410,
        "here=": 200,
        "busy=": 429,
        "secret=": 403,
        "broken=": 500,
        "no=": 0,
    }
    asked.statuses = statuses
    assert holders.gone("stream", statuses) == {"gone="}
    paths = {path for path, _ in asked.requests}
    assert "/stream/@connections/gone%3D" in paths
    signatures = {headers["authorization"][:16] for _, headers in asked.requests}
    assert signatures == {"AWS4-HMAC-SHA256"}
    assert not any("Content-Length" in headers for _, headers in asked.requests)


def test_the_question_is_signed_as_the_sdk_signs_it():
    path, host = "/stream/@connections/a%3D", "abc.execute-api.eu-west-1.amazonaws.com"
    signer = Signer(Credentials("AKID", "secret"), region="eu-west-1", host=host, now_s=NOW_S)
    lines = signer.headers(path, hashlib.sha256(b"").hexdigest(), method="GET").split("\r\n")
    request = AWSRequest("GET", f"https://{host}{path}")
    request.context["timestamp"] = f"{datetime.fromtimestamp(NOW_S, UTC):%Y%m%dT%H%M%SZ}"
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    sdk = SigV4Auth(SdkCredentials("AKID", "secret"), "execute-api", "eu-west-1")
    text = sdk.string_to_sign(request, sdk.canonical_request(request))
    assert any(line.endswith(f"Signature={sdk.signature(text, request)}") for line in lines)


def test_nobody_is_gone_where_nobody_can_be_asked(functions, monkeypatch):
    monkeypatch.setenv("CALLBACK_URL_STREAM", "http://127.0.0.1:9")
    functions_settings.settings.cache_clear()
    assert holders.gone("stream", ["a="]) == set()
    assert holders.gone("other", ["a="]) == set()


def test_a_crashed_clients_slot_is_taken_over_through_the_management_api(asked, table, key):
    now_ms = time.time_ns() // 1_000_000
    fill(table, key, now_ms - 31_000)
    asked.statuses = {"old-4=": 410}
    assert limiting.admit("new=", "stream", key, {}, now_ms) is None
    assert held(table, key, now_ms)[4] == "new="
    assert limiting.admit("more=", "stream", key, {}, now_ms).code == "RATE_LIMITED"
