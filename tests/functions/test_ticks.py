"""From a batch of Kafka records to prices, who gets them, and who is left out."""

import itertools
import json
import random
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.connections import Shard
from functions.gateway import Delivery, Outcome
from functions.logic.pushing import Pushing
from functions.logic.slow_connections import MAX_REMEMBERED, PROBE_LIMIT_S, SlowConnections
from functions.logic.ticks import OLD_MS, read_batch

NOW_MS = 1_790_000_000_000


def record(
    ticker, price, *, ms=NOW_MS, rates='["1s"]', source="binance", volume="null", symbol=None
):
    value = (
        f'{{"type":"price_update","symbol":"{symbol or ticker[:3] + "/" + ticker[3:]}",'
        f'"price":{price},"volume":{volume},"timestamp":"t","source":"{source}",'
        f'"rates":{rates}}}'
    )
    return {
        "timestamp": ms,
        "key": b64encode(f"{source}:{ticker}".encode()).decode(),
        "value": b64encode(value.encode()).decode(),
    }


def bitcoin(source, price, **more):
    """Both exchanges call it BTC-USD, and both are the symbol BTC/USD."""
    return record("BTC-USD", price, source=source, symbol="BTC/USD", **more)


@dataclass
class Listeners:
    """Stands in for the connections table and the posts: who listens to which names."""

    names_of: dict[str, set[str]]
    sent: dict[str, list[dict]] = field(default_factory=dict)

    def shards(self, name):
        return [Shard(name, number) for number in range(2)]

    def subscribers(self, shard, _now_s):
        """Each listener is in one of the shards."""
        listening = [one for one, names in self.names_of.items() if shard.name in names]
        return [(one, 0) for one in listening if len(one) % 2 == shard.number]

    def post_many(self, messages, *, limits_s, until_s):
        for one, texts in messages.items():
            decoded = [json.loads(text, parse_float=Decimal) for text in texts]
            self.sent.setdefault(one, []).extend(decoded)
        return {one: Delivery(len(texts), last=Outcome.SENT) for one, texts in messages.items()}

    def push(self, *records, now_ms=NOW_MS):
        with ThreadPoolExecutor(2) as readers:
            pushing = Pushing(self, self, readers, SlowConnections(), lambda: 0.0)
            return pushing.push(event(*records), now_ms=now_ms, until_s=1.0)

    def got(self, one):
        return [(text["symbol"], text["source"], text["price"]) for text in self.sent[one]]


def event(*records):
    return {"records": {"ticks-0": list(records)}}


def test_a_price_has_a_text_for_each_of_its_names():
    [price] = read_batch(event(record("BTCUSDT", "1.50")), NOW_MS).prices
    assert list(price.texts) == ["BTC/USDT", "BTCUSDT"]
    assert all(f'"symbol":"{name}"'.encode() in text for name, text in price.texts.items())


def test_a_batch_that_is_five_seconds_old_is_whole_and_an_older_one_is_cut():
    records = [record("BTCUSDT", n, ms=NOW_MS - OLD_MS) for n in range(3)]
    assert len(read_batch(event(*records), NOW_MS).prices) == 3
    batch = read_batch(event(*records), NOW_MS + 1)
    assert batch.cut == 2
    assert b'"price":2,' in batch.prices[0].texts["BTCUSDT"]


def test_the_same_symbol_of_two_exchanges_is_two_prices():
    other = record("BTCUSDT", 2, ms=NOW_MS - 9_000)
    other["key"] = b64encode(b"coinbase:BTCUSDT").decode()
    batch = read_batch(event(record("BTCUSDT", 1), other), NOW_MS)
    assert [len(batch.prices), batch.cut] == [2, 0]


def test_who_subscribes_to_a_symbol_of_two_exchanges_gets_both_each_with_its_source():
    listeners = Listeners({"one": {"BTC/USD"}, "four": {"BTC-USD"}, "five5": {"ETH/USD"}})
    report = listeners.push(bitcoin("coinbase", 1), bitcoin("blockchain", 2))
    assert listeners.got("one") == [("BTC/USD", "coinbase", 1), ("BTC/USD", "blockchain", 2)]
    assert listeners.got("four") == [("BTC-USD", "coinbase", 1), ("BTC-USD", "blockchain", 2)]
    assert "five5" not in listeners.sent
    assert (report["sent"], report["prices"], report["poison"]) == (4, 2, 0)


def test_after_an_outage_each_source_of_a_symbol_keeps_its_own_newest_price():
    seed = 20261121
    print(f"seed {seed}: pytest {__file__} -k after_an_outage")  # noqa: T201
    rng = random.Random(seed)
    for _ in range(50):
        numbers = itertools.count(1)
        prices = [
            (rng.choice(("coinbase", "blockchain", "binance")), next(numbers))
            for _ in range(rng.randrange(1, 20))
        ]
        listeners = Listeners({"one": {"BTC/USD"}})
        old = [bitcoin(source, price, ms=NOW_MS - OLD_MS - 1) for source, price in prices]
        report = listeners.push(*old)
        newest = sorted(dict(prices).items(), key=lambda item: item[1])
        assert listeners.got("one") == [("BTC/USD", *one) for one in newest], f"seed {seed}"
        assert report["cut"] == len(prices) - len(newest)


@pytest.mark.parametrize(
    ("volume", "literal"),
    [("12345.678900", "12345.678900"), ("1.5E-7", "0.00000015"), ("0", "0"), ("null", "null")],
)
def test_a_volume_reaches_the_client_as_a_number_with_the_exchanges_digits(volume, literal):
    [price] = read_batch(event(bitcoin("coinbase", "1.50", volume=volume)), NOW_MS).prices
    assert price.texts["BTC/USD"] == (
        b'{"type":"price_update","symbol":"BTC/USD","price":1.50,"volume":%b,'
        b'"timestamp":"t","source":"coinbase"}' % literal.encode()
    )


@pytest.mark.parametrize("volume", ['"12"', "[]", "true", "1e999"])
def test_a_volume_that_is_no_number_is_poison_and_the_others_are_read(volume):
    records = [bitcoin("coinbase", 1, volume=volume), bitcoin("blockchain", 2)]
    batch = read_batch(event(*records), NOW_MS)
    assert (batch.poison, len(batch.prices)) == (1, 1)


@settings(max_examples=80)
@given(
    st.lists(
        st.one_of(st.none(), st.text(), st.binary().map(lambda raw: b64encode(raw).decode()))
    )
)
def test_whatever_a_record_holds_the_others_are_read(garbage):
    records = [{"key": one, "value": one, "timestamp": NOW_MS} for one in garbage]
    batch = read_batch(event(*records, record("BTCUSDT", 1)), NOW_MS)
    assert (batch.records, len(batch.prices)) == (len(garbage) + 1, 1)
    assert batch.poison == len(garbage)


def test_a_slow_connection_is_left_out_then_tried_briefly_each_time_later():
    slow = SlowConnections()
    now = 100.0
    pauses = []
    for _ in range(8):
        slow.timed_out("c", now)
        assert slow.split(["c", "other"], now) == ({"c"}, {})
        began = now
        while slow.split(["c"], now)[0]:
            now += 0.5
        pauses.append(now - began)
        assert slow.split(["c"], now) == (set(), {"c": PROBE_LIMIT_S})
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    slow.answered("c")
    assert slow.split(["c"], now) == (set(), {})


def test_slow_connections_are_remembered_up_to_a_bound():
    slow = SlowConnections()
    for number in range(MAX_REMEMBERED + 5):
        slow.timed_out(f"{number}", 0.0)
    paused, _ = slow.split([f"{number}" for number in range(MAX_REMEMBERED + 5)], 1.0)
    assert len(paused) == MAX_REMEMBERED
    assert "4" not in paused


@pytest.mark.parametrize("records", [{}, {"ticks-0": []}])
def test_an_empty_batch_is_empty(records):
    assert read_batch({"records": records}, NOW_MS).names == []
