"""What the keeper knows of the topics: the newest value of each wish, and when names flowed."""

import msgspec
import pytest

from container_worker.keep import newest as newest_module
from container_worker.keep.newest import Newest, Wish
from marketdata import codec, messages
from marketdata.errors import DecodeError

SYMBOL, TICKER = "BTC/USD", "BTC-USD"


def number(text):
    return msgspec.Raw(text.encode())


def tick(price, *rates, source="coinbase"):
    value = messages.Tick(
        SYMBOL, number(price), messages.NULL, "2026-01-01T00:00:00.000Z", source, rates
    )
    return "ticks", codec.key(source, TICKER), codec.encode(value)


def candle(close, interval="1m", source="coinbase"):
    numbers = [number(close)] * 5
    value = messages.Candle(SYMBOL, 60_000, *numbers, source, interval, closed=True)
    return "candles", codec.key(source, TICKER), codec.encode(value)


def depth(bid):
    side = [(bid, "1")]
    value = messages.DepthTop(
        SYMBOL, "2026-01-01T00:00:00.000Z", "coinbase", side, side, 1, "hash"
    )
    return "depth", codec.key("coinbase", TICKER), codec.encode(value)


def known(*records, headers=(), now_ms=1000):
    newest = Newest()
    for record in records:
        assert newest.take(*record, list(headers), now_ms)
    return newest


def told(newest, *wish, **more):
    return [msgspec.json.decode(text) for text in newest.texts(Wish(*wish, **more))]


def test_each_pace_has_its_own_newest_price_under_symbol_and_ticker():
    newest = known(tick("1.5", "250ms", "1s"), tick("2.5", "250ms"))
    [slow] = told(newest, "ticks", SYMBOL, "1s")
    [fast] = told(newest, "ticks", TICKER, "250ms")
    assert (slow["symbol"], slow["price"]) == (SYMBOL, 1.5)
    assert (fast["symbol"], fast["price"]) == (TICKER, 2.5)
    assert told(newest, "ticks", SYMBOL, "10s") == []


def test_digits_are_the_exchanges_own():
    newest = known(tick("1e-7", "1s"))
    [text] = newest.texts(Wish("ticks", SYMBOL, "1s"))
    assert b'"price":0.0000001,' in text


def test_every_exchange_of_a_name_has_its_newest_and_a_source_chooses_one():
    newest = known(candle("1.5"), candle("2.5", source="blockchain"), candle("9.5", "5m"))
    both = told(newest, "candles", SYMBOL, interval="1m")
    assert [(one["source"], one["close"]) for one in both] == [
        ("blockchain", 2.5),
        ("coinbase", 1.5),
    ]
    [bare] = told(newest, "candles", TICKER, interval="1m", bare=True, source="coinbase")
    assert bare == {
        "pair": TICKER,
        "timestamp": 60_000,
        **dict.fromkeys(("open", "high", "low", "close", "volume"), 1.5),
    }


def test_a_book_has_its_newest_top():
    [top] = told(known(depth("1.5"), depth("2.5")), "depth", SYMBOL, "1s", "1m")
    assert (top["type"], top["bids"]) == ("depth", [["2.5", "1"]])


def test_what_goes_to_nobody_is_no_value_and_no_flow():
    backfill = known(candle("1.5"), headers=[codec.BACKFILL])
    mark = messages.Watermark(5, TICKER, "coinbase")
    marks = known(("candles", codec.key("coinbase", TICKER), codec.encode(mark)))
    for newest in (backfill, marks):
        assert told(newest, "candles", SYMBOL, interval="1m") == []
        assert newest.flowed_ms == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [(None, b"{}"), (b"nocolon", b"{}"), (b"a:b", b"{"), (b"a:b", b"[1]"), (b"a:b", b"")],
)
def test_what_cannot_be_read_is_passed_over(key, value):
    newest = Newest()
    for topic in ("ticks", "candles", "depth"):
        assert not newest.take(topic, key, value, None, 1)
    assert not newest.take("ticks", *tick("1", "1s")[1:], [("epoch", b"x")], 1)
    assert newest.flowed_ms == {}


def test_a_number_that_is_none_is_said():
    newest = known(tick('"x"', "1s"))
    with pytest.raises(DecodeError):
        newest.texts(Wish("ticks", SYMBOL, "1s"))


def test_names_flow_at_the_time_of_their_last_message():
    newest = known(tick("1", "1s"), now_ms=1000)
    newest.take(*depth("1"), None, 3000)
    assert newest.flowed_ms == {SYMBOL: 3000, TICKER: 3000}


def test_the_memory_is_bounded_and_what_rests_longest_goes_first(monkeypatch):
    monkeypatch.setattr(newest_module, "MAX_VALUES", 2)
    monkeypatch.setattr(newest_module, "MAX_NAMES", 2)
    newest = known(tick("1", "1s"), depth("2"), tick("3", "10s"))
    assert told(newest, "ticks", SYMBOL, "1s") == []
    assert told(newest, "depth", SYMBOL) == []
    assert [one["price"] for one in told(newest, "ticks", TICKER, "10s")] == [3]
    newest.take("depth", b"coinbase:ETH-USD", depth("2")[2], None, 5)
    assert len(newest.flowed_ms) == 2
