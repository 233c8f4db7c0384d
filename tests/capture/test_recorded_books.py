"""Recorded frames of exchanges that number no book, through a line: the true book, no gap."""

import importlib.util
import json
import re
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from capture_rig import FakeProducer

from container_worker.capture.line import Line
from container_worker.capture.outlet import Outlet
from container_worker.capture.rejects import Rejects
from container_worker.capture.unit import Unit, make_sync
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel
from marketdata import codec
from marketdata.instruments import Instrument

spec = importlib.util.spec_from_file_location(
    "line_rig", Path(__file__).with_name("line_rig.py")
)
rig = importlib.util.module_from_spec(spec)
sys.modules["line_rig"] = rig
spec.loader.exec_module(rig)


def frames_of(path):
    """The received lines of a cryptofeed recording: `<unix seconds>: <json>`."""
    for line in path.read_text().splitlines():
        time, _, text = line.partition(": ")
        if re.fullmatch(r"[0-9.]+", time):
            yield int(Decimal(time) * 10**9), text


def coinbase(message, books):
    """An independent book: prices and sizes as decimals."""
    if message["type"] == "snapshot":
        books[message["product_id"]] = {
            (name, Decimal(price)): Decimal(size)
            for name in ("bids", "asks")
            for price, size in message[name]
        }
    elif message["type"] == "l2update":
        book = books[message["product_id"]]
        for side, price, size in message["changes"]:
            book["bids" if side == "buy" else "asks", Decimal(price)] = Decimal(size)


def blockchain(message, books):
    if message.get("channel") != "l2" or "bids" not in message:
        return
    if message["event"] == "snapshot":
        books[message["symbol"]] = {}
    for name in ("bids", "asks"):
        for level in message[name]:
            place = name, Decimal(str(level["px"]))
            books[message["symbol"]][place] = Decimal(str(level["qty"]))


def replayed(path, exchange, tickers):
    """A line of book units that has taken every frame, and its records."""
    adapter, producer = REGISTRY[exchange], FakeProducer()
    units = []
    for ticker in tickers:
        instrument = Instrument(exchange, ticker, ticker, ticker, "")
        for type_ in ("ws_diff_depth", "ws_trades"):
            sync = make_sync(type_, adapter.numbering[type_], instrument, None, recovers=True)
            headers = codec.base_headers(type_, "q", 1)
            key = codec.key(exchange, ticker)
            channel = Channel(ticker, type_)
            units.append(Unit(channel, sync, "t", key, headers, lambda: None))
    line = Line(
        exchange,
        adapter.socket.decode,
        units=units,
        outlet=Outlet(producer, threading.Event(), 1.0),
        rejects=Rejects(producer, exchange, "rejects"),
    )
    socket = rig.Socket()
    for received_ns, text in frames_of(path):
        line.feed(text.encode(), received_ns, socket)
    return line, producer, socket


def read(producer, key):
    """The book that a reader has, and the ids that it saw."""
    book, ids = {}, []
    for record in producer.records:
        if record.key != key or ("type", b"ws_diff_depth") not in record.headers:
            continue
        message = json.loads(record.value)
        assert message["e"] != "gap"
        ids.append(message["u"])
        if message["e"] == "depthSnapshot":
            book = {}
        for name, side in (("bids", "b"), ("asks", "a")):
            for price, size in message[side]:
                book[name, Decimal(price)] = Decimal(size)
    return {place: size for place, size in book.items() if size}, ids


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("exchange", "name", "follow"),
    [
        ("coinbase", "COINBASE_2021-04-17.ws.28.0", coinbase),
        ("blockchain", "BLOCKCHAIN_2021-04-17.ws.23.0", blockchain),
        ("blockchain", "BLOCKCHAIN_2021-07-22.ws.1.0", blockchain),
    ],
)
def test_recorded_books_are_followed_to_the_end_without_a_gap(
    recordings, exchange, name, follow
) -> None:
    path = recordings / "cryptofeed" / name
    books = {}
    for _, text in frames_of(path):
        follow(json.loads(text), books)
    line, producer, socket = replayed(path, exchange, books)
    assert line.gaps == 0
    assert [want for want in socket.wants if want[0] in {"broken", "restate"}] == []
    assert books
    for ticker, true in books.items():
        book, ids = read(producer, codec.key(exchange, ticker))
        assert book == {place: size for place, size in true.items() if size}
        assert ids == list(range(1, len(ids) + 1))
        sync = line.units[Channel(ticker, "ws_diff_depth")].sync
        assert sync.settled
        assert sync.unknown == 0
