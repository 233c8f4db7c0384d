"""The recorded Coinbase session of 2021-04-17, every frame, against an own reading of it."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from container_worker.exchanges.coinbase import decode
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    LastTrade,
    TickerState,
    Trade,
)

pytestmark = pytest.mark.recordings
NAME = "COINBASE_2021-04-17.ws.28.0"


@pytest.fixture
def frames(recordings):
    """Time of receipt in ns, and the bytes of each frame that was received."""
    found = []
    for line in (recordings / "cryptofeed" / NAME).read_bytes().splitlines():
        time, _, frame = line.partition(b": ")
        if frame and b"<-" not in time:
            found.append((int(Decimal(time.decode()) * 10**9), frame))
    return found


def outcomes(frames):
    for received_ns, frame in frames:
        [outcome] = decode.decode(frame, received_ns)
        yield outcome, json.loads(frame)


def test_every_recorded_frame_decodes_to_its_kind(frames) -> None:
    kinds = Counter(
        (type(outcome).__name__, sent["type"]) for outcome, sent in outcomes(frames)
    )
    assert kinds == {
        ("BookDelta", "l2update"): 9719,
        ("TickerState", "ticker"): 107,
        ("Trade", "match"): 97,
        ("BookState", "snapshot"): 10,
        ("LastTrade", "last_match"): 10,
        ("Accepted", "subscriptions"): 3,
    }


def test_the_recorded_books_are_those_of_an_own_reading_and_never_cross(frames) -> None:
    ours, theirs = {}, {}
    for outcome, sent in outcomes(frames):
        if isinstance(outcome, BookState):
            message = outcome.message
            ours[message.s] = dict(message.b), dict(message.a)
            theirs[sent["product_id"]] = [
                {Decimal(price): size for price, size in sent[side]}
                for side in ("bids", "asks")
            ]
        elif isinstance(outcome, BookDelta):
            message = outcome.message
            for book, levels in zip(ours[message.s], (message.b, message.a), strict=True):
                book.update(levels)
            [[side, price, size]] = sent["changes"]
            book = theirs[sent["product_id"]][side == "sell"]
            if Decimal(size):
                book[Decimal(price)] = size
            else:
                assert book.pop(Decimal(price), None) is not None
            bids, asks = theirs[sent["product_id"]]
            if Decimal(price) in (max(bids), min(asks)):
                assert max(bids) < min(asks)
    assert len(ours) == 10
    for ticker, sides in ours.items():
        assert [
            {Decimal(price): size for price, size in side.items() if Decimal(size)}
            for side in sides
        ] == theirs[ticker]


def test_recorded_trades_follow_each_other_from_the_last_one_before_them(frames) -> None:
    last, trades = {}, Counter()
    for outcome, sent in outcomes(frames):
        if isinstance(outcome, LastTrade):
            last[outcome.ticker] = outcome.id
        elif isinstance(outcome, Trade):
            assert outcome.id == last[outcome.ticker] + 1
            last[outcome.ticker] = outcome.id
            trades[outcome.ticker] += 1
            assert (outcome.price, outcome.quantity) == (sent["price"], sent["size"])
            assert outcome.clock == "exchange"
    assert trades.total() == 97


def test_ticker_and_match_of_one_recorded_trade_name_the_same_taker(frames) -> None:
    trades, tickers = {}, {}
    for outcome, _ in outcomes(frames):
        if isinstance(outcome, Trade):
            trades[outcome.ticker, outcome.id] = outcome
        elif isinstance(outcome, TickerState):
            tickers[outcome.ticker, outcome.trade_id] = outcome
    both = trades.keys() & tickers.keys()
    assert len(both) == 97
    for name in both:
        trade, ticker = trades[name], tickers[name]
        assert (trade.side, trade.time_ms, Decimal(trade.price), Decimal(trade.quantity)) == (
            ticker.side,
            ticker.time_ms,
            Decimal(ticker.price),
            Decimal(ticker.quantity),
        )


def test_the_recorded_acks_accept_all_that_was_asked_for(frames) -> None:
    accepted = frozenset()
    for outcome, _ in outcomes(frames):
        if isinstance(outcome, Accepted):
            accepted = outcome.names
    assert len(accepted) == 30
    assert {name.partition(":")[0] for name in accepted} == {"level2", "matches", "ticker"}


def test_the_recorded_products_are_instruments(recordings) -> None:
    text = (recordings / "cryptofeed" / "COINBASE_2021-04-17.products.0").read_text()
    body = next(line for line in text.splitlines() if "/products -> " in line)
    listed = decode.decode_instruments(body.partition(": ")[2].encode())
    assert len(listed) == 162
    assert listed["YFI-BTC"].symbol == "YFI/BTC"
