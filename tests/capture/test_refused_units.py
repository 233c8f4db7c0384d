"""One refused ticker beside good ones: it rests and is told, and the others go on."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import venues_rig
from capture_rig import FAST

from container_worker.capture.refused_units import ASK_AGAIN_S
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import LastTrade, Refused
from marketdata.instruments import Instrument, symbol_of

if "line_rig" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "line_rig", Path(__file__).with_name("line_rig.py")
    )
    sys.modules["line_rig"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["line_rig"])
rig = sys.modules["line_rig"]

GHOST = "GHOST-USD"


@pytest.fixture
def world():
    return rig.World({"ws_trades": "exchange", "ws_diff_depth": "ours"}, ("A", "B"))


def watermarks(world, ticker):
    return [kind for kind in world.kinds("ws_trades", ticker) if kind == "watermark"]


def later(world, seconds):
    """Time passes with signs of life of B, so that only A can fall silent."""
    for number in range(int(seconds // 60)):
        world.feed(rig.trade(1_000 + number + int(world.now_s), "B"))
        world.tick(60.0)


def test_what_is_named_rests_and_the_others_go_on(world) -> None:
    world.feed(Refused("A is delisted", ("A",)))
    assert world.told == [([Channel("A", "ws_trades"), Channel("A", "ws_diff_depth")],
                           "A is delisted")]  # fmt: skip
    assert world.socket.wants == [("forget", *world.told[0][0])]
    assert world.line.wanted == [Channel("B", "ws_trades"), Channel("B", "ws_diff_depth")]
    later(world, 600)
    assert watermarks(world, "A") == []
    assert watermarks(world, "B")
    assert all(want[0] != "restate" or want[1] != "A" for want in world.socket.wants)


def test_of_a_type_only_that_type_rests(world) -> None:
    world.feed(Refused("no", ("A",), "ws_trades"))
    assert Channel("A", "ws_diff_depth") in world.line.wanted
    assert Channel("A", "ws_trades") not in world.line.wanted


def test_it_is_asked_for_again_once_an_hour_and_counts_when_it_comes(world) -> None:
    world.feed(Refused("no", ("A",), "ws_trades"))
    asked = ("ask", Channel("A", "ws_trades"))
    later(world, ASK_AGAIN_S - 120)
    assert asked not in world.socket.wants
    later(world, 240)
    assert world.socket.wants.count(asked) == 1
    assert watermarks(world, "A") == []
    world.feed(Refused("no", ("A",), "ws_trades"))
    assert len(world.told) == 1
    later(world, ASK_AGAIN_S + 60)
    assert world.socket.wants.count(asked) == 2
    world.feed(LastTrade("A", 7))
    world.feed(rig.trade(8, "A"))
    later(world, 120)
    assert watermarks(world, "A")
    assert Channel("A", "ws_trades") in world.line.wanted


def test_what_an_older_socket_still_brings_does_not_count_as_an_answer(world) -> None:
    world.feed(rig.trade(1, "A"))
    new = rig.Socket()
    world.line.share(new)
    world.feed(Refused("no", ("A",), "ws_trades"), source=new)
    world.feed(rig.trade(2, "A"))
    assert world.kinds("ws_trades", "A") == ["price_update"] * 2
    assert Channel("A", "ws_trades") not in world.line.wanted


@pytest.mark.parametrize("refused", [Refused("no"), Refused("no", ("C",))])
def test_a_refusal_that_names_nothing_of_ours_ends_the_socket(world, refused) -> None:
    world.feed(refused)
    assert world.socket.wants == [("refused", "no")]


def test_where_everything_is_refused_the_socket_ends(world) -> None:
    world.feed(Refused("no", ("A",)))
    world.feed(Refused("nor this", ("B",)))
    assert world.socket.wants[-1] == ("refused", "nor this")
    assert world.line.wanted


@pytest.mark.parametrize("name", ["coinbase", "blockchain"])
def test_a_refused_ticker_takes_nobody_with_it(name, monkeypatch, wait_until) -> None:
    good = venues_rig.TICKERS[name]
    monkeypatch.setitem(venues_rig.TICKERS, name, (good[0], GHOST, good[1]))
    adapter = replace(
        REGISTRY[name],
        instruments=None,
        instrument=lambda one: Instrument(name, one, symbol_of(one, ""), one, ""),
    )
    venues = venues_rig.Venues([name])
    reach = replace(venues_rig.reach_of(venues, name), adapter=adapter)
    capture = venues_rig.MultiCapture(venues, reach={name: reach}, timing=FAST)

    def errors():
        records = list(capture.producer.records)
        events = [json.loads(one.value) for one in records if one.topic == "queue-events"]
        return [(one["symbol"], one["message"]) for one in events if one["status"] == "error"]

    try:
        wait_until(
            lambda: all(
                len(capture.records(name, ticker, "ws_diff_depth")) > 10 for ticker in good
            ),
            20,
        )
        wait_until(errors, 10)
        assert {symbol for symbol, _ in errors()} == {GHOST}
        assert all(f"refuses {GHOST}" in text and "Take it out" in text for _, text in errors())
        assert len(venues.ask(name, "/_control/status")["connections"]) == 1
        assert all(not capture.gaps(name, ticker, "ws_diff_depth") for ticker in good)
        assert all(not capture.records(name, GHOST, one) for one in adapter.types)
    finally:
        assert capture.end() == 0
        venues.close()


def test_not_being_subscribed_before_it_is_stated_anew_is_no_refusal(wait_until) -> None:
    adapter = REGISTRY["blockchain"]

    def twice(channel, session):
        leave, enter = adapter.socket.resubscribe(channel, session)
        return [leave, leave, enter]

    venues = venues_rig.Venues(["blockchain"])
    reach = replace(
        venues_rig.reach_of(venues, "blockchain"),
        adapter=replace(adapter, socket=replace(adapter.socket, resubscribe=twice)),
    )
    capture = venues_rig.MultiCapture(
        venues, reach={"blockchain": reach}, timing=FAST, types=("ws_diff_depth", "ws_trades")
    )
    ticker = venues_rig.TICKERS["blockchain"][0]

    def gaps():
        return capture.gaps("blockchain", ticker, "ws_diff_depth")

    try:
        wait_until(lambda: len(capture.records("blockchain", ticker, "ws_diff_depth")) > 9, 20)
        [first] = venues.ask("blockchain", "/_control/status")["connections"]
        venues.fault("blockchain", kind="garbage", ticker=ticker)
        wait_until(lambda: any(gap["to"] for gap in gaps()), 10)
        assert {gap["cause"] for gap in gaps()} == {"garbage"}
        [last] = venues.ask("blockchain", "/_control/status")["connections"]
        assert last["id"] == first["id"]
    finally:
        assert capture.end() == 0
        venues.close()
