"""Candles from Kafka's batches into their table, delivered at least once."""

import io
import itertools
import json
import random
from base64 import b64encode
from uuid import uuid4

import msgspec
import pytest

from functions import candles, dynamodb, history, tables
from functions.candles import candles_table
from functions.logic.candle_items import CandleRecord, PairSource, supersedes
from functions.telemetry import logger
from marketdata.errors import StoreUnavailable
from marketdata.messages import Candle

pytestmark = pytest.mark.services

MINUTE = 60_000
SEEDS = (1, 20261121)


def clear():
    for made in (candles.candles_table, tables.ring_table, dynamodb._client):
        made.cache_clear()


@pytest.fixture(autouse=True)
def table(functions):
    """The functions' table of candles, made anew."""
    clear()
    yield candles_table()
    clear()


@pytest.fixture
def ticker():
    """A ticker that no other test has."""
    return f"{uuid4().hex[:8].upper()}-EUR"


@pytest.fixture
def log(monkeypatch):
    """`log()`: the last line that the functions logged."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return lambda: json.loads(stream.getvalue().splitlines()[-1])


def symbol_of(ticker):
    return ticker.replace("-", "/")


def candle(ticker, start=MINUTE, close="2.50", *, closed=True, interval="1m"):
    return {
        "pair": symbol_of(ticker),
        "timestamp": start,
        "open": 1.0,
        "high": 3,
        "low": 0.5,
        "close": msgspec.Raw(close.encode()),
        "volume": msgspec.Raw(b"1e-7"),
        "source": "blockchain",
        "interval": interval,
        "closed": closed,
    }


def record(offset, ticker, value, **headers):
    """A member of an event, as Lambda is given it."""
    told = {"type": "ws_candles", "queue_id": "demo", "epoch": "5", **headers}
    return {
        "topic": "candles",
        "partition": 0,
        "offset": offset,
        "key": b64encode(f"blockchain:{ticker}".encode()).decode(),
        "value": b64encode(
            value if isinstance(value, bytes) else msgspec.json.encode(value)
        ).decode(),
        "headers": [{name: list(text.encode())} for name, text in told.items()],
    }


def deliver(*records):
    history.handler({"records": {"candles-0": list(records)}}, None)


def kept(ticker, interval="1m", table=None):
    """The candles in the table as `{start: (close, closed)}`."""
    found = (table or candles_table()).range(
        PairSource("blockchain", symbol_of(ticker), ticker), interval, 0, 10**12, 1000
    )
    return {one.timestamp: (bytes(one.close).decode(), one.closed) for one in found}


def test_a_growing_candle_is_kept_in_its_newest_state_with_its_own_digits(ticker, table):
    deliver(
        record(1, ticker, candle(ticker, close="2.10", closed=False)),
        record(2, ticker, candle(ticker, close="2.500", closed=False)),
    )
    [found] = table.range(
        PairSource("blockchain", symbol_of(ticker), ticker), "1m", 0, 10**12, 9
    )
    assert found == msgspec.convert(
        {
            **candle(ticker, close="2.500", closed=False),
            **{
                name: msgspec.Raw(text)
                for name, text in {
                    "open": b"1.0",
                    "high": b"3",
                    "low": b"0.5",
                    "volume": b"0.0000001",
                }.items()
            },
        },
        Candle,
    )


def test_a_pair_is_found_by_symbol_and_ticker_once_it_has_a_candle(ticker, table):
    assert table.sources_of(ticker) == {}
    deliver(record(1, ticker, candle(ticker)))
    at = PairSource("blockchain", symbol_of(ticker), ticker)
    assert table.sources_of(ticker) == table.sources_of(at.symbol) == {"blockchain": at}


def test_a_batch_delivered_again_after_newer_ones_changes_nothing(ticker):
    old = record(1, ticker, candle(ticker, close="1", closed=False))
    deliver(old)
    deliver(record(2, ticker, candle(ticker, close="2", closed=False)))
    deliver(old)
    assert kept(ticker) == {MINUTE: ("2", False)}


def test_a_corrected_closed_candle_replaces_the_closed_one(ticker):
    deliver(record(1, ticker, candle(ticker, close="1")))
    deliver(record(2, ticker, candle(ticker, close="2"), backfill="1"))
    assert kept(ticker) == {MINUTE: ("2", True)}


def test_a_growing_state_never_replaces_a_closed_candle(ticker):
    """What is fetched later comes without `closed` where the exchange never says it."""
    deliver(record(1, ticker, candle(ticker, close="1")))
    deliver(record(2, ticker, candle(ticker, close="2", closed=False), backfill="1"))
    assert kept(ticker) == {MINUTE: ("1", True)}


def test_what_a_succeeded_capture_still_writes_does_not_count(ticker):
    deliver(record(1, ticker, candle(ticker, close="1"), epoch="7"))
    deliver(record(2, ticker, candle(ticker, close="2"), epoch="6"))
    assert kept(ticker) == {MINUTE: ("1", True)}


def test_intervals_and_starts_are_candles_of_their_own(ticker):
    deliver(
        record(1, ticker, candle(ticker, close="1")),
        record(2, ticker, candle(ticker, close="2", interval="5m")),
        record(3, ticker, candle(ticker, 2 * MINUTE, close="3")),
    )
    assert kept(ticker) == {MINUTE: ("1", True), 2 * MINUTE: ("3", True)}
    assert kept(ticker, "5m") == {MINUTE: ("2", True)}


def test_marks_are_passed_over_and_poison_is_counted(ticker, log):
    value = candle(ticker)
    poison = [
        record(2, ticker, b"\xff"),
        record(3, ticker, {**value, "close": "2.5"}),
        record(4, ticker, {**value, "close": None}),
        record(5, ticker, {**value, "close": msgspec.Raw(b"1" * 41)}),
        record(6, ticker, {**value, "timestamp": -1}),
        record(7, ticker, {**value, "timestamp": 10**15}),
        record(8, ticker, {**value, "source": "binance"}),
        record(9, ticker, {**value, "pair": "x" * 65}),
        record(10, ticker, value, epoch="x"),
        {**record(11, ticker, value), "value": "*"},
        {**record(12, ticker, value), "key": None},
        "nonsense",
    ]
    mark = b'{"e":"watermark","E":1,"s":"BTC-EUR","x":"blockchain"}'
    deliver(record(1, ticker, mark), *poison, record(13, ticker, value))
    assert kept(ticker) == {MINUTE: ("2.50", True)}
    line = log()
    assert (line["records"], line["marks"], line["poison"]) == (14, 1, len(poison))
    assert (line["candles"], line["written"], line["new_pairs"]) == (1, 1, 1)


def test_while_dynamodb_is_away_the_batch_is_raised_and_can_be_given_again(ticker, monkeypatch):
    batch = record(1, ticker, candle(ticker))
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
        clear()
        with pytest.raises(StoreUnavailable):
            deliver(batch)
    clear()
    deliver(batch)
    assert kept(ticker) == {MINUTE: ("2.50", True)}


def test_a_long_history_is_kept_whole_though_some_of_it_is_there_in_newer_states(ticker):
    """Full hundreds are written together; where one is not newer, each on its own."""
    deliver(record(500, ticker, candle(ticker, 3 * MINUTE, "9")))
    deliver(*(record(one, ticker, candle(ticker, one * MINUTE, "1")) for one in range(205)))
    closes = dict.fromkeys(range(205), "1") | {3: "9"}
    assert kept(ticker) == {one * MINUTE: (close, True) for one, close in closes.items()}


def states(ticker):
    """States of one candle that differ in what the rule looks at."""
    one = msgspec.json.decode(msgspec.json.encode(candle(ticker)), type=Candle)
    for topic, offset, epoch, closed in itertools.product(
        ("t1", "t2", "candles"), (1, 2), (5, 6), (False, True)
    ):
        state = msgspec.structs.replace(one, closed=closed)
        yield CandleRecord(state, ticker, topic, offset, epoch)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_table_and_the_rule_agree_which_state_is_the_newer_one(seed, table):
    """A sample of all pairs, each on a candle of its own."""
    pairs = list(itertools.product(range(24), repeat=2))
    for numbers in random.Random(seed).sample(pairs, 40):
        alone = list(states(uuid4().hex[:12]))
        old, new = (alone[number] for number in numbers)
        assert table.put(old)
        assert table.put(new) == supersedes(new, old), (old, new)


@pytest.mark.parametrize("seed", SEEDS)
def test_deliveries_at_least_once_end_as_the_topic_says(seed, ticker):
    """Batches come again, whole, late, and cut differently; the partition's order is kept."""
    chance = random.Random(seed)
    plan = [
        (chance.randrange(4) * MINUTE, chance.random() < 0.3, chance.randrange(5, 8), offset)
        for offset in range(80)
    ]
    records = [
        record(
            offset, ticker, candle(ticker, start, str(offset), closed=closed), epoch=str(epoch)
        )
        for start, closed, epoch, offset in plan
    ]
    first = 0
    while first < len(plan):
        end = first + chance.randrange(1, 20)
        deliver(*records[first:end])
        for _ in range(chance.randrange(3)):
            again = chance.randrange(end)
            deliver(*records[again : min(end, again + chance.randrange(1, 30))])
        first = end
    newest = {
        start: max(one[1:] for one in plan if one[0] == start)
        for start in {one[0] for one in plan}
    }
    expected = {start: (str(offset), closed) for start, (closed, _, offset) in newest.items()}
    assert kept(ticker) == expected
