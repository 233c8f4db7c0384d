"""Blockchain.com's recorded traffic and documented examples, against an independent reading."""

import json
import re
from collections import Counter
from decimal import Decimal

import pytest

from container_worker.exchanges.blockchain import decode
from container_worker.exchanges.outcomes import (
    Accepted,
    BookState,
    ConnectionNumber,
    Unknown,
)

RECEIVED_NS = 1_626_993_562_845_098_123


def test_instruments_come_as_an_object_or_as_a_list() -> None:
    row = {"base_currency": "BTC", "counter_currency": "USD", "status": "open", "id": 1}
    listed = decode.decode_instruments(json.dumps([{"symbol": "BTC-USD", **row}]).encode())
    assert listed == decode.decode_instruments(json.dumps({"BTC-USD": row}).encode())
    assert (listed["BTC-USD"].symbol, listed["BTC-USD"].exchange) == ("BTC/USD", "blockchain")


def recorded(path):
    """Time of receipt and bytes of each frame of a cryptofeed file, by its own format."""
    for line in path.read_bytes().splitlines():
        found = re.match(rb"(\d+)\.(\d+): (\{.*)", line)
        if found:
            yield int(found[1] + found[2].ljust(9, b"0")[:9]), found[3]


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "updates", "clock"),
    [
        ("BLOCKCHAIN_2021-04-17.ws.23.0", 548, "received"),
        ("BLOCKCHAIN_2021-07-22.ws.1.0", 68, "exchange"),
    ],
)
def test_a_recorded_session_decodes_whole_into_the_books_that_it_tells(
    recordings, name, updates, clock
) -> None:
    kinds, ours, theirs = Counter(), {}, {}
    for number, (received_ns, frame) in enumerate(recorded(recordings / "cryptofeed" / name)):
        first, outcome = decode.decode(frame, received_ns)
        assert first == ConnectionNumber(number)
        kinds[type(outcome).__name__] += 1
        if isinstance(outcome, Accepted):
            continue
        assert outcome.clock == clock
        assert abs(outcome.message.E - received_ns // 1_000_000) < 1_000
        follow(ours, outcome)
        follow_json(theirs, json.loads(frame))
        assert ours[outcome.message.s] == theirs[outcome.message.s]
    assert kinds == {"Accepted": 20, "BookState": 10, "BookDelta": updates}
    assert all(bids and asks and max(bids) < min(asks) for bids, asks in ours.values())


def follow(books, outcome):
    """Our outcome put into a book of floats, which is all that the comparison is about."""
    message = outcome.message
    if isinstance(outcome, BookState):
        books[message.s] = ({}, {})
        for levels, order in ((message.b, -1), (message.a, 1)):
            prices = [order * Decimal(price) for price, _ in levels]
            assert prices == sorted(prices)
    for side, levels in zip(books[message.s], (message.b, message.a), strict=True):
        for price, quantity in levels:
            assert "E" not in price + quantity
            side[float(price)] = float(quantity)
            if not float(quantity):
                del side[float(price)]


def follow_json(books, frame):
    """The same by the document's rules, from the JSON numbers."""
    if frame["event"] == "snapshot":
        books[frame["symbol"]] = ({}, {})
    sides = zip(books[frame["symbol"]], (frame["bids"], frame["asks"]), strict=True)
    for side, levels in sides:
        side.update({level["px"]: level["qty"] for level in levels})
        for level in levels:
            if level["num"] == 0:
                del side[level["px"]]


@pytest.mark.recordings
def test_the_recorded_public_channels_decode_or_are_not_ours(recordings) -> None:
    path = recordings / "blockchain-bcx" / "public_channels_2020-05-10_excerpt.jsonl"
    kinds = Counter()
    for line in path.read_bytes().splitlines():
        for outcome in decode.decode(line, RECEIVED_NS):
            kinds[type(outcome).__name__] += 1
            if isinstance(outcome, Unknown):
                assert json.loads(line)["channel"] == "l3"
    assert kinds == {
        "ConnectionNumber": 21, "Accepted": 8, "TickerState": 2, "Trade": 1, "CandleState": 2,
        "Heartbeat": 1, "BookDelta": 6, "Unknown": 2,
    }  # fmt: skip


@pytest.mark.recordings
def test_the_documented_examples_decode_or_are_not_ours(recordings) -> None:
    kinds, foreign = Counter(), Counter()
    path = recordings / "blockchain-docs" / "documented_examples.jsonl"
    for line in path.read_bytes().splitlines():
        for outcome in decode.decode(line, RECEIVED_NS):
            kinds[type(outcome).__name__] += 1
            if isinstance(outcome, Unknown):
                example = json.loads(line)
                foreign[example.get("action") or example["channel"]] += 1
    assert foreign == {"subscribe": 7, "l3": 2}
    assert kinds == {
        "ConnectionNumber": 19, "Refused": 1, "Accepted": 8, "Heartbeat": 1, "BookState": 1,
        "BookDelta": 2, "CandleState": 1, "TickerState": 1, "Trade": 1, "Unknown": 9,
        "TradingStatus": 7,
    }  # fmt: skip


@pytest.mark.recordings
@pytest.mark.parametrize(("day", "count"), [("2021-04-17", 59), ("2021-07-22", 78)])
def test_the_recorded_instruments_decode(recordings, day, count) -> None:
    text = (recordings / "cryptofeed" / f"BLOCKCHAIN_{day}.instruments.0").read_bytes()
    body = text.splitlines()[0].partition(b": ")[2]
    listed = decode.decode_instruments(body)
    assert len(listed) == len(json.loads(body)) == count
    assert listed["BTC-USD"].symbol == "BTC/USD"
    assert all(ticker.split("-") == [row.base, row.quote] for ticker, row in listed.items())
