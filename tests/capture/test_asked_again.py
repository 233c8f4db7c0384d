"""A process ends while something is being fetched; the next one fetches the rest, once.

The topic of the first life is folded as at a start; the second life has the real line maker
and the real backfill, over an exchange whose REST side is made up.
"""

import json
import random
import threading

import pytest
from capture_rig import FAST, FakeProducer

from container_worker.capture.asked_again import asked_again
from container_worker.capture.backfill import Backfill
from container_worker.capture.budgets import Budgets
from container_worker.capture.candle_sync import HISTORY
from container_worker.capture.desk import Surroundings
from container_worker.capture.emissions import Write, gap
from container_worker.capture.known_records import NOTHING, LastKnown, advanced
from container_worker.capture.line_maker import LineMaker, Requests
from container_worker.capture.orders import Order
from container_worker.capture.reach import Reach
from container_worker.capture.unit import make_sync
from container_worker.exchanges.adapter import (
    Adapter,
    Channel,
    Endpoints,
    Limits,
    RestCandles,
    RestRequest,
    RestTrades,
)
from container_worker.exchanges.binance import ADAPTER as BINANCE
from container_worker.exchanges.outcomes import CandleState, Trade
from marketdata import codec
from marketdata.instruments import Instrument
from marketdata.messages import Gap

NOW = 1_723_161_600_000
MINUTE = 60_000
THIS_MINUTE = NOW // MINUTE
TRADES, CANDLES = Channel("T", "ws_trades"), Channel("T", "ws_candles")
WHOSE = Instrument("x", "T", "T/X", "T", "X")


def trade(id_):
    return Trade("T", id_, NOW + id_, "10", "1", "BUY")


def candle(minute, *, closed=True):
    start = NOW + minute * MINUTE
    return CandleState("T", start + MINUTE, start, MINUTE, "1m", *"12345", closed)


def told(first, last):
    return gap(Gap(NOW, "T", "x", first, last, "disconnect", NOW, NOW))


class Life:
    """What one process wrote, as the next one finds it."""

    def __init__(self, channel) -> None:
        self.channel, self.known = channel, NOTHING
        numbering = BINANCE.numbering[channel.type]
        self._maker = make_sync(channel.type, numbering, WHOSE, recovers=True)

    def live(self, *events):
        for event in events:
            self._write(*self._maker.fill([event]))
        return self

    def late(self, *events):
        for event in events:
            self._write(*self._maker.fill([event]), backfill=True)
        return self

    def lose(self, first, last):
        self._write(told(first, last))
        return self

    def _write(self, write, *, backfill=False):
        assert isinstance(write, Write)
        fields = codec.HeaderFields(backfill=backfill)
        value = codec.encode(write.message)
        self.known = advanced(self.known, self.channel.type, fields, value)


class Exchange:
    """A REST side that has all trades and most candles, a page of ten at a time."""

    def __init__(self, quiet=()) -> None:
        self.quiet, self.asked = set(quiet), []
        limits = Limits(1, 100, 1.0, 1e6, 1e6, 10**9, None)
        self.adapter = Adapter(
            name="x",
            numbering=BINANCE.numbering,
            limits=limits,
            restricted="",
            socket=BINANCE.socket,
            trades=RestTrades(self._request, self._trades, 10),
            candles=RestCandles(self._request, self._candles, 500),
        )

    def get(self, request):
        self.asked.append(tuple(map(int, request.path.split())))
        return request.path.encode()

    def _request(self, _ticker, first, last):
        return RestRequest(f"{first} {last}", 1)

    def _trades(self, body, _ticker):
        first, last = map(int, body.split())
        return [trade(id_) for id_ in range(first, last + 1)]

    def _candles(self, body, _ticker, before_ms):
        first, last = ((int(at) - NOW) // MINUTE for at in body.split())
        there = (one for one in range(first, last + 1) if one not in self.quiet)
        return [one for one in map(candle, there) if one.event_ms <= before_ms]


class NextLife:
    """The second process, up to where it has asked for everything."""

    def __init__(self, channel, known, exchange) -> None:
        self.producer, stop = FakeProducer(), threading.Event()
        self.backfill = Backfill(
            exchange.adapter,
            exchange.get,
            report=lambda _error, _tickers: None,
            fail=lambda _error: None,
            timing=FAST,
            chance=random.Random(1),
        )
        around = Surroundings(
            producer=self.producer,
            epoch=2,
            rejects_topic=None,
            history_topic=None,
            timing=FAST,
            stop=stop,
            last_known={("x", channel): known},
            report=lambda *_: None,
            lost=lambda *_: None,
            fail=lambda _error: None,
            listed=lambda _instruments: None,
        )
        maker = LineMaker(
            Reach(exchange.adapter, Endpoints("ws://x", "http://x")),
            {"T": WHOSE},
            around,
            chance=random.Random(1),
            requests=Requests(exchange.get, None, self.backfill.request),
            budgets=Budgets(exchange.adapter.limits, FAST.restricted),
            wake=lambda: None,
        )
        self.line, _ = maker.line([Order(channel, "q", "topic", lambda: None)])
        maker.ask_again(self.line)

    def written(self):
        records = list(self.producer.records)
        assert all(codec.BACKFILL in one.headers for one in records)
        values = [json.loads(one.value) for one in records]
        return [
            one["trade_id"] if "trade_id" in one else (one["timestamp"] - NOW) // MINUTE
            for one in values
        ]


@pytest.fixture
def next_life(wait_until):
    made = []

    def start(channel, known, exchange, count):
        life = NextLife(channel, known, exchange)
        made.append(life)
        life.backfill.start()
        wait_until(lambda: len(life.written()) >= count, 10, "all that was missing")
        return life.written()

    yield start
    for life in made:
        life.backfill.close()
        life.backfill.join(10)


def test_trades_that_the_process_before_had_not_fetched_are_fetched_once(next_life) -> None:
    life = Life(TRADES).live(trade(10)).lose(11, 60).live(trade(61)).lose(62, 64)
    life.live(trade(65)).late(*map(trade, range(11, 31)), trade(40))
    exchange = Exchange()
    found = next_life(TRADES, life.known, exchange, 32)
    assert found == [*range(31, 40), *range(41, 61), 62, 63, 64]
    assert [span for span in exchange.asked if span[0] < 31] == []


def test_a_history_that_was_cut_off_comes_whole_and_nothing_twice(next_life) -> None:
    quiet = range(-300, -290)
    life = Life(CANDLES).live(candle(0, closed=False))
    life.late(*map(candle, range(-HISTORY, -600)))
    missing = [minute for minute in range(-600, 0) if minute not in quiet]
    assert next_life(CANDLES, life.known, Exchange(quiet), len(missing)) == missing


def test_a_history_that_was_refused_comes_at_the_next_start(next_life) -> None:
    life = Life(CANDLES).live(*map(candle, range(90)), candle(90, closed=False))
    first = 90 - HISTORY
    wanted = list(range(first, 0))
    assert next_life(CANDLES, life.known, Exchange(), len(wanted)) == wanted


def test_a_hole_in_candles_from_before_the_history_is_asked_for_too() -> None:
    known = Life(CANDLES).lose(NOW, NOW + 9 * MINUTE).live(candle(2 * HISTORY)).known
    first = NOW + HISTORY * MINUTE
    last = NOW + (2 * HISTORY - 1) * MINUTE
    spans = [(NOW, NOW + 9 * MINUTE), (first, last)]
    assert asked_again(known, "ws_candles") == spans
    early = known._replace(told=((THIS_MINUTE + HISTORY - 5, THIS_MINUTE + HISTORY + 5),))
    hole = (first - 5 * MINUTE, first - MINUTE)
    assert asked_again(early, "ws_candles") == [hole, (first, last)]


def test_where_nothing_is_missing_nothing_is_asked_for() -> None:
    whole = Life(CANDLES).live(*map(candle, range(HISTORY + 1))).known
    assert asked_again(whole, "ws_candles") == []
    assert asked_again(Life(TRADES).live(trade(7)).known, "ws_trades") == []
    assert asked_again(LastKnown(None, 0), "ws_candles") == []


def test_another_tape_has_other_trades_under_the_same_ids() -> None:
    known = Life(TRADES).live(trade(10)).late(trade(3)).known
    sync = make_sync("ws_trades", "exchange", WHOSE, known, recovers=True)
    assert sync.fill([trade(3)]) == []
    sync.take(Trade("T", 1, NOW - 3_600_000, "10", "1", "BUY"), NOW)
    assert len(sync.fill([trade(3)])) == 1
