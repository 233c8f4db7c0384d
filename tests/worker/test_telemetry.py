"""Telemetry: the document's shape, and when `loading` is due."""

import json

import pytest

from container_worker.capture.stage import what_is_missing
from container_worker.telemetry import Telemetry
from marketdata.messages import Gap

SINCE = "1970-01-01T00:00:00.001Z"


class Recorder:
    """Takes records as the producer does."""

    def __init__(self):
        self.records = []
        self.full = False

    def send(self, record, on_ack=None, *, reserved=False):
        assert reserved
        if self.full:
            return False
        self.records.append(record)
        return True

    def events(self, status):
        values = [json.loads(record.value) for record in self.records]
        return [value for value in values if value["status"] == status]


class Clock:
    def __init__(self):
        self.now = 1722445567.8904

    def __call__(self):
        return self.now


def make(queue, units=(("BTCUSDT", "ws_depth"),)):
    recorder, clock = Recorder(), Clock()
    telemetry = Telemetry(recorder, queue, "wf-1", units, clock=clock, monotonic=clock)
    return telemetry, recorder, clock


def test_a_loading_event_is_exactly_the_documents(queue):
    telemetry, recorder, _ = make(queue)
    counter = telemetry.counter("BTCUSDT", "ws_depth")
    for _ in range(15_000):
        counter.wrote()
    record = recorder.records[-1]
    assert (record.topic, record.key, record.headers) == ("queue-events", b"wf-1", [])
    assert json.loads(record.value) == {
        "queue_id": "wf-1",
        "symbol": "BTCUSDT",
        "type": "ws_depth",
        "status": "loading",
        "message": "Loaded and published 15000 order book records",
        "records_written": 15000,
        "finished": False,
        "producer": "loader__a1b2c3",
        "timestamp": 1722445567.890,
    }
    assert len(recorder.events("loading")) == 15


def test_loading_comes_every_five_seconds_and_not_before_started(queue):
    telemetry, recorder, clock = make(queue)
    clock.now += 60
    telemetry.tick()
    assert recorder.records == []
    telemetry.started()
    for _ in range(200):
        clock.now += 0.1
        telemetry.tick()
    assert len(recorder.events("started")) == 1
    assert 3 <= len(recorder.events("loading")) <= 4


def test_every_ticker_has_its_own_record_and_only_finished_says_finished(queue):
    units = (("BTCUSDT", "ws_trades"), ("ETHUSDT", "ws_trades"))
    telemetry, recorder, clock = make(queue, units)
    telemetry.started()
    telemetry.counter("ETHUSDT", "ws_trades").wrote()
    telemetry.error("the snapshot failed", goes_on=True, tickers=["ETHUSDT"])
    telemetry.error("Kafka refused a record", goes_on=False)
    telemetry.finished()
    clock.now += 60
    telemetry.tick()
    assert [event["symbol"] for event in recorder.events("error")] == [
        "ETHUSDT",
        "BTCUSDT",
        "ETHUSDT",
    ]
    assert recorder.events("error")[0]["message"] == "the snapshot failed; goes on"
    assert recorder.events("error")[1]["message"].endswith("exits with 1")
    finished = recorder.events("finished")
    assert [event["records_written"] for event in finished] == [0, 1]
    assert all(event["finished"] for event in finished)
    assert not any(event["finished"] for event in recorder.events("started"))
    assert recorder.events("loading") == []


def test_interrupted_is_not_finished(queue):
    telemetry, recorder, _ = make(queue)
    telemetry.interrupted()
    [event] = recorder.events("interrupted")
    assert event["finished"] is False


def test_losses_of_a_unit_are_told_once_in_five_seconds_and_counted(queue):
    units = (("BTCUSDT", "ws_trades"), ("ETHUSDT", "ws_trades"))
    telemetry, recorder, clock = make(queue, units)
    for _ in range(3):
        telemetry.lost("BTCUSDT", "ws_trades", "missing: 5 to 6 (sequence)")
    telemetry.lost("ETHUSDT", "ws_trades", "missing: 9 (stall)")
    telemetry.lost("XRPUSDT", "ws_trades", "nobody wants it")
    clock.now += 5.1
    telemetry.lost("BTCUSDT", "ws_trades", "missing: 8 (sequence)")
    assert [(event["symbol"], event["message"]) for event in recorder.events("error")] == [
        ("BTCUSDT", "missing: 5 to 6 (sequence); goes on"),
        ("ETHUSDT", "missing: 9 (stall); goes on"),
        ("BTCUSDT", "missing: 8 (sequence) (2 more gaps before); goes on"),
    ]


def lose(telemetry, *numbers):
    for number in numbers:
        telemetry.lost("BTCUSDT", "ws_depth", f"missing: {number} (sequence)")


def test_losses_that_nothing_follows_are_told_by_the_clock(queue):
    telemetry, recorder, clock = make(queue)
    lose(telemetry, *range(10))
    for _ in range(100):
        clock.now += 0.2
        telemetry.tick()
    assert [event["message"] for event in recorder.events("error")] == [
        "missing: 0 (sequence); goes on",
        "missing: 9 (sequence) (8 more gaps before); goes on",
    ]


@pytest.mark.parametrize("end", ["finished", "interrupted", "error"])
def test_losses_are_told_before_the_last_event(queue, end):
    telemetry, recorder, _ = make(queue)
    lose(telemetry, 1, 2)
    if end == "error":
        telemetry.error("Kafka refused a record", goes_on=False)
    else:
        getattr(telemetry, end)()
    messages = [json.loads(record.value)["message"] for record in recorder.records]
    assert len(messages) == 3
    assert messages[1] == "missing: 2 (sequence); goes on"


def test_a_loss_whose_event_finds_no_room_is_counted_with_the_next(queue):
    telemetry, recorder, clock = make(queue)
    recorder.full = True
    lose(telemetry, 1, 2)
    clock.now += 6
    telemetry.tick()
    recorder.full = False
    clock.now += 6
    telemetry.tick()
    assert [event["message"] for event in recorder.events("error")] == [
        "missing: 2 (sequence) (1 more gap before); goes on"
    ]


@pytest.mark.parametrize(
    ("ids", "to_ms", "words"),
    [
        ((5, 6), 2, "missing: 5 to 6 (sequence)"),
        ((5, 5), 2, "missing: 5 (sequence)"),
        (
            (None, None),
            None,
            f"something may be missing since {SINCE} (sequence)",
        ),
        (
            (None, None),
            2,
            f"something may be missing from {SINCE} to {SINCE[:-2]}2Z (sequence)",
        ),
    ],
)
def test_a_gap_is_told_in_words(ids, to_ms, words):
    assert what_is_missing(Gap(3, "BTCUSDT", "binance", *ids, "sequence", 1, to_ms)) == words
