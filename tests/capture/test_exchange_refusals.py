"""Every way in which an exchange is not reached gives one sentence that says what to do."""

import http.server
import socket
import ssl
import threading
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import ClassVar

import pytest

from container_worker.capture import refusals
from container_worker.capture.budgets import Budgets
from container_worker.capture.rest import RestClient
from container_worker.capture.upgrade import open_socket
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import RestRequest
from marketdata.errors import (
    BadCredential,
    ExchangeError,
    ExchangeUnavailable,
    RateLimited,
    RestrictedLocation,
)

BINANCE = REGISTRY["binance"]
WIRE = BINANCE.socket
URL = "https://api.binance.com/api/v3/depth"
PATH = RestRequest("/api/v3/ping", 1)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (451, RestrictedLocation, "run in another region, or set BINANCE_WS_URL"),
        (429, RateLimited, "limits the rate of this address (HTTP 429"),
        (418, RateLimited, "has banned this address (HTTP 418"),
        (403, ExchangeUnavailable, "a proxy on the way blocks this address: no entry"),
        (500, ExchangeUnavailable, "api.binance.com failed (HTTP 500)"),
        (401, BadCredential, "does not accept the credential (HTTP 401): no entry"),
        (400, ExchangeError, "refused the request (HTTP 400): no entry"),
    ],
)
def test_a_status_says_what_it_means(status, kind, words) -> None:
    error = refusals.of_status(BINANCE, URL, status, {"retry-after": "7"}, b"no\n entry")
    assert type(error) is kind
    assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("", 60),
        ("x", 60),
        ("0", 1),
        ("9" * 9, 259_200),
        ("9" * 5_000, 259_200),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 60),
        (f"Wed, 21 Oct {'9' * 5_000} 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 259_200),
    ],
)
def test_retry_after_is_bounded(text, seconds) -> None:
    error = refusals.of_status(BINANCE, URL, 429, {"retry-after": text}, b"")
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("12", 12), ("", 0), ("soon", 0), ("0", 1), ("9" * 9, 259_200)]
)
def test_a_failing_server_may_say_when_to_come_back(text, seconds) -> None:
    error = refusals.of_status(BINANCE, URL, 503, {"retry-after": text}, b"")
    assert error.retry_after_s == seconds


def test_a_date_in_retry_after_counts_from_now() -> None:
    until = formatdate(time.time() + 90, usegmt=True)
    error = refusals.of_status(BINANCE, URL, 429, {"retry-after": until}, b"")
    assert 88 <= error.retry_after_s <= 91


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "x"), "the host api.binance.com is not found"),
        (TimeoutError(), "did not answer in time"),
        (ConnectionRefusedError(111, "x"), "nothing listens at api.binance.com"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "TLS with api.binance.com failed"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_a_network_failure_says_what_it_means(error, words) -> None:
    assert words in str(refusals.of_network(URL, error))


def test_an_untrusted_certificate_says_which_variable_helps() -> None:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_message = "self-signed certificate"
    assert "SSL_CERT_FILE" in str(refusals.of_network(URL, error))


def rest(url):
    return RestClient(BINANCE, url, 2.0, threading.Event(), Budgets(BINANCE.limits, 1.0))


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_real_sockets_give_these_sentences_for_rest_and_for_streams(exchange) -> None:
    port = closed_port()
    with pytest.raises(ExchangeUnavailable, match="nothing listens"):
        rest(f"http://127.0.0.1:{port}").get(PATH)
    with pytest.raises(ExchangeUnavailable, match="nothing listens"):
        open_socket(BINANCE, WIRE, f"ws://127.0.0.1:{port}/stream", 2.0)
    with pytest.raises(ExchangeUnavailable, match=r"host .*\.invalid is not found"):
        rest("http://no-such-host.invalid").get(PATH)
    with pytest.raises(ExchangeUnavailable, match=r"host .*\.invalid is not found"):
        open_socket(BINANCE, WIRE, "ws://no-such-host.invalid/stream", 2.0)
    venue = exchange()
    with pytest.raises(ExchangeUnavailable, match="TLS"):
        rest(venue.rest.replace("http", "https")).get(PATH)
    with pytest.raises(ExchangeUnavailable, match="TLS"):
        open_socket(BINANCE, WIRE, venue.ws.replace("ws", "wss", 1) + "/stream", 2.0)


@pytest.fixture
def elsewhere():
    """`elsewhere.first` sends everybody on to `elsewhere.second`, which notes who comes."""

    class Second(http.server.BaseHTTPRequestHandler):
        seen: ClassVar = []

        def do_GET(self):
            self.seen.append(self.headers)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the library's own name

        def log_message(self, *_):
            pass

    class First(Second):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"{there}/x?token=secret#part")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the library's own name

    servers = [http.server.HTTPServer(("127.0.0.1", 0), each) for each in (First, Second)]
    first, there = (f"http://localhost:{one.server_port}" for one in servers)
    for one in servers:
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
    yield SimpleNamespace(first=first, second=there, seen=Second.seen)
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize("location", ["http://[", "https://u:p@other/x?k=s", "/x", ""])
def test_where_an_answer_sends_on_is_told_without_secrets(location) -> None:
    text = str(refusals.of_status(BINANCE, URL, 307, {"location": location}, b""))
    assert text.startswith("api.binance.com sends on (HTTP 307) to ")
    assert "u:p" not in text
    assert "k=s" not in text


@pytest.mark.parametrize("body", [None, b"{}"])
def test_no_secret_follows_a_redirect(elsewhere, body) -> None:
    secret = RestRequest("/key", 1, headers=(("Authorization", "Bearer J"),), body=body)
    with pytest.raises(ExchangeError) as caught:
        rest(elsewhere.first).get(secret)
    assert elsewhere.seen == []
    assert f"(HTTP 302) to {elsewhere.second}/x: " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_socket_follows_a_redirect(elsewhere) -> None:
    url = elsewhere.first.replace("http", "ws", 1) + "/stream"
    with pytest.raises(ExchangeError, match=r"\(HTTP 302\) to http://localhost:[0-9]+/x: "):
        open_socket(BINANCE, WIRE, url, 2.0)
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (451, RestrictedLocation),
        (418, RateLimited),
        (429, RateLimited),
        (403, ExchangeUnavailable),
        (503, ExchangeUnavailable),
    ],
)
def test_a_refused_upgrade_is_told_like_a_refused_request(exchange, status, kind) -> None:
    venue = exchange()
    venue.fault(kind="refuse", status=status, where="both", requests=2, retry_after_s=3)
    with pytest.raises(kind):
        open_socket(BINANCE, WIRE, venue.ws + "/stream", 2.0)
    with pytest.raises(kind) as caught:
        rest(venue.rest).get(PATH)
    if kind is RateLimited:
        assert caught.value.retry_after_s == 3
