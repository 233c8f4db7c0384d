"""Every way in which an exchange is not reached gives one sentence that says what to do."""

import socket
import ssl
import threading
import time
from email.utils import formatdate

import pytest

from container_worker.capture import refusals
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
    return RestClient(BINANCE, url, 2.0, threading.Event())


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
