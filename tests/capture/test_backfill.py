"""What was missed is fetched: pages, bounds, refusals; and from a real simulator."""

import logging
import random
import threading
import time

import pytest

from container_worker.capture import backfill as backfill_module
from container_worker.capture.backfill import MOST_HOLES, Backfill
from container_worker.capture.budgets import Budgets
from container_worker.capture.hole import MINUTE_MS, MOST_CANDLES, MOST_TRADES
from container_worker.capture.rest import RestClient
from container_worker.capture.timing import Timing
from container_worker.exchanges.adapter import (
    Adapter,
    Channel,
    Limits,
    RestCandles,
    RestRequest,
    RestTrades,
)
from container_worker.exchanges.binance import ADAPTER as BINANCE
from container_worker.exchanges.outcomes import CandleState, Trade
from marketdata.errors import (
    BadCredential,
    BrokerError,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    RateLimited,
)

SEED = 20261104
TIMING = Timing(backoff_base=0.01, backoff_cap=0.05)
TRADES = Channel("BTC-USD", "ws_trades")
CANDLES = Channel("BTC-USD", "ws_candles")
DAY_MS = 1_790_035_200_000


def trade(id_, ticker="BTC-USD"):
    return Trade(ticker, id_, DAY_MS + id_, "1.50", "2", "BUY")


def candle(start_ms, ticker="BTC-USD"):
    ends_ms = start_ms + MINUTE_MS
    return CandleState(
        ticker, ends_ms, start_ms, MINUTE_MS, "1m", "1", "1", "1", "1", "1", closed=True
    )


class Exchange:
    """An exchange's REST side: what it has, how it pages, what it refuses; keeps requests."""

    def __init__(self, ids=(), starts=(), *, per_page=10, limits=(10**9, None), sloppy=False):
        self.ids, self.starts = set(ids), set(starts)
        self.per_page, self.sloppy = per_page, sloppy
        self.errors = []
        self.asked = []
        self.lag = {}
        per_minute, burst = limits
        self.adapter = Adapter(
            name="madeup",
            numbering={"ws_trades": "exchange", "ws_candles": "snapshots"},
            limits=Limits(1, 1, 1.0, 1.0, 1.0, per_minute, burst),
            restricted="",
            trades=RestTrades(self._request("t"), self._trades, per_page),
            candles=RestCandles(self._request("c"), self._candles, per_page),
        )

    def _request(self, kind):
        return lambda ticker, first, last: RestRequest(f"{kind} {ticker} {first} {last}", 1)

    def get(self, request):
        self.asked.append(request.path)
        if self.errors:
            error = self.errors.pop(0)
            if error is not None:
                raise error
        return request.path.encode()

    def _span(self, body):
        _, _, first, last = body.decode().split()
        self.lag = {id_: left - 1 for id_, left in self.lag.items() if left > 1}
        return int(first), int(last)

    def _trades(self, body, ticker):
        """A sloppy one tells what lies around the page too, as real ones do."""
        first, last = self._span(body)
        wide = 3 if self.sloppy else 0
        there = sorted(self.ids - self.lag.keys())
        found = [id_ for id_ in there if first - wide <= id_ <= last + wide]
        return [trade(id_, ticker) for id_ in found]

    def _candles(self, body, ticker, before_ms):
        first, last = self._span(body)
        wide = 2 * MINUTE_MS if self.sloppy else 0
        there = sorted(self.starts - self.lag.keys())
        return [
            candle(start, ticker)
            for start in there
            if first - wide <= start <= last + wide and start + MINUTE_MS <= before_ms
        ]


class Run:
    """A backfill at work; `pages` has what was delivered."""

    def __init__(self, exchange, *, get=None, start=True, timing=TIMING):
        self.pages = []
        self.reports = []
        self.failure = None
        self.room = 10**9
        self.ended = threading.Event()
        self.backfill = Backfill(
            exchange.adapter if isinstance(exchange, Exchange) else exchange,
            get or exchange.get,
            report=lambda error, tickers: self.reports.append((error, tickers)),
            fail=self._fail,
            timing=timing,
            chance=random.Random(SEED),
        )
        if start:
            self.backfill.start()

    def _fail(self, error):
        self.failure = error

    def take(self, channel, events):
        taken = list(events)[: self.room]
        self.pages.append((channel, taken))
        return len(taken)

    def ask(self, channel, first, last):
        self.backfill.request(channel, first, last, self.take)

    def ids(self, channel=TRADES):
        return [one.id for to, page in self.pages if to == channel for one in page]

    def starts(self, channel=CANDLES):
        return [one.start_ms for to, page in self.pages if to == channel for one in page]

    def end(self):
        self.backfill.close()
        if self.backfill.ident is not None:
            self.backfill.join(10)
            assert not self.backfill.is_alive()


@pytest.fixture
def run():
    """`run(exchange, …)` starts a backfill; all are ended."""
    runs = []

    def start(*arguments, **options):
        runs.append(Run(*arguments, **options))
        return runs[-1]

    yield start
    for one in runs:
        one.end()


@pytest.fixture
def said(caplog):
    """`said(event)`: the fields of each line of the log with this name."""
    caplog.set_level(logging.INFO, logger="tapedeck")

    def lines(event):
        return [one.fields for one in list(caplog.records) if one.getMessage() == event]

    return lines


def minutes(count, at=0):
    return [DAY_MS + MINUTE_MS * (at + number) for number in range(count)]


def test_a_hole_in_trades_comes_page_by_page_in_order_and_nothing_around_it(run, wait_until):
    exchange = Exchange(range(1, 100), sloppy=True)
    one = run(exchange)
    one.ask(TRADES, 20, 54)
    wait_until(lambda: len(one.ids()) == 35)
    assert one.ids() == list(range(20, 55))
    assert all(channel == TRADES for channel, _ in one.pages)
    assert len(one.pages) == 3
    assert len(exchange.asked) == 3


def test_a_hole_in_candles_comes_page_by_page_over_quiet_minutes(run, wait_until, said):
    starts = [*minutes(3), *minutes(4, at=27), *minutes(1, at=39)]
    exchange = Exchange(starts=[*starts, *minutes(5, at=40)], sloppy=True)
    one = run(exchange)
    one.ask(CANDLES, DAY_MS, DAY_MS + 39 * MINUTE_MS)
    wait_until(lambda: said("capture.backfilled"))
    assert one.starts() == starts
    assert len(exchange.asked) == 4


def test_random_holes_of_a_random_history_come_whole_and_once(run, wait_until, said):
    print(f"seed {SEED}: pytest {__file__} -k random_holes")  # noqa: T201
    rng = random.Random(SEED)
    for _ in range(40):
        begin = rng.randrange(1, 400)
        starts = [start for start in minutes(400) if rng.random() < 0.6]
        exchange = Exchange(
            range(begin, 1_000),
            starts,
            per_page=rng.randrange(1, 60),
            sloppy=rng.random() < 0.5,
        )
        first = rng.randrange(begin, 900)
        last = rng.randrange(first, 1_000)
        from_ms, to_ms = sorted(rng.choices(minutes(400), k=2))
        one = run(exchange)
        one.ask(CANDLES, from_ms, to_ms)
        one.ask(TRADES, first, last)
        wanted = [start for start in starts if from_ms <= start <= to_ms]
        ids = list(range(first, last + 1))
        wait_until(
            lambda one=one, wanted=wanted, ids=ids: (one.starts(), one.ids()) == (wanted, ids),
            what=f"both holes of seed {SEED}",
        )
        assert one.reports == []
        one.end()


def test_trades_that_are_gone_are_given_up_after_two_empty_pages_and_said(
    run, wait_until, said
):
    exchange = Exchange(range(1, 30))
    one = run(exchange)
    one.ask(TRADES, 15, 60)
    wait_until(lambda: said("capture.backfill_ended"))
    assert one.ids() == list(range(15, 30))
    [line] = said("capture.backfill_ended")
    assert (line["found"], line["first"], line["last"]) == (15, 30, 60)
    assert exchange.asked[-2:] == ["t BTC-USD 30 39"] * 2
    assert one.reports == []


def test_what_the_exchanges_database_has_only_a_moment_later_is_not_given_up(run, wait_until):
    exchange = Exchange(range(1, 30), minutes(5))
    exchange.lag = dict.fromkeys(range(10, 30), 3)
    one = run(exchange)
    one.ask(TRADES, 5, 25)
    wait_until(lambda: one.ids() == list(range(5, 26)))
    exchange.lag = dict.fromkeys(minutes(1, at=4), 2)
    one.ask(CANDLES, DAY_MS, DAY_MS + 4 * MINUTE_MS)
    wait_until(lambda: one.starts() == minutes(5))


def test_what_finds_no_room_is_delivered_again_once_and_without_another_request(
    run, wait_until, said
):
    exchange = Exchange(range(1, 26), per_page=10)
    one = run(exchange)
    one.room = 4
    one.ask(TRADES, 1, 25)
    wait_until(lambda: one.ids() == list(range(1, 26)))
    assert exchange.asked == ["t BTC-USD 1 10", "t BTC-USD 11 20", "t BTC-USD 21 25"]
    one.room = 0
    one.ask(TRADES, 1, 3)
    wait_until(lambda: len([page for _, page in one.pages if not page]) > 2)
    one.room = 10
    wait_until(lambda: len(said("capture.backfilled")) == 2)
    assert one.ids() == [*range(1, 26), 1, 2, 3]
    assert len(exchange.asked) == 4


def test_an_empty_hole_and_a_type_without_history_ask_for_nothing(run):
    exchange = Exchange(range(100))
    one = run(exchange, start=False)
    one.ask(TRADES, 5, 4)
    one.ask(Channel("BTC-USD", "ws_ticker"), 1, 5)
    one.ask(Channel("BTC-USD", "ws_diff_depth"), 1, 5)
    assert one.backfill._holes == []


def test_of_a_very_large_hole_the_newest_part_is_asked_for_and_the_rest_is_said(run, said):
    exchange = Exchange()
    one = run(exchange, start=False)
    one.ask(TRADES, 1, 1_000_000)
    one.ask(CANDLES, DAY_MS, DAY_MS + 5_000 * MINUTE_MS)
    one.ask(TRADES, 1, MOST_TRADES)
    trades, candles, whole = one.backfill._holes
    assert trades.last - trades.first + 1 == MOST_TRADES
    assert (candles.last - candles.first) // MINUTE_MS + 1 == MOST_CANDLES
    assert whole.first == 1
    assert [line["lost_from"] for line in said("capture.backfill_cut")] == [1, DAY_MS]


def test_when_too_many_holes_wait_the_oldest_is_given_up_and_named(run):
    one = run(Exchange(), start=False)
    for number in range(MOST_HOLES + 1):
        one.ask(Channel(f"T{number}", "ws_trades"), 7, 9)
    [(error, tickers)] = one.reports
    assert tickers == ("T0",)
    assert "madeup T0: ws_trades from 7 to 9 are not fetched: more than 256" in str(error)
    assert len(one.backfill._holes) == MOST_HOLES


def test_a_failed_request_is_tried_again_and_reported_with_its_ticker(
    run, wait_until, monkeypatch
):
    monkeypatch.setattr(backfill_module, "_LEAST_PAUSE_S", 0.2)
    exchange = Exchange(range(1, 30))
    exchange.errors = [ExchangeUnavailable("down"), None, DecodeError("rubbish")]
    one = run(exchange, timing=Timing(backoff_base=0.0, backoff_cap=0.0))
    began = time.monotonic()
    one.ask(TRADES, 1, 25)
    wait_until(lambda: one.ids() == list(range(1, 26)))
    assert [(str(error), tickers) for error, tickers in one.reports] == [
        ("down", ("BTC-USD",)),
        ("rubbish", ("BTC-USD",)),
    ]
    assert time.monotonic() - began >= 0.4


def test_what_is_refused_five_times_is_given_up_and_the_next_hole_has_its_turn(
    run, wait_until, said, monkeypatch
):
    monkeypatch.setattr(backfill_module, "pause_s", lambda *_: 0.0)
    monkeypatch.setattr(backfill_module, "_LEAST_PAUSE_S", 0.0)
    exchange = Exchange(range(1, 30))
    exchange.errors = [ExchangeError(f"HTTP 400 number {number}") for number in range(5)]
    one = run(exchange)
    one.ask(Channel("BAD", "ws_trades"), 1, 5)
    one.ask(TRADES, 1, 5)
    wait_until(lambda: one.ids() == [1, 2, 3, 4, 5])
    assert "BAD: ws_trades from 1 to 5 are not fetched: HTTP 400" in str(one.reports[-1][0])
    assert len(said("capture.backfill_given_up")) == 1


def test_who_is_limited_asks_for_no_other_hole_either(run, wait_until):
    exchange = Exchange(range(1, 30))
    exchange.errors = [RateLimited("slow down", retry_after_s=1.0)]
    one = run(exchange, start=False)
    one.ask(TRADES, 1, 5)
    one.ask(Channel("ETH-USD", "ws_trades"), 1, 5)
    began = time.monotonic()
    one.backfill.start()
    wait_until(lambda: len(one.pages) == 2)
    assert time.monotonic() - began >= 1.0


def test_without_a_key_the_type_is_closed_and_said_once(run, wait_until):
    exchange = Exchange(range(1, 30), minutes(10))
    exchange.errors = [BadCredential("api.example does not accept the credential (HTTP 401)")]
    one = run(exchange, start=False)
    for ticker in ("BTC-USD", "ETH-USD"):
        one.ask(Channel(ticker, "ws_trades"), 1, 5)
    one.ask(CANDLES, DAY_MS, DAY_MS)
    one.backfill.start()
    wait_until(lambda: one.starts() == minutes(1))
    one.ask(TRADES, 1, 5)
    assert one.backfill._holes == []
    [(error, tickers)] = one.reports
    assert "gaps in ws_trades stay: madeup gives the past only with a key" in str(error)
    assert tickers == ("BTC-USD", "ETH-USD")
    assert len(exchange.asked) == 2


def test_half_of_the_exchanges_budget_is_left_to_others(run, wait_until):
    """40 % of 600 a minute are 4 a second; a burst of 20 allows 8 at once."""
    exchange = Exchange(range(1, 400), limits=(600, 20))
    one = run(exchange)
    one.ask(TRADES, 1, 390)
    wait_until(lambda: len(exchange.asked) >= 8)
    at_once = time.monotonic()
    wait_until(lambda: len(exchange.asked) >= 12)
    assert time.monotonic() - at_once > 0.8
    one.backfill.close()
    one.backfill.join(5)
    assert len(exchange.asked) < 16


def test_the_end_of_kafka_ends_it_and_a_close_ends_it_while_it_waits(run, wait_until):
    exchange = Exchange(range(1, 30))
    one = run(exchange)

    def refuse(channel, events):
        raise BrokerError("no more")

    one.backfill.request(TRADES, 1, 5, refuse)
    wait_until(lambda: one.failure is not None)
    assert isinstance(one.failure, BrokerError)
    exchange.errors = [ExchangeUnavailable("down", retry_after_s=60.0)]
    waiting = run(exchange)
    waiting.ask(TRADES, 1, 5)
    wait_until(lambda: waiting.reports)
    began = time.monotonic()
    waiting.end()
    assert time.monotonic() - began < 2


def client(exchange):
    return RestClient(
        BINANCE, exchange.rest, 5.0, threading.Event(), Budgets(BINANCE.limits, 1.0)
    ).get


def test_binances_simulator_gives_the_trades_and_candles_that_it_had(exchange, run, wait_until):
    """What the newest page and the candles say is the witness; two minutes pass in a second."""
    simulator = exchange("--tickers", "BTCUSDT", "--seed", "5", "--speed", "120")
    channel, candles = Channel("BTCUSDT", "ws_trades"), Channel("BTCUSDT", "ws_candles")
    wait_until(lambda: len(_rows(simulator, "klines?symbol=BTCUSDT&interval=1m")) > 5, 20)
    told = _rows(simulator, "trades?symbol=BTCUSDT&limit=1000")
    first, last = told[0]["id"], told[-1]["id"]
    one = run(BINANCE, get=client(simulator))
    one.ask(channel, first, last)
    rows = _rows(simulator, "klines?symbol=BTCUSDT&interval=1m")
    one.ask(candles, rows[0][0], rows[-2][0])
    wait_until(lambda: len(one.ids(channel)) >= len(told))
    fetched = [event for to, page in one.pages if to == channel for event in page]
    assert [(t.id, t.price, t.quantity, t.time_ms, t.side) for t in fetched] == [
        (
            row["id"],
            row["price"],
            row["qty"],
            row["time"],
            "SELL" if row["isBuyerMaker"] else "BUY",
        )
        for row in told
    ]
    wait_until(lambda: len(one.starts(candles)) >= len(rows) - 1)
    got = [event for to, page in one.pages if to == candles for event in page]
    assert [[c.start_ms, c.open, c.high, c.low, c.close, c.volume] for c in got] == [
        row[:6] for row in rows[:-1]
    ]
    assert all(c.closed and c.event_ms == c.start_ms + MINUTE_MS for c in got)
    assert one.reports == []


def _rows(simulator, query):
    return simulator.ask(f"/api/v3/{query}")


def test_binances_refusals_are_waited_for_or_believed(exchange, run, wait_until):
    simulator = exchange("--tickers", "BTCUSDT", "--seed", "5", "--speed", "20")
    wait_until(lambda: len(_rows(simulator, "trades?symbol=BTCUSDT&limit=1000")) > 50)
    told = _rows(simulator, "trades?symbol=BTCUSDT&limit=50")
    first, last = told[0]["id"], told[-1]["id"]
    channel = Channel("BTCUSDT", "ws_trades")
    simulator.fault(kind="refuse", where="rest", status=503, requests=1)
    one = run(BINANCE, get=client(simulator))
    one.ask(channel, first, last)
    wait_until(lambda: one.ids(channel) == list(range(first, last + 1)))
    assert "HTTP 503" in str(one.reports[0][0])
