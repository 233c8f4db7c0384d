"""An exchange that refuses and then breaks off: the status counts, and capture goes on."""

import contextlib
import random
import socket
import struct
import threading
import time

import pytest

from container_worker.capture.budgets import Budgets
from container_worker.capture.rest import RestClient
from container_worker.capture.snapshots import Snapshots
from container_worker.capture.timing import Timing
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import RestRequest
from marketdata.errors import ExchangeError, ExchangeUnavailable, RateLimited

BINANCE = REGISTRY["binance"]
PATH = RestRequest("/api/v3/ping", 1)
AT_ONCE = struct.pack("ii", 1, 0)
BOOK = b'{"lastUpdateId":7,"bids":[["9","1"]],"asks":[["11","1"]]}'


class RawServer:
    """Answers each connection with the next of `answers`: (bytes, what follows)."""

    def __init__(self, answers):
        self._answers = list(answers)
        self._open = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            for head, then in self._answers:
                connection, _ = self._listener.accept()
                connection.recv(65_536)
                connection.sendall(head)
                if then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                if then != "stall":
                    connection.close()
                self._open.append(connection)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._open:
            connection.close()


@pytest.fixture
def server():
    """`server(*answers)` serves them one after the other."""
    with contextlib.ExitStack() as stack:

        def start(*answers):
            made = RawServer(answers)
            stack.callback(made.close)
            return made

        yield start


def refused(status, *headers):
    """An answer whose body stops after three of its hundred bytes."""
    lines = [f"HTTP/1.1 {status} No", "Content-Length: 100", *headers, "", "abc"]
    return "\r\n".join(lines).encode()


def rest(url):
    return RestClient(BINANCE, url, 0.5, threading.Event(), Budgets(BINANCE.limits, 1.0))


@pytest.mark.parametrize("then", ["stall", "reset", "close"])
def test_a_status_counts_when_its_body_breaks_off(server, then) -> None:
    limited = (refused(429, "Retry-After: 7"), then)
    client = rest(server((refused(503), then), limited).url)
    with pytest.raises(ExchangeUnavailable, match="failed \\(HTTP 503\\)"):
        client.get(PATH)
    with pytest.raises(RateLimited, match="HTTP 429") as caught:
        client.get(PATH)
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("then", ["stall", "reset", "close"])
def test_a_good_status_whose_body_breaks_off_is_worth_another_try(server, then) -> None:
    with pytest.raises(ExchangeUnavailable):
        rest(server((refused(200), then)).url).get(PATH)


@pytest.mark.parametrize(
    "location", ["http://[x/", "http://127.0.0.1:port/", "gopher://x/", "http://\udcff/"]
)
def test_a_redirect_to_nowhere_is_the_exchanges_error(server, location) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    client = rest(server((head.encode(errors="surrogateescape"), "close")).url)
    with pytest.raises(ExchangeError):
        client.get(PATH)


def test_a_token_that_is_no_header_is_told_without_itself(server) -> None:
    client = rest(server().url)
    for token in ("secret\n", "secret \u20ac"):
        with pytest.raises(ExchangeError, match="a token") as caught:
            client.get(RestRequest("/", 1, headers=(("Authorization", token),)))
        assert "secret" not in repr(caught.value)
        assert caught.value.__cause__ is None


def test_the_books_go_on_after_a_refusal_that_breaks_off(server, wait_until) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BOOK), BOOK)
    venue = server((refused(503), "stall"), (whole, "close"))
    books, troubles, failures = [], [], []
    timing = Timing(backoff_base=0.01, backoff_cap=0.01)
    snapshots = Snapshots(
        "binance",
        BINANCE.books,
        rest(venue.url).get,
        report=lambda error, _tickers: troubles.append(str(error)),
        fail=failures.append,
        timing=timing,
        chance=random.Random(1),
    )
    snapshots.start()
    snapshots.request("BTCUSDT", books.append)
    wait_until(lambda: books, what="the book after the refusal")
    snapshots.close()
    snapshots.join(5)
    assert ["HTTP 503" in one for one in troubles] == [True]
    assert failures == []


@pytest.mark.parametrize("text", ["9" * 5_000, "-1", "1" * 30, "²", "12e3"])
def test_a_spent_budget_that_is_no_number_closes_nothing_for_good(server, text) -> None:
    body = f"HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: {text}\r\nContent-Length: 0\r\n\r\n"
    client = rest(server((body.encode(), "close")).url)
    assert client.get(PATH) == b""
    assert client._budgets.request_wait_s(1, time.monotonic()) <= 61.0
