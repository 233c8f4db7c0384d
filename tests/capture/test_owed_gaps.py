"""A gap record without room is written as soon as there is some, before what follows it."""

import importlib.util
import sys
from pathlib import Path

import pytest

from container_worker.exchanges.adapter import Channel

if "line_rig" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "line_rig", Path(__file__).with_name("line_rig.py")
    )
    sys.modules["line_rig"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["line_rig"])
rig = sys.modules["line_rig"]
World, state, delta, trade, ticker_state = (
    *(rig.World, rig.state, rig.delta),
    *(rig.trade, rig.ticker_state),
)


def told(world, type_):
    return [
        (value["cause"], value["first"], value["last"], value["to"] is None)
        for value, _ in world.records(type_)
        if value.get("e") == "gap"
    ]


@pytest.mark.parametrize("type_", ["ws_trades", "ws_ticker", "ws_diff_depth"])
def test_a_gap_without_room_is_written_by_the_clock_once_there_is_some(type_) -> None:
    first = {"ws_trades": trade(1), "ws_ticker": ticker_state("1"), "ws_diff_depth": state()}
    then = {"ws_trades": trade(4), "ws_ticker": ticker_state("2"), "ws_diff_depth": state("8")}
    world = World({type_: rig.TYPES[type_]})
    world.feed(first[type_])
    world.producer.full = world.producer.choked = True
    world.line.disrupted("disconnect")
    world.feed(then[type_])
    world.tick(connected=False)
    assert len(world.records(type_)) == 1
    world.producer.full = world.producer.choked = False
    world.tick(connected=False)
    world.tick(connected=True)
    world.feed(then[type_])
    gaps = told(world, type_)
    assert gaps
    assert gaps[-1][3] is False
    kinds = world.kinds(type_)
    assert kinds[1] in {"disconnect", "backpressure"}
    assert kinds[-1] not in {"disconnect", "backpressure"}


def test_a_numbered_hole_without_room_for_its_gap_is_named_when_there_is_room() -> None:
    world = World({"ws_trades": "exchange"})
    world.feed(trade(1))
    world.producer.full = world.producer.choked = True
    world.feed(trade(4))
    world.producer.full = world.producer.choked = False
    world.feed(trade(5))
    world.tick()
    world.feed(trade(6))
    ids = {value["trade_id"] for value, _ in world.records("ws_trades") if "trade_id" in value}
    missing = {
        number
        for _, first, last, _ in told(world, "ws_trades")
        if last is not None
        for number in range(first, last + 1)
    }
    assert ids | missing == {1, 2, 3, 4, 5, 6}
    kinds = world.kinds("ws_trades")
    assert kinds[0] == kinds[-1] == "price_update"
    assert world.line.gaps == len(told(world, "ws_trades"))


def test_what_was_fetched_for_a_gap_waits_until_the_gap_is_written() -> None:
    world = World({"ws_ticker": "opaque", "ws_trades": "exchange"})
    world.feed(trade(1))
    world.producer.choked = True
    world.feed(trade(4))
    assert world.line.fill(Channel("T", "ws_trades"), [trade(2)]) == 0
    world.producer.choked = False
    world.tick()
    assert world.line.fill(Channel("T", "ws_trades"), [trade(2)]) == 1
    kinds = world.kinds("ws_trades")
    assert kinds.index("price_update", 1) > kinds.index("sequence")


def test_gaps_that_wait_are_bounded() -> None:
    world = World({"ws_trades": "exchange"})
    world.feed(trade(1))
    world.producer.choked = world.producer.full = True
    for number in range(3, 300, 2):
        world.feed(trade(number))
        world.tick()
    [unit] = world.units
    assert len(unit.owed) <= 3
