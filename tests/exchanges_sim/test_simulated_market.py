"""The simulated market's core, without a socket: repeatable, consistent, true at every id."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.exchanges.binance.instruments import TABLE, instrument, load_tickers
from local.exchanges.binance.payloads import snapshot
from local.exchanges.binance.venue import SimulatedMarket
from local.exchanges.candles import window
from local.exchanges.ladder import Ladder, UnknownBook
from marketdata.errors import InputError

START_MS = 1_723_161_590_000


def market(seed=7, tickers=("BTCUSDT", "ETHUSDT")):
    return SimulatedMarket([instrument(ticker) for ticker in tickers], seed, START_MS)


def run(market, steps, wanted=lambda _: True):
    now_ms, frames = START_MS, []
    for step in steps:
        now_ms += step
        frames += market.step(now_ms, wanted)
    return frames


def payloads(frames, stream):
    return [json.loads(frame.payload) for frame in frames if frame.stream == stream]


def test_same_seed_and_times_give_the_same_frames_byte_for_byte():
    steps = [50] * 400
    assert run(market(), steps) == run(market(), steps)


def test_another_seed_gives_another_market():
    assert run(market(1), [50] * 20) != run(market(2), [50] * 20)


def test_what_is_sent_does_not_depend_on_who_listens():
    everything = run(market(), [50] * 400)
    trades = run(market(), [50] * 400, lambda stream: stream == "btcusdt@trade")
    assert trades == [frame for frame in everything if frame.stream == "btcusdt@trade"]


def test_a_ticker_does_not_depend_on_its_neighbours():
    alone = run(market(tickers=("ETHUSDT",)), [50] * 100)
    together = [frame for frame in run(market(), [50] * 100) if frame.ticker == "ETHUSDT"]
    assert alone == together


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    ticker=st.sampled_from([*TABLE, "ADAUSDT", "SIM0001USDT"]),
    steps=st.lists(st.integers(1, 700), min_size=5, max_size=80),
)
def test_diffs_are_consecutive_and_make_the_true_book_that_never_crosses(seed, ticker, steps):
    served = market(seed, (ticker,))
    ladder = served.ladder(ticker)
    begin = json.loads(snapshot(ladder.text(5000)))
    sides = {"b": dict(begin["bids"]), "a": dict(begin["asks"])}
    last = begin["lastUpdateId"]
    for event in payloads(run(served, steps), f"{ticker.lower()}@depth@100ms"):
        assert event["U"] == last + 1
        assert event["u"] >= event["U"]
        last = event["u"]
        for name, side in sides.items():
            for price, quantity in event[name]:
                if Decimal(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)
        book = json.loads(snapshot(ladder.at(last)))
        assert sides == {"b": dict(book["bids"]), "a": dict(book["asks"])}
        assert max(map(Decimal, sides["b"])) < min(map(Decimal, sides["a"]))
    assert min(len(side) for side in sides.values()) > 1_000


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32), steps=st.lists(st.integers(20, 700), min_size=20, max_size=60)
)
def test_trades_have_consecutive_ids_and_stand_between_the_sides(seed, steps):
    served = market(seed, ("BTCUSDT",))
    frames = run(served, steps)
    trades = payloads(frames, "btcusdt@trade")
    assert (
        [trade["t"] for trade in trades]
        == [trades[0]["t"] + number for number in range(len(trades))]
        if trades
        else True
    )
    best = None
    for frame in frames:
        message = json.loads(frame.payload)
        if frame.stream == "btcusdt@bookTicker":
            assert Decimal(message["b"]) < Decimal(message["a"])
            best = message
        elif frame.stream == "btcusdt@trade" and best:
            price = Decimal(message["p"])
            assert price <= Decimal(best["b"]) if message["m"] else price >= Decimal(best["a"])
    times = [trade["T"] for trade in trades]
    assert times == sorted(times)
    assert all(trade["T"] <= trade["E"] for trade in trades)


def test_aggregated_trades_cover_the_trades():
    frames = run(market(3), [50] * 2000)
    trades = {trade["t"]: trade for trade in payloads(frames, "btcusdt@trade")}
    aggregates = payloads(frames, "btcusdt@aggTrade")
    numbers = [each["a"] for each in aggregates]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    covered = []
    for each in aggregates:
        parts = [trades[number] for number in range(each["f"], each["l"] + 1)]
        covered += [part["t"] for part in parts]
        assert {part["p"] for part in parts} == {each["p"]}
        assert sum(Decimal(part["q"]) for part in parts) == Decimal(each["q"])
    assert covered == list(trades)
    assert any(each["l"] > each["f"] for each in aggregates)


@pytest.mark.parametrize("interval", ["1s", "1m", "5m"])
def test_closed_candles_are_those_of_the_trades(interval):
    venue = market(5, ("BTCUSDT",))
    past = [
        {"t": trade.trade_id, "p": trade.price, "q": trade.quantity, "T": trade.time_ms}
        for trade in venue.trades("BTCUSDT").trades
    ]
    frames = run(venue, [50] * 8_000)
    trades = past + payloads(frames, "btcusdt@trade")
    closed = [
        message["k"]
        for message in payloads(frames, f"btcusdt@kline_{interval}")
        if message["k"]["x"]
    ]
    assert closed
    for candle in closed:
        within = [trade for trade in trades if candle["t"] <= trade["T"] <= candle["T"]]
        assert candle["n"] == len(within)
        if not within:
            continue
        prices = [Decimal(trade["p"]) for trade in within]
        told = [Decimal(candle[name]) for name in "ohlc"]
        assert told == [prices[0], max(prices), min(prices), prices[-1]]
        assert Decimal(candle["v"]) == sum(Decimal(trade["q"]) for trade in within)
        assert (candle["f"], candle["L"]) == (within[0]["t"], within[-1]["t"])


@pytest.mark.parametrize(
    ("interval", "time_ms", "start", "end"),
    [
        ("1m", 1_723_161_599_999, 1_723_161_540_000, 1_723_161_600_000),
        ("1w", 1_723_161_599_999, 1_722_816_000_000, 1_723_420_800_000),
        ("1M", 1_723_161_599_999, 1_722_470_400_000, 1_725_148_800_000),
        ("1M", 1_735_000_000_000, 1_733_011_200_000, 1_735_689_600_000),
    ],
)
def test_a_candle_begins_where_binance_begins_it(interval, time_ms, start, end):
    assert window(interval, time_ms) == (start, end)


def test_partial_books_are_the_top_of_the_true_book():
    served = market(11, ("BTCUSDT",))
    for frame in run(served, [50] * 100):
        if frame.stream == "btcusdt@depth20@100ms":
            told = json.loads(frame.payload)
            true = json.loads(snapshot(served.ladder("BTCUSDT").at(told["lastUpdateId"])))
            assert told["bids"] == true["bids"][:20]
            assert told["asks"] == true["asks"][:20]


def test_a_forgotten_or_future_book_is_a_clear_error():
    ladder = Ladder(steps=10)
    ladder.load(100, [])
    for number in range(101, 121):
        ladder.apply(number, [])
    assert ladder.at(110).update_id == 110
    with pytest.raises(UnknownBook, match="109 is not known: ids 110 to 120 are"):
        ladder.at(109)
    with pytest.raises(UnknownBook, match="121 is not known"):
        ladder.at(121)


def test_a_book_inside_a_recorded_update_is_a_clear_error():
    ladder = Ladder()
    ladder.load(100, [])
    ladder.apply(105, [])
    ladder.apply(109, [])
    with pytest.raises(UnknownBook, match="103 is not known: 100 and 105 are known"):
        ladder.at(103)


def test_prices_and_quantities_are_multiples_of_tick_and_step_in_eight_digits():
    frames = run(market(2, ("XRPUSDT",)), [50] * 200)
    item = TABLE["XRPUSDT"]
    levels = [
        level
        for event in payloads(frames, "xrpusdt@depth@100ms")
        for level in event["b"] + event["a"]
    ]
    assert levels
    for price, quantity in levels:
        assert len(price.partition(".")[2]) == len(quantity.partition(".")[2]) == 8
        assert Decimal(price) * 10**8 % item.tick == 0
        assert Decimal(quantity) * 10**8 % item.step == 0


def test_any_number_of_tickers_can_be_made_up():
    names = load_tickers(300)
    assert len({instrument(name).ticker for name in names}) == 300
    with pytest.raises(InputError, match="'btcusdt' cannot be simulated"):
        instrument("btcusdt")
