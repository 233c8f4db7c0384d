"""What watermarks promise, and from when on a loss is told: a line with a made-up exchange."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

from container_worker.capture.watermarks import LineClock
from container_worker.exchanges.outcomes import (
    BookDelta,
    BookState,
    Heartbeat,
    LastTrade,
    TickerState,
    Trade,
)
from marketdata.messages import DepthSnapshot, DepthUpdate

spec = importlib.util.spec_from_file_location(
    "line_rig", Path(__file__).with_name("line_rig.py")
)
rig = importlib.util.module_from_spec(spec)
sys.modules["line_rig"] = rig
spec.loader.exec_module(rig)
NOW_MS = rig.NOW_MS
PRICES = {"ws_ticker": "opaque", "ws_trades": "exchange"}


class World(rig.World):
    """A line whose events have the time at which they come, in ms since it began."""

    def __init__(self, types=PRICES) -> None:
        super().__init__(types)
        self.ms = 0
        self.trades = 0
        self.lost = {type_: [] for type_ in types}

    def pass_by(self, seconds, *, connected=True):
        """Nothing comes for so long."""
        for _ in range(round(seconds * 4)):
            self.ms += 250
            self.tick(connected=connected)

    def bring(self, *outcomes):
        self.at_ns = (NOW_MS + self.ms) * 1_000_000
        self.feed(*outcomes)

    def trade(self, *, lost=False):
        self.trades += 1
        if lost:
            self.lost["ws_trades"].append(self.ms)
        else:
            self.bring(Trade("T", self.trades, NOW_MS + self.ms, "10", "1", "BUY"))

    def ticker(self, *, lost=False):
        now_ms = NOW_MS + self.ms
        if lost:
            self.lost["ws_ticker"].append(self.ms)
        else:
            self.bring(TickerState("T", now_ms, "exchange", str(now_ms), "100"))

    def book(self, size, *, at_ms=None):
        event_ms = NOW_MS + (self.ms if at_ms is None else at_ms)
        book = DepthSnapshot(event_ms, "T", 0, [("9", size)], [("99", "1")], "x")
        self.bring(BookState("ws_diff_depth", "exchange", book))

    def delta(self, size):
        change = DepthUpdate(NOW_MS + self.ms, "T", 0, 0, [("9", size)], [], "x")
        self.bring(BookDelta("exchange", change))

    def live(self, seconds, **every):
        """Trades, tickers and heartbeats come, each at its own pace in seconds."""
        makers = {"trade": self.trade, "ticker": self.ticker, "beat": self.beat}
        for second in range(seconds):
            for name, pace in every.items():
                if second % pace == 0:
                    makers[name]()
            self.pass_by(1)

    def beat(self):
        self.bring(Heartbeat())

    def marks(self, type_, kind="watermark", member="E"):
        """A member of all such marks, in ms since the line began."""
        records = [value for value, _ in self.records(type_) if value.get("e") == kind]
        return [one[member] and one[member] - NOW_MS for one in records]


def test_a_line_that_died_promises_nothing_after_its_last_frame() -> None:
    world = World()
    world.live(30, trade=1, ticker=1)
    last_ms = world.ms - 1_000
    world.pass_by(59)
    world.line.disrupted("stall")
    world.pass_by(1, connected=False)
    world.trade(lost=True)
    world.trade()
    world.ticker()
    world.live(70, trade=1, ticker=1)
    for type_ in PRICES:
        assert set(world.marks(type_, "gap", "from")) == {last_ms}
        told_ms = next(to for to in world.marks(type_, "gap", "to") if to)
        assert [at for at in world.marks(type_) if last_ms < at < told_ms] == []
        assert last_ms in world.marks(type_)


@pytest.mark.parametrize("pace_s", [2, 20, 90])
def test_a_dead_ticker_on_a_live_socket_is_told_from_its_last_event_on(pace_s) -> None:
    world = World()
    world.live(25 * pace_s, trade=1, ticker=pace_s)
    last_ms = 24 * pace_s * 1_000
    while not world.marks("ws_ticker", "gap"):
        world.live(1, trade=1)
    assert world.marks("ws_ticker", "gap", "from") == [last_ms]
    assert max(world.marks("ws_ticker")) == last_ms
    assert world.ms - last_ms < 10 * max(pace_s, 10) * 1_000
    assert max(world.marks("ws_trades")) > last_ms + pace_s * 1_000


def test_a_trade_that_ids_show_as_lost_is_told_from_the_trade_before_it_on() -> None:
    world = World({"ws_trades": "exchange"})
    world.live(25, trade=1)
    world.live(600, beat=1)
    world.trade(lost=True)
    world.live(3_600, beat=1)
    world.trade()
    assert world.marks("ws_trades", "gap", "from") == [24_000]
    assert world.marks("ws_trades", "gap", "to") == [world.ms]


def test_a_share_after_the_market_has_closed_is_complete_after_an_hour_again() -> None:
    world = World({"ws_diff_depth": "ours", "ws_trades": "exchange"})
    world.book("9")
    world.live(120, trade=1)
    closed_ms = world.ms
    world.live(3_000, beat=30)
    assert max(world.marks("ws_trades")) < closed_ms
    world.live(1_200, beat=30)
    assert max(world.marks("ws_trades")) > closed_ms + 3_600_000
    assert max(world.marks("ws_trades")) < world.ms


def test_what_is_stated_as_it_was_is_complete_up_to_then() -> None:
    world = World({"ws_diff_depth": "ours"})
    world.book("1")
    for number in range(60):
        world.delta(str(number + 1))
        world.live(1, beat=1)
    world.live(900, beat=1)
    assert max(world.marks("ws_diff_depth")) < 60_000
    stated_ms = world.ms
    world.book("60", at_ms=59_000)
    world.live(120, beat=1)
    assert stated_ms - 15_000 < max(world.marks("ws_diff_depth")) < stated_ms
    assert world.marks("ws_diff_depth", "gap") == []


def test_while_the_exchange_names_the_trade_that_we_have_nothing_is_missing() -> None:
    world = World({"ws_trades": "exchange"})
    world.live(60, trade=1)
    for _ in range(600):
        world.bring(LastTrade("T", world.trades))
        world.pass_by(1)
    assert world.ms - 75_000 < max(world.marks("ws_trades")) < world.ms
    world.trade(lost=True)
    world.bring(LastTrade("T", world.trades))
    world.pass_by(1)
    world.bring(LastTrade("T", world.trades))
    [from_ms] = world.marks("ws_trades", "gap", "from")
    assert max(world.marks("ws_trades")) <= from_ms < world.ms - 2_000


def test_a_ticker_of_which_little_is_known_follows_its_neighbours() -> None:
    world = World()
    world.ticker()
    world.live(180, trade=1)
    assert max(world.marks("ws_ticker")) > world.ms - 65_000
    marked_ms = world.marks("ws_ticker")[-1]
    world.line.disrupted("disconnect")
    world.live(600, trade=1)
    assert world.marks("ws_ticker")[-1] == marked_ms
    assert world.marks("ws_ticker", "gap", "from") == [marked_ms]
    world.ticker()
    world.live(120, trade=1)
    assert world.marks("ws_ticker")[-1] > world.ms - 65_000


def test_before_the_first_sign_of_life_nothing_is_promised() -> None:
    world = World()
    world.live(600, trade=1)
    assert world.marks("ws_ticker") == []


@pytest.mark.parametrize("seed", range(3))
def test_whatever_dies_each_lost_event_is_in_a_gap_and_after_all_watermarks_before_it(
    seed,
) -> None:
    chance = random.Random(seed)
    world = World()
    pace_s = chance.choice([1, 3, 8])
    world.live(30 * pace_s, trade=pace_s, ticker=pace_s)
    for _ in range(3):
        dead = chance.choice([["ws_trades"], ["ws_ticker"], ["ws_trades", "ws_ticker"]])
        is_line = chance.random() < 0.5
        # A ticker that comes back before its pace allows an alarm has lost what nothing shows.
        least_s = 0 if is_line else 40 + 8 * pace_s
        for second in range(least_s + chance.randrange(90)):
            for type_, make in zip(PRICES, (world.ticker, world.trade), strict=True):
                if second % pace_s == 0:
                    make(lost=is_line or type_ in dead)
            world.pass_by(1)
        if is_line:
            world.line.disrupted(chance.choice(["stall", "disconnect"]))
        world.live(30 * pace_s, trade=pace_s, ticker=pace_s)
    for type_ in PRICES:
        untold = [at for at in world.lost[type_] if not is_told(world, type_, at)]
        assert untold == [], f"seed {seed}: {type_}"


def is_told(world, type_, lost_ms):
    """Whether a gap has it, before which no watermark had promised that it is there."""
    promised_ms = 0
    for value, _ in world.records(type_):
        if value.get("e") == "watermark":
            promised_ms = value["E"] - NOW_MS
        elif value.get("e") == "gap" and promised_ms <= lost_ms:
            to_ms = value["to"] or world.ms + NOW_MS
            if value["from"] <= lost_ms + NOW_MS <= to_ms:
                return True
    return False


def test_quiet_units_follow_the_lines_frames_and_nothing_else() -> None:
    clock = LineClock()
    clock.tick(0.0)
    assert clock.complete_ms("exchange") == clock.complete_ms("received") == 0
    clock.saw(NOW_MS, "exchange")
    clock.heard_ns = 1
    for now_s in (100.0, 101.0, 400.0, 700.0):
        clock.tick(now_s)
        assert clock.complete_ms("exchange") == NOW_MS - 2_000
    clock.heard_ns = 2
    clock.tick(800.0)
    assert clock.complete_ms("exchange") == NOW_MS - 2_000 + 590_000
    clock.tick(900.0)
    assert clock.complete_ms("exchange") == NOW_MS - 2_000 + 590_000
    clock.saw(NOW_MS + 790_000, "exchange")
    clock.tick(901.0)
    assert clock.complete_ms("exchange") == NOW_MS + 788_000
    clock.heard_ns = 7_000_000_000
    assert clock.complete_ms("received") == 5_000
