"""Blockchain.com captured from its simulator, over real sockets, with what goes wrong there."""

import contextlib
import importlib.util
import json
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from marketdata.times import parse_iso_ms

spec = importlib.util.spec_from_file_location(
    "blockchain_rig", Path(__file__).with_name("blockchain_rig.py")
)
rig = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rig)
Capture, Simulator = rig.Capture, rig.Simulator
SIDES, TICKERS, TYPES = rig.SIDES, rig.TICKERS, rig.TYPES


@pytest.fixture(scope="module")
def shared():
    """One simulator for the module, at five times the usual pace."""
    running = Simulator("--speed", 5, "--seed", 4)
    yield running
    running.close()


@pytest.fixture
def simulator(shared):
    """Without faults, and its time passes, before and after each test."""
    yield shared
    shared.calm()


@pytest.fixture
def hasty():
    """A minute of its time takes less than a second."""
    running = Simulator("--speed", 100, "--seed", 4)
    yield running
    running.close()


@pytest.fixture
def capture():
    """`capture(simulator)` starts a stage."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            running = Capture(*arguments)
            stack.callback(running.end)
            return running

        yield start


@pytest.fixture
def stage(simulator, capture):
    return capture(simulator)


def test_a_pair_that_is_closed_is_said_once_and_the_others_go_on(
    simulator, capture, wait_until
) -> None:
    stage = capture(simulator, ("BTC-USD", "LTC-BTC"), ("ws_diff_depth", "ws_trades"))

    def told():
        records = list(stage.producer.records)
        events = [json.loads(one.value) for one in records if one.topic == "queue-events"]
        return [one for one in events if "does not trade" in one["message"]]

    def asked():
        [socket] = simulator.ask("/_control/status")["connections"] or [{"streams": ()}]
        return "@symbols" in socket["streams"]

    wait_until(lambda: len(told()) == 2, what="both types of the closed pair")
    wait_until(lambda: len(stage.messages("ws_diff_depth")) > 9, what="the live pair")
    simulator.fault(kind="cut")
    wait_until(lambda: any(one["to"] for one in stage.gaps()), what="another socket")
    wait_until(asked, what="the symbols on the other socket")
    assert {(one["symbol"], one["type"], one["status"]) for one in told()} == {
        ("LTC-BTC", "ws_diff_depth", "error"),
        ("LTC-BTC", "ws_trades", "error"),
    }
    assert len(told()) == 2
    assert "(status closed)" in told()[0]["message"]


def whole(stage, simulator, wait_until):
    """Every book of the topic is the simulator's, once time stands still."""
    simulator.pause()
    for ticker in TICKERS:
        true = simulator.book(ticker)
        wait_until(
            lambda ticker=ticker, true=true: stage.book(ticker) == (true, True),
            what=f"the true book of {ticker}",
        )


def begun(stage, wait_until):
    wait_until(
        lambda: all(len(stage.messages("ws_diff_depth", one)) > 5 for one in TICKERS),
        what="books of every ticker",
    )


def test_every_type_of_every_ticker_is_captured_without_a_gap(
    simulator, stage, wait_until
) -> None:
    wait_until(
        lambda: all(len(stage.messages(type_, one)) > 5 for type_ in TYPES for one in TICKERS),
        what="every type of every ticker",
    )
    whole(stage, simulator, wait_until)
    assert not any(stage.gaps(type_, one) for type_ in TYPES for one in TICKERS)
    ids = [one["trade_id"] for one in stage.messages("ws_trades") if "trade_id" in one]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"kind": "drop", "stream": "l2", "frames": 2}, "sequence"),
        ({"kind": "drop", "stream": "trades", "frames": 1}, "sequence"),
        ({"kind": "garbage", "stream": "l2", "replace": True}, "garbage"),
        ({"kind": "cut", "after": 3, "stream": "l2"}, "disconnect"),
    ],
    ids=["book frames dropped", "a trade dropped", "garbage", "cut"],
)
def test_a_loss_is_a_gap_of_every_unit_of_the_connection_and_the_book_comes_right_again(
    simulator, stage, wait_until, fault, cause
) -> None:
    begun(stage, wait_until)
    number = simulator.fault(ticker="BTC-USD", **fault)
    wait_until(lambda: simulator.hits(number), what="the fault")
    for ticker in TICKERS:
        wait_until(lambda ticker=ticker: stage.gaps(ticker=ticker), what="a gap")
    wait_until(lambda: stage.book("BTC-USD")[1] and stage.book("ETH-USD")[1], what="an end")
    whole(stage, simulator, wait_until)
    assert {one["cause"] for one in stage.gaps()} >= {cause}


def test_a_frame_that_comes_twice_is_written_once_and_is_no_gap(
    simulator, stage, wait_until
) -> None:
    begun(stage, wait_until)
    number = simulator.fault(kind="duplicate", frames=200, probability=0.5, seed=1)
    wait_until(lambda: sum(one["frames"] for one in simulator.hits(number)) > 50)
    whole(stage, simulator, wait_until)
    assert not any(stage.gaps(ticker=one) for one in TICKERS)


def test_a_candle_is_closed_by_the_next_and_is_what_the_trades_of_its_minute_were(
    hasty, capture, wait_until
) -> None:
    stage = capture(hasty)

    def closed():
        states = stage.messages("ws_candles")
        return [one for one in states if one.get("closed")]

    wait_until(lambda: len(closed()) > 3, what="closed candles")
    trades = [one for one in stage.messages("ws_trades") if "trade_id" in one]
    minutes = {}
    for trade in trades:
        minute = parse_iso_ms(trade["timestamp"]) // 60_000 * 60_000
        minutes.setdefault(minute, []).append((trade["price"], trade["quantity"]))
    first, *candles = closed()
    for candle in candles:
        prices, quantities = zip(*minutes[candle["timestamp"]], strict=True)
        assert candle["timestamp"] > first["timestamp"]
        assert (candle["open"], candle["close"]) == (prices[0], prices[-1])
        assert (candle["high"], candle["low"]) == (max(prices), min(prices))
        assert candle["volume"] == sum(quantities)
    assert not stage.gaps("ws_candles")


def recorded_books(path):
    """By ticker the recorded messages about its book, with the digits of the file."""
    books = {}
    for line in path.read_text().splitlines():
        _, found, text = line.partition(': {"seqnum"')
        if found and '"channel":"l2"' in text and '"subscribed"' not in text:
            message = json.loads('{"seqnum"' + text, parse_float=Decimal)
            books.setdefault(message["symbol"], []).append(message)
    return books


def levels(rows):
    return [(Decimal(price), Decimal(quantity)) for price, quantity in rows]


@pytest.mark.recordings
def test_a_recorded_session_is_written_message_by_message_with_numbers_of_our_own(
    recordings, capture, wait_until
) -> None:
    path = recordings / "cryptofeed" / "BLOCKCHAIN_2021-07-22.ws.1.0"
    books = recorded_books(path)
    replay = Simulator("--replay", path, "--once", "--speed", "max")
    try:
        stage = capture(replay, tuple(books), ("ws_diff_depth",))
        wait_until(lambda: replay.ask("/_control/status")["done"], what="the tape's end")

        def written(ticker):
            messages = stage.messages("ws_diff_depth", ticker)
            return [one for one in messages if one["e"] != "watermark"]

        def is_whole(ticker):
            return len(written(ticker)) == len(books[ticker])

        for ticker, recorded in books.items():
            wait_until(partial(is_whole, ticker), what=f"all of {ticker}")
            pairs = zip(written(ticker), recorded, strict=True)
            for number, (ours, theirs) in enumerate(pairs, 1):
                sides = [[(one["px"], one["qty"]) for one in theirs[name]] for name in SIDES]
                if theirs["event"] == "snapshot":
                    sides[0].reverse()
                assert ours["u"] == number
                assert [levels(ours["b"]), levels(ours["a"])] == sides
                assert ours["E"] == parse_iso_ms(theirs["timestamp"])
    finally:
        replay.close()
