"""Stockbit's token runs out while a stream runs: it is fetched again, or the stream says so."""

import base64
import json
import time
from dataclasses import replace

import pytest
from capture_rig import FAST
from venues_rig import TICKERS, MultiCapture, Venues, reach_of

from container_worker.exchange_settings import StockbitSettings
from container_worker.token_source import TokenManager
from local.exchanges.stockbit import demo_token

TIMING = replace(FAST, stall=30.0, silence=20.0, expiry=1.0)


@pytest.fixture
def venues():
    venues = Venues(["stockbit"])
    yield venues
    venues.close()


class Watched:
    """A capture whose token is in a file."""

    def __init__(self, venues, path, wait_until):
        self.path, self.wait_until = path, wait_until
        manager = TokenManager(StockbitSettings(token_file=str(path)))
        reach = replace(reach_of(venues, "stockbit"), token=manager.token)
        self.venues = venues
        self.capture = MultiCapture(venues, timing=TIMING, reach={"stockbit": reach})

    def rows(self):
        return [
            self.capture.records("stockbit", one, "ws_depth") for one in TICKERS["stockbit"]
        ]

    def gaps(self):
        return [
            g
            for one in TICKERS["stockbit"]
            for g in self.capture.gaps("stockbit", one, "ws_depth")
        ]

    def messages(self, status):
        records = list(self.capture.producer.records)
        events = [json.loads(one.value) for one in records if one.topic == "queue-events"]
        return [one["message"] for one in events if one["status"] == status]

    def goes_on(self):
        """More of every ticker comes from now on."""
        before = [len(rows) for rows in self.rows()]
        self.wait_until(
            lambda: all(
                len(rows) > count + 4 for rows, count in zip(self.rows(), before, strict=True)
            ),
            20,
        )

    def sockets(self):
        return self.venues.ask("stockbit", "/_control/status")["connections"]


@pytest.fixture
def watched(venues, tmp_path, wait_until):
    started = []

    def start(life_s):
        path = tmp_path / "token"
        path.write_text(demo_token(int(time.time()), life_s=life_s))
        started.append(Watched(venues, path, wait_until))
        return started[-1]

    yield start
    for one in started:
        assert one.capture.end() == 0


def test_a_token_that_runs_out_is_fetched_again_and_the_stream_goes_on(watched, wait_until):
    stream = watched(3)
    wait_until(lambda: all(len(rows) > 4 for rows in stream.rows()), 15)
    [first] = stream.sockets()
    now_s = int(time.time())
    stream.path.write_text(demo_token(now_s, life_s=3600))
    wait_until(lambda: time.time() > first["token_expires_s"], 15)
    stream.goes_on()
    [socket] = stream.sockets()
    assert socket["token_expires_s"] == now_s + 3600
    assert stream.gaps() == []
    assert stream.messages("error") == []


def test_a_token_that_is_not_renewed_is_an_error_that_says_what_to_do(watched, wait_until):
    stream = watched(3)
    wait_until(lambda: all(len(rows) > 4 for rows in stream.rows()), 15)
    [first] = stream.sockets()
    sentence, *_ = wait_until(lambda: stream.messages("error"), 15)
    assert "the token for stockbit runs out at 20" in sentence
    assert "put a new one into STOCKBIT_TOKEN" in sentence
    assert sentence.endswith("; goes on")
    token = stream.path.read_text()
    assert token not in sentence
    payload = base64.urlsafe_b64decode(token.split(".")[1] + "==")
    assert payload.decode() not in sentence
    ends_s = json.loads(payload)["exp"]
    while time.time() < ends_s - 0.1:
        assert [one["id"] for one in stream.sockets()] == [first["id"]]
    wait_until(lambda: not stream.sockets(), 15)
    wait_until(lambda: any("token expired at" in one for one in stream.messages("error")), 15)
    now_s = int(time.time())
    stream.path.write_text(demo_token(now_s, life_s=3600))
    stream.goes_on()
    [socket] = stream.sockets()
    assert socket["token_expires_s"] == now_s + 3600


def test_without_a_token_the_stream_says_where_one_goes(watched, wait_until) -> None:
    stream = watched(3600)
    stream.path.unlink()
    wait_until(lambda: stream.sockets() or stream.messages("error"), 15)
    stream.venues.fault("stockbit", kind="cut")
    sentences = wait_until(lambda: stream.messages("error"), 15)
    assert any("cannot be read" in one or "STOCKBIT_TOKEN" in one for one in sentences)
