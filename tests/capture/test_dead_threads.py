"""A thread that dies of what nobody expected is told by name; a socket's takes no other."""

import random
import threading
from dataclasses import replace

import pytest
from capture_rig import FAST, FakeProducer

from container_worker.capture.backfill import Backfill
from container_worker.capture.link import Link
from container_worker.capture.poller import Pollers
from container_worker.capture.reach import Reach
from container_worker.capture.snapshots import Snapshots
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel, Endpoints, RestInstruments
from container_worker.exchanges.polling import Query
from container_worker.outermost import outermost
from container_worker.settings import QueueSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from marketdata.errors import BrokerError, TapedeckError, ThreadDied
from marketdata.instruments import Instrument

BINANCE = REGISTRY["binance"]


def listed(ticker):
    return Instrument("binance", ticker, "BTC/USDT", "BTC", "USDT")


def bug(*_, **__):
    """What no adapter, core or library should ever raise."""
    raise ZeroDivisionError("with a secret in its text")


def quiet():
    return {
        "report": lambda *_: None,
        "timing": FAST,
        "chance": random.Random(1),
    }


def test_our_own_errors_are_told_as_they_are_and_others_without_their_text() -> None:
    told = []
    refusal = BrokerError("no")

    def refuse():
        raise refusal

    for work in (refuse, bug, lambda: None):
        thread = threading.Thread(target=outermost, args=(work, told.append), name="a-name")
        thread.start()
        thread.join(5)
    assert told[0] is refusal
    assert [type(error) for error in told[1:]] == [ThreadDied]
    assert str(told[1]) == "the thread a-name died of a ZeroDivisionError: see the log"


def test_snapshots_and_backfill_that_die_are_told(wait_until) -> None:
    failures = []
    snapshots = Snapshots("binance", BINANCE.books, bug, fail=failures.append, **quiet())
    backfill = Backfill(BINANCE, bug, fail=failures.append, **quiet())
    for thread in (snapshots, backfill):
        thread.start()
    snapshots.request("BTCUSDT", print)
    backfill.request(Channel("BTCUSDT", "ws_trades"), 1, 5, lambda *_: 0)
    wait_until(lambda: len(failures) == 2, what="two failures")
    words = sorted(str(error).split(" died")[0] for error in failures)
    assert words == ["the thread binance-backfill", "the thread binance-snapshots"]


@pytest.mark.parametrize("make", ["link", "poller"])
def test_a_socket_or_poller_that_dies_is_gone_and_says_why(make) -> None:
    changes = []
    if make == "link":
        link = Link(
            BINANCE,
            BINANCE.socket,
            "ws://127.0.0.1:1/",
            [],
            open_session=bug,
            feed=lambda *_: None,
            changed=lambda: changes.append(1),
            timing=FAST,
        )
    else:
        stellar = REGISTRY["stellar"]
        link = Pollers(
            "stellar",
            stellar.polling,
            Query(),
            get=bug,
            line=None,
            cursor=lambda: None,
            poll_s=1.0,
            changed=lambda: changes.append(1),
        ).open()
    link.start()
    link.join(5)
    assert link.is_gone
    assert changes == [1]
    assert isinstance(link.error, ThreadDied)


class Stages:
    """One stage whose exchange has a bug somewhere."""

    def __init__(self, adapter):
        self.producer = FakeProducer()
        wish = Wish("q", "binance", ("BTCUSDT",), ("ws_trades",))
        queue = QueueSettings("queue-control", "queue-events", "tests")
        telemetry = Telemetry(self.producer, queue, "q", [("BTCUSDT", "ws_trades")])
        form = Form(
            topic_of=lambda _type: "topic",
            rejects_topic=None,
            history_topic=None,
            last_known={},
            fatal=lambda _error: False,
            listed=lambda _instruments: None,
        )
        self.stage = Stage(
            self.producer,
            [Stream(wish, telemetry)],
            {"binance": Reach(adapter, Endpoints("ws://127.0.0.1:1", "http://127.0.0.1:1"))},
            form,
            timing=FAST,
            stop=threading.Event(),
            finish=threading.Event(),
        )


def last_words(stages):
    value = stages.producer.records[-1].value.decode()
    return "exits with 1" in value and "ZeroDivisionError" in value and "secret" not in value


def test_a_desk_that_dies_ends_the_stage_and_telemetry_names_it(monkeypatch) -> None:
    stages = Stages(replace(BINANCE, instruments=None, instrument=listed))
    monkeypatch.setattr(stages.stage._desks[0], "_keep", bug)
    with pytest.raises(TapedeckError, match="the thread binance-desk died"):
        stages.stage.run()
    assert last_words(stages)


def test_a_bug_before_the_start_is_told_by_telemetry_too() -> None:
    listing = RestInstruments(BINANCE.instruments.request, bug)
    stages = Stages(replace(BINANCE, instruments=listing))
    stages.stage._desks[0]._rest.get = lambda _request: b""
    with pytest.raises(ZeroDivisionError):
        stages.stage.run()
    assert last_words(stages)
