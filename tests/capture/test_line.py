"""What each outcome and each fault leads to, on a line with a made-up exchange."""

import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest

from container_worker.capture.event_sync import end_of
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import (
    ConnectionNumber,
    Heartbeat,
    LastTrade,
    TradingStatus,
    Unknown,
)
from container_worker.exchanges.polling import Page, Window
from marketdata.messages import ContractEvent

spec = importlib.util.spec_from_file_location(
    "line_rig", Path(__file__).with_name("line_rig.py")
)
rig = importlib.util.module_from_spec(spec)
sys.modules["line_rig"] = rig
spec.loader.exec_module(rig)
NOW_MS, TYPES = rig.NOW_MS, rig.TYPES
Socket, World = rig.Socket, rig.World
candle, delta, state, ticker_state, trade = (
    rig.candle,
    rig.delta,
    rig.state,
    rig.ticker_state,
    rig.trade,
)


def test_every_kind_of_outcome_reaches_its_unit() -> None:
    world = World()
    world.feed(state(), delta(), trade(1), ticker_state("10"), candle(), Heartbeat())
    assert world.kinds() == ["depthSnapshot", "depthUpdate"]
    assert world.kinds("ws_trades") == world.kinds("ws_ticker") == ["price_update"]
    assert len(world.records("ws_candles")) == 1
    assert world.socket.data_ns == world.at_ns
    world.feed(Unknown("odd"), trade(1, "nobody's"))
    assert world.rejects.seen == 2


def test_what_a_socket_begins_with_is_no_flow_yet() -> None:
    world = World()
    world.feed(Heartbeat(), LastTrade("T", 4), state(), ticker_state("10"))
    assert not world.socket.flows
    world.feed(ticker_state("11"))
    assert world.socket.flows
    for outcome in (delta(), trade(5), candle(), state()):
        new = Socket()
        world.line.disrupted("disconnect")
        world.feed(state(), source=new)
        assert not new.flows
        world.feed(outcome, source=new)
        assert new.flows


def test_how_a_ticker_is_traded_is_told_once_a_change() -> None:
    world = World()
    opened, halted = TradingStatus("T", "open", True), TradingStatus("T", "halt", False)
    frozen, other = TradingStatus("T", "halt-freeze", False), TradingStatus("O", "halt", False)
    for said in (opened, opened, halted, halted, other, frozen, opened, opened):
        world.feed(said)
    assert world.told == [halted, frozen, opened]
    assert world.socket.data_ns == 0


def test_rejects_that_find_no_room_are_told_by_the_clock() -> None:
    world = World()
    world.producer.full = True
    world.feed(garbage=True)
    world.tick()
    world.tick()
    assert (world.rejects.seen, world.rejects.kept) == (1, 0)
    assert ["not in rejects" in one for one in world.troubles] == [True]


def test_records_of_our_own_numbers_say_so_and_each_has_its_clock() -> None:
    world = World()
    world.feed(state(), delta(), trade(1))
    (_, stated), (_, changed) = world.records()
    assert (stated.ids, stated.time, changed.ids, changed.time) == (
        *("ours", "received"),
        *("ours", "exchange"),
    )
    assert world.records("ws_trades")[0][1].ids == ""


def test_a_repeated_frame_is_dropped_whole() -> None:
    world = World()
    world.feed(ConnectionNumber(0), state())
    world.feed(ConnectionNumber(1), delta())
    world.feed(ConnectionNumber(1), delta())
    assert world.kinds() == ["depthSnapshot", "depthUpdate"]
    assert world.socket.wants == []


def test_a_frame_that_is_missing_is_a_gap_of_every_unit_and_breaks_the_socket() -> None:
    world = World()
    world.feed(ConnectionNumber(0), state(), trade(1), ticker_state("10"))
    world.feed(ConnectionNumber(2), delta(), trade(2))
    assert world.kinds() == ["depthSnapshot", "sequence"]
    assert world.kinds("ws_ticker") == ["price_update", "sequence"]
    assert world.kinds("ws_trades") == ["price_update", "price_update"]
    assert ("broken", "sequence") in [want[:2] for want in world.socket.wants]


def test_the_numbers_of_a_connection_begin_with_nought() -> None:
    world = World()
    world.feed(ConnectionNumber(1), state())
    assert world.socket.wants[-1][:2] == ("broken", "sequence")
    other = Socket()
    world.line.disrupted("sequence")
    world.feed(ConnectionNumber(0), state("8"), source=other)
    assert other.wants == []
    assert world.kinds()[-1] == "depthSnapshot"


def test_a_number_that_an_unreadable_frame_may_have_had_is_no_hole_once_more() -> None:
    world = World()
    world.feed(ConnectionNumber(0), state(), ticker_state("10"))
    world.feed(garbage=True)
    world.feed(ConnectionNumber(2), state("8"), ticker_state("11"))
    world.feed(garbage=True)
    world.feed(ConnectionNumber(3), ticker_state("12"))
    assert world.socket.wants == [("restate", "T", "ws_diff_depth")] * 2
    assert world.kinds("ws_ticker").count("price_update") == 3
    world.feed(ConnectionNumber(5), ticker_state("13"))
    assert world.socket.wants[-1][:2] == ("broken", "sequence")


def test_garbage_is_a_gap_where_nothing_else_shows_it_and_the_book_is_asked_for() -> None:
    world = World()
    world.feed(state(), trade(1), ticker_state("10"))
    world.feed(garbage=True)
    assert world.kinds() == ["depthSnapshot", "garbage"]
    assert world.kinds("ws_ticker") == ["price_update", "garbage"]
    assert world.kinds("ws_trades") == ["price_update"]
    assert world.socket.wants == [("restate", "T", "ws_diff_depth")]
    world.feed(state("8"))
    assert world.kinds() == ["depthSnapshot", "garbage", "garbage", "depthSnapshot"]
    assert world.rejects.seen == 1


def test_a_unit_that_is_never_stated_anew_gets_another_socket() -> None:
    world = World()
    world.feed(state())
    world.feed(garbage=True)
    for _ in range(300):
        world.tick()
    wants = [want[0] for want in world.socket.wants]
    assert wants[:4] == ["restate", "restate", "restate", "broken"]


def test_a_hole_in_trades_is_asked_for_and_filled_as_backfill() -> None:
    world = World()
    world.feed(trade(1))
    world.feed(trade(4))
    assert world.recovered == [("ws_trades", 2, 3)]
    world.line.fill(Channel("T", "ws_trades"), [trade(2), trade(3)])
    world.feed(trade(5))
    told = [(v.get("trade_id", "gap"), h.backfill) for v, h in world.records("ws_trades")]
    assert told == [(1, False), ("gap", False), (4, False), (2, True), (3, True), (5, False)]


def test_the_first_candle_asks_for_the_history() -> None:
    world = World()
    world.feed(candle())
    assert world.recovered == [("ws_candles", NOW_MS - 60_000_000, NOW_MS - 60_000)]


def test_a_named_trade_that_does_not_come_is_a_gap() -> None:
    world = World()
    world.feed(trade(1))
    world.feed(LastTrade("T", 2), LastTrade("nobody's", 9))
    world.at_ns += 10**9
    world.feed(LastTrade("T", 2))
    assert world.recovered == [("ws_trades", 2, 2)]


def test_a_second_socket_takes_over_where_both_agree_and_the_old_one_is_not_heard_then() -> (
    None
):
    world, new = World(), Socket()
    world.feed(state(), trade(1))
    world.line.share(new)
    world.feed(state(), trade(1), source=new)
    world.feed(delta("8"), trade(2), source=new)
    world.feed(delta("8"), trade(2), trade(3))
    world.line.part()
    world.feed(delta("7"), trade(3), trade(4))
    world.feed(delta("6"), trade(4), source=new)
    values = [value for value, _ in world.records()]
    assert [value.get("b") for value in values] == [[["9", "1"]], [["8", "2"]], [["6", "2"]]]
    assert [value["trade_id"] for value, _ in world.records("ws_trades")] == [1, 2, 3, 4]
    assert world.line.gaps == 0


def test_when_the_second_socket_fails_the_first_goes_on() -> None:
    world, new = World({"ws_diff_depth": "ours"}), Socket()
    world.feed(state())
    world.line.share(new)
    world.feed(state("8"), source=new)
    new.is_gone = True
    world.line.part()
    world.feed(delta("7"))
    assert world.kinds() == ["depthSnapshot", "depthUpdate"]


def test_garbage_on_the_second_socket_concerns_the_second_socket() -> None:
    world, new = World({"ws_diff_depth": "ours"}), Socket()
    world.feed(state())
    world.line.share(new)
    world.feed(state("8"), source=new)
    world.feed(garbage=True, source=new)
    assert new.wants == [("restate", "T", "ws_diff_depth")]
    assert (world.socket.wants, world.line.gaps) == ([], 0)


def test_a_socket_that_died_before_it_was_accepted_may_have_lost_something() -> None:
    world = World({"ws_ticker": "opaque"})
    world.feed(ticker_state("10"))
    world.socket.is_gone = True
    world.feed(ticker_state("11"), source=Socket())
    assert world.kinds("ws_ticker") == [
        "price_update",
        "disconnect",
        "disconnect",
        "price_update",
    ]


@pytest.mark.parametrize("type_", ["ws_diff_depth", "ws_ticker", "ws_trades"])
def test_what_found_no_room_is_one_gap_and_then_goes_on(type_) -> None:
    world = World({type_: TYPES[type_]})
    events = {
        "ws_diff_depth": [state(), delta("8"), delta("7"), delta("6")],
        "ws_ticker": [ticker_state(price) for price in "1234"],
        "ws_trades": [trade(number) for number in range(4)],
    }[type_]
    world.feed(events[0])
    world.producer.full = True
    world.feed(events[1])
    world.feed(events[2])
    world.producer.full = False
    world.tick()
    world.feed(events[3])
    kinds = world.kinds(type_)
    assert [kind for kind in kinds if kind == "backpressure"] == ["backpressure"] * 2
    last = world.records(type_)[-1][0]
    assert (last.get("b") or last["trade_id"] or last["price"]) in ([["6", "2"]], 3, 4)


def test_a_hole_that_found_no_room_is_asked_for_once() -> None:
    """Two trades that a clock held back come at once: the first one finds no room."""
    world = World({"ws_trades": "exchange"})
    ahead_ms = 2 * 3_600_000
    early, behind = (
        msgspec.structs.replace(trade(number), time_ms=NOW_MS + ahead_ms) for number in (2, 5)
    )
    world.feed(trade(1))
    world.feed(early)
    world.producer.full = True
    world.feed(behind)
    world.producer.full = False
    world.tick()
    world.feed(trade(6))
    assert world.recovered == [("ws_trades", 2, 5)]
    told = [value for value, _ in world.records("ws_trades") if value.get("e") == "gap"]
    assert [(one["first"], one["last"]) for one in told] == [(2, None), (2, 5)]


def test_of_what_was_recovered_the_part_that_found_room_is_counted() -> None:
    world = World({"ws_trades": "exchange"})
    channel = Channel("T", "ws_trades")
    world.producer.full = True
    assert world.line.fill(channel, [trade(1), trade(2)]) == 0
    world.producer.full = False
    world.tick()
    assert world.line.fill(channel, [trade(1), trade(2)]) == 2
    assert [headers.backfill for _, headers in world.records("ws_trades")] == [True, True]


def chain_event(number):
    raw = msgspec.Raw(b'"void"')
    id_ = f"{(100 + number) << 32:019d}-0000000001"
    at = f"2024-08-09T00:00:0{number}.000Z"
    return ContractEvent(
        100 + number, "ab", "", msgspec.Raw(b"[]"), raw, id_, at, "contract", 1, 0, True
    )


def test_a_chain_without_events_or_times_has_a_watermark_with_its_cursor_at_once() -> None:
    world = World({"contract_events": "opaque"}, tickers=("events",))
    for ledger, marks in ((100, 1), (101, 1), (102, 2)):
        page = Page([], end_of(ledger), Window(90, ledger))
        world.line.feed_page(page, rig.NOW_NS + ledger * 5 * 10**9, world.socket)
        world.tick(40.0)
        assert len(world.records("contract_events", "events")) == marks
    mark, head = world.records("contract_events", "events")[-1]
    assert (mark["cursor"], head.time) == (end_of(102), "received")


def test_a_page_of_a_chain_is_written_once_and_the_watermark_has_its_cursor() -> None:
    world = World({"contract_events": "opaque"}, tickers=("events",))
    first, second = chain_event(1), chain_event(2)
    assert world.line.cursor() is None
    for events in ([first], [first, second]):
        page = Page(events, events[-1].id, Window(90, 102))
        world.line.feed_page(page, rig.NOW_NS, world.socket)
    world.tick(100.0)
    *written, (mark, _) = world.records("contract_events", "events")
    assert [(value["id"], head.id) for value, head in written] == [
        (each.id, each.id) for each in (first, second)
    ]
    assert (mark["e"], mark["cursor"], world.line.cursor()) == (
        "watermark",
        second.id,
        second.id,
    )
    assert world.socket.wants == []
