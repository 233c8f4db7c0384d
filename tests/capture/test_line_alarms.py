"""What the clock makes of silence, on a line with a made-up exchange."""

import importlib.util
import sys
from pathlib import Path

from container_worker.exchanges.outcomes import (
    BookState,
    ConnectionNumber,
    Heartbeat,
    LastTrade,
)
from marketdata.messages import DepthSnapshot

spec = importlib.util.spec_from_file_location(
    "line_rig", Path(__file__).with_name("line_rig.py")
)
rig = importlib.util.module_from_spec(spec)
sys.modules["line_rig"] = rig
spec.loader.exec_module(rig)
NOW_MS, World = rig.NOW_MS, rig.World
delta, state, ticker_state, trade = rig.delta, rig.state, rig.ticker_state, rig.trade


def lived(world, seconds=600):
    """Every unit lives once a second."""
    for number in range(seconds):
        size = str(number % 7 + 1)
        world.feed(delta(size=size), trade(number + 2), ticker_state(str(number + 1)))
        for _ in range(4):
            world.tick()


def test_a_dead_ticker_on_a_live_socket_is_stated_anew_then_its_socket_is_replaced() -> None:
    world = World()
    world.feed(state(), trade(1))
    lived(world)
    for number in range(30):
        world.feed(delta(), trade(1_000 + number), LastTrade("T", 1_000 + number))
        for _ in range(4):
            world.tick()
    assert world.kinds("ws_ticker")[-1] == "stall"
    assert world.socket.wants[0] == ("restate", "T", "ws_ticker")
    assert world.socket.wants[1:] == [("leaving",)]
    assert "stall" not in world.kinds() + world.kinds("ws_trades")


def test_heartbeats_and_named_trades_are_no_life() -> None:
    world = World({"ws_trades": "exchange"})
    world.feed(trade(1))
    lived(world)
    for _ in range(60):
        world.at_ns += 10**9
        world.feed(Heartbeat(), LastTrade("T", 602))
        for _ in range(4):
            world.tick()
    assert [want[:2] for want in world.socket.wants] == [("restate", "T"), ("leaving",)]
    assert world.recovered == [("ws_trades", 602, 602)]


def test_trades_are_just_quiet_while_the_exchange_names_the_one_that_we_have() -> None:
    world = World({"ws_trades": "exchange"})
    world.feed(trade(1))
    lived(world)
    for _ in range(200):
        world.feed(Heartbeat(), LastTrade("T", 601))
        for _ in range(4):
            world.tick()
    assert {want[0] for want in world.socket.wants} == {"restate"}
    assert len(world.socket.wants) < 6


def test_a_quiet_book_that_is_stated_as_it_was_is_no_gap_and_no_socket_is_replaced() -> None:
    world = World({"ws_diff_depth": "ours"})
    world.feed(state())
    lived(world)
    for _ in range(300):
        for _ in range(4):
            world.tick()
        if world.socket.wants and world.socket.wants[-1][0] == "restate":
            world.socket.wants.append("answered")
            book = DepthSnapshot(NOW_MS, "T", 0, [("9", str(599 % 7 + 1))], [("11", "1")], "x")
            world.feed(BookState("ws_diff_depth", "received", book))
    assert {want[0] for want in world.socket.wants if want != "answered"} == {"restate"}
    assert 2 <= world.socket.wants.count("answered") <= 6
    assert world.line.gaps == 0


def test_while_nothing_is_connected_nobody_is_silent() -> None:
    world = World()
    world.feed(state(), trade(1))
    lived(world)
    for _ in range(400):
        world.tick(connected=False)
    world.tick()
    assert world.socket.wants == []


def test_a_book_is_tested_by_another_socket_unless_its_frames_are_numbered() -> None:
    world = World({"ws_diff_depth": "ours"}, audit_s=5.0)
    world.feed(state())
    for _ in range(24):
        world.tick()
    assert world.socket.wants == [("leaving",)]
    world = World({"ws_diff_depth": "ours"}, audit_s=5.0)
    world.feed(ConnectionNumber(0), state())
    for _ in range(24):
        world.tick()
    assert world.socket.wants == []
