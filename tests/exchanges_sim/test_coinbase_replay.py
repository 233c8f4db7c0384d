"""Recorded Coinbase traffic served again: whole, joined midway, round and round."""

import gzip
import json
from collections import Counter
from decimal import Decimal

import pytest

from local.exchanges.coinbase.tape import Tape
from marketdata import raw_tape
from marketdata.errors import InputError
from marketdata.raw_tape import FRAME, RawLine, RestAnswer, TapeHeader
from marketdata.times import parse_iso_ms

NAME = "COINBASE_2021-04-17.ws.28.0"


class Client:
    """Subscribed to all that a tape has; prices as decimals."""

    def __init__(self, exchange, tickers, channels=("level2_batch", "matches", "ticker")):
        self.socket = exchange.connect("/")
        self.tickers = tickers
        self.frames = []
        self.unanswered = 0
        self.ask("subscribe", channels)

    def ask(self, type_, channels):
        self.unanswered += 1
        message = {"type": type_, "product_ids": self.tickers, "channels": list(channels)}
        self.socket.send(json.dumps(message))

    def read(self):
        frame = self.socket.recv().encode()
        if frame.startswith(b'{"type":"subscriptions"'):
            self.unanswered -= 1
        else:
            self.frames.append(frame)

    def catch_up(self):
        """Read all that was sent before now."""
        self.ask("unsubscribe", ["ticker_batch"])
        while self.unanswered:
            self.read()

    def messages(self, *types):
        return [each for each in map(json.loads, self.frames) if each["type"] in types]

    def books(self):
        books = {}
        for message in self.messages("snapshot", "l2update"):
            if message["type"] == "snapshot":
                books[message["product_id"]] = [
                    {Decimal(price): Decimal(size) for price, size in message[side]}
                    for side in ("bids", "asks")
                ]
                continue
            for side, price, size in message["changes"]:
                book = books[message["product_id"]][side == "sell"]
                book[Decimal(price)] = Decimal(size)
                if not Decimal(size):
                    del book[Decimal(price)]
        return books


def true_books(exchange, tickers):
    books = {}
    for ticker in tickers:
        told = exchange.true_book(ticker)
        books[ticker] = [
            {Decimal(price): Decimal(size) for price, size in told[side]}
            for side in ("bids", "asks")
        ]
    return books


@pytest.fixture
def recorded(recordings):
    """The file, its frames without the acks, and its products."""
    path = recordings / "cryptofeed" / NAME
    frames = [
        line.partition(b": ")[2]
        for line in path.read_bytes().splitlines()
        if b"<-" not in line[:60] and b'{"type":"subscriptions"' not in line[:60] and line
    ]
    return path, frames, sorted({json.loads(frame)["product_id"] for frame in frames})


@pytest.mark.recordings
def test_a_subscriber_gets_every_recorded_frame_byte_for_byte(
    start_exchange, recorded, wait_until
) -> None:
    path, frames, tickers = recorded
    exchange = start_exchange("--replay", path, "--speed", "max", "--once", name="coinbase")
    client = Client(exchange, tickers)
    while len(client.frames) < len(frames):
        client.read()
    assert client.frames == frames
    wait_until(lambda: exchange.status()["done"], what="the tape's end")
    assert client.books() == true_books(exchange, tickers)
    listed = {row["id"]: row for row in exchange.get("/products")}
    assert listed["SKL-BTC"]["base_min_size"] == "5"
    assert sorted(listed) == tickers


@pytest.mark.recordings
def test_who_joins_midway_gets_the_book_of_that_moment(start_exchange, recorded) -> None:
    path, _, tickers = recorded
    exchange = start_exchange("--replay", path, "--speed", "30", name="coinbase")
    first = Client(exchange, tickers)
    while len(first.frames) < 3000:
        first.read()
    second = Client(exchange, tickers)
    while sum(frame.startswith(b'{"type":"l2update"') for frame in second.frames) < 500:
        second.read()
    exchange.pause()
    first.catch_up()
    second.catch_up()
    assert second.books() == first.books() == true_books(exchange, tickers)
    lasts = {each["product_id"]: each["trade_id"] for each in second.messages("last_match")}
    for message in second.messages("match"):
        assert message["trade_id"] == lasts[message["product_id"]] + 1
        lasts[message["product_id"]] += 1
    assert Counter(each["type"] for each in second.messages("snapshot", "last_match")) == {
        "snapshot": 10,
        "last_match": 10,
    }


@pytest.mark.recordings
def test_the_next_round_goes_on_in_ids_times_and_books(start_exchange, recorded) -> None:
    path, frames, tickers = recorded
    exchange = start_exchange("--replay", path, "--speed", "max", "--retime", name="coinbase")
    client = Client(exchange, tickers)
    while len(client.frames) < 2.3 * len(frames):
        client.read()
    exchange.pause()
    client.catch_up()
    assert exchange.status()["rounds"] >= 2
    assert len(client.messages("snapshot")) == 10
    assert client.books() == true_books(exchange, tickers)
    last, sequences = {}, {}
    for message in client.messages("last_match", "match"):
        ticker = message["product_id"]
        assert message["trade_id"] == last.get(ticker, message["trade_id"] - 1) + 1
        last[ticker] = message["trade_id"]
    for message in client.messages("match", "ticker"):
        ticker = message["product_id"]
        assert message["sequence"] >= sequences.get(ticker, 0)
        sequences[ticker] = message["sequence"]
    times = {}
    for message in client.messages("l2update"):
        time_ms = parse_iso_ms(message["time"])
        assert time_ms >= times.get(message["product_id"], 0)
        times[message["product_id"]] = time_ms
    assert max(times.values()) - min(times.values()) < 60_000
    assert abs(min(times.values()) - 1_618_677_817_000) > 10**10


def match(number, second):
    return {
        "type": "match",
        "trade_id": number,
        "side": "buy",
        "size": "1.5",
        "price": "10.1",
        "product_id": "A-B",
        "sequence": 10 * number,
        "time": f"2026-04-17T16:43:{second:02d}.000000Z",
    }


def update(side, price, size, second):
    return {
        "type": "l2update",
        "product_id": "A-B",
        "changes": [[side, price, size]],
        "time": f"2026-04-17T16:43:{second:02d}.000000Z",
    }


def snapshot(bids, asks):
    return {"type": "snapshot", "product_id": "A-B", "asks": asks, "bids": bids}


@pytest.fixture
def tape(tmp_path):
    """A recording of our own: connection 2 takes over from 1, and both overlap."""
    lines = [
        (1, update("buy", "9.0", "7", 1)),
        (1, snapshot([["10.0", "1"]], [["10.2", "2"]])),
        (1, match(5, 1)),
        (1, update("buy", "10.1", "3", 2)),
        (2, snapshot([["10.10", "3"], ["10.0", "1"]], [["10.2", "2"], ["10.3", "4"]])),
        (1, update("sell", "10.3", "4", 3)),
        (2, update("sell", "10.3", "0", 4)),
        (1, update("sell", "10.3", "9", 3)),
        (1, match(6, 4)),
        (2, match(6, 4)),
        (2, match(7, 5)),
    ]
    path = tmp_path / "coinbase_20260417T164300Z.tape.gz"
    header = TapeHeader(1, "coinbase", "wss://h", "https://h")
    listed = RestAnswer("/products", 200, json.dumps([{"id": "A-B", "status": "online"}]))
    with gzip.open(path, "wb") as file:
        file.write(raw_tape.encode_header(header))
        body = raw_tape.encode_rest(listed)
        file.write(raw_tape.encode_line(RawLine(10**18, raw_tape.REST, 0, body)))
        for number, (connection, message) in enumerate(lines, 1):
            frame = json.dumps(message).encode()
            line = RawLine(10**18 + number, FRAME, connection, frame)
            file.write(raw_tape.encode_line(line))
        file.write(b"1000000000000000099 <1 {cut")
    return path


def test_our_own_recording_of_two_connections_is_one_feed(
    start_exchange, tape, wait_until
) -> None:
    exchange = start_exchange("--replay", tape, "--speed", "max", "--once", name="coinbase")
    client = Client(exchange, ["A-B"])
    wait_until(lambda: exchange.status()["done"], what="the tape's end")
    client.catch_up()
    assert [each["trade_id"] for each in client.messages("match")] == [5, 6, 7]
    changes = [each["changes"] for each in client.messages("l2update")]
    assert changes == [
        [["buy", "10.1", "3"]],
        [["sell", "10.3", "4"]],
        [["sell", "10.3", "0"]],
    ]
    assert client.books() == true_books(exchange, ["A-B"])
    assert exchange.get("/products") == [{"id": "A-B", "status": "online"}]
    assert exchange.get("/products/A-B/trades?limit=1")[0]["trade_id"] == 7
    late = Client(exchange, ["A-B"])
    late.catch_up()
    assert late.books() == client.books()
    assert [each["trade_id"] for each in late.messages("last_match")] == [7]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"wss://ws-feed.exchange.coinbase.com <-> 1618677816.84\n", "no frame of Coinbase"),
        (
            b"wss://ws-feed.exchange.coinbase.com <-> 1618677816.84\n1618677816.9: "
            + json.dumps(update("buy", "ten", "1", 1)).encode(),
            "A-B cannot be read",
        ),
    ],
)
def test_what_cannot_be_played_is_said_in_a_sentence(tmp_path, text, sentence) -> None:
    path = tmp_path / "COINBASE.ws.1.0"
    path.write_bytes(text)
    with pytest.raises(InputError, match=sentence):
        Tape([path])
