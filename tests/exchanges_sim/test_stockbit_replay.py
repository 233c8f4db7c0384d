"""Recorded traffic of Stockbit served again: the frames, the books, the next round."""

import base64
import gzip
import itertools
import json
import time

import pytest

from container_worker.exchanges import stockbit
from container_worker.exchanges.adapter import Channel, Session
from container_worker.exchanges.stockbit.protobuf_wire import encode_field
from local.exchanges.ladder import ASK, BID
from local.exchanges.stockbit import USER_ID, demo_token
from local.exchanges.stockbit.book_walk import BookWalk
from local.exchanges.stockbit.credentials import trading_key
from local.exchanges.stockbit.messages import as_channel, flat_book
from local.exchanges.stockbit.moving import moved
from local.exchanges.stockbit.shares import share
from local.exchanges.stockbit.tape import Tape
from marketdata.errors import InputError
from marketdata.raw_tape import BINARY, RawLine, TapeHeader, encode_header, encode_line

START_MS = 1_770_175_815_000
TICKERS = ("BBCA", "TLKM")


def frames(layout, seconds=8):
    """Statements of two tickers as an exchange would send them, with their times of receipt."""
    walks = [BookWalk(share(ticker), 4, START_MS) for ticker in TICKERS]
    for now_ms in range(START_MS + 250, START_MS + seconds * 1000, 250):
        for walk in walks:
            is_first = now_ms == START_MS + 250
            opening = [walk.state(START_MS, side) for side in (BID, ASK)] if is_first else []
            for statement in itertools.chain(opening, walk.advance(now_ms)):
                levels = walk.levels(statement.side)
                payload = flat_book(
                    walk.share.ticker, statement.side, levels, statement.time_ms
                )
                if layout == "channel":
                    payload = as_channel(payload, statement.number, 7)
                yield statement.time_ms * 1_000_000 + 300_000_000, payload


def write(folder, layout):
    """A Tapedeck recording of such frames, with a ping and a frame that is none."""
    header = TapeHeader(1, "stockbit", "wss://wss-jkt.trading.stockbit.com/ws", wire=layout)
    told = list(frames(layout))
    lines = [RawLine(ns, BINARY, 1, payload) for ns, payload in told]
    lines.insert(3, RawLine(told[0][0], BINARY, 1, encode_field(2, encode_field(1, "pong"))))
    lines.insert(5, RawLine(told[0][0], BINARY, 1, b"\xff\xff"))
    path = folder / "stockbit_20260204T033015Z.tape.gz"
    with gzip.open(path, "wb") as file:
        file.write(encode_header(header))
        file.writelines(map(encode_line, lines))
    return path, [payload for _, payload in told]


def connect(exchange, layout):
    token = demo_token(int(time.time()))
    adapter = stockbit.ADAPTER.variants[layout]
    socket = exchange.connect("/ws", subprotocols=list(adapter.socket.subprotocols) or None)
    channels = [Channel(ticker, "ws_depth") for ticker in TICKERS]
    session = Session(str(USER_ID), trading_key(token), token)
    for each in adapter.socket.subscriptions(channels, session):
        socket.send_binary(each.payload)
    return socket


def decoded(frame, layout):
    [state] = stockbit.ADAPTER.variants[layout].socket.decode(frame, time.time_ns())
    return state.message


@pytest.mark.parametrize("layout", ["flat", "channel"])
def test_a_recording_is_served_byte_for_byte_and_then_done(
    start_exchange, tmp_path, wait_until, layout
) -> None:
    path, expected = write(tmp_path, layout)
    exchange = start_exchange("--replay", path, "--once", "--speed", "max", name="stockbit")
    socket = connect(exchange, layout)
    assert [socket.recv() for _ in expected] == expected
    status = wait_until(lambda: exchange.status()["done"] and exchange.status())
    assert (status["mode"], status["tickers"]) == ("replay", list(TICKERS))
    books = {}
    for frame in expected:
        book = decoded(frame, layout)
        books[book.s, book.side] = [list(level) for level in book.b or book.a]
    for ticker in TICKERS:
        truth = exchange.true_book(ticker)
        assert (truth["bids"], truth["asks"]) == (books[ticker, "b"], books[ticker, "a"])


def test_who_comes_later_gets_the_books_first_and_misses_no_number(
    start_exchange, tmp_path
) -> None:
    path, _ = write(tmp_path, "channel")
    exchange = start_exchange("--replay", path, "--speed", "16", name="stockbit")
    first = connect(exchange, "channel")
    for _ in range(30):
        first.recv()
    later = connect(exchange, "channel")
    seen = [decoded(later.recv(), "channel") for _ in range(40)]
    opening, numbers = seen[:4], {}
    assert {(book.s, book.side) for book in opening} == {
        (ticker, side) for ticker in TICKERS for side in "ab"
    }
    for book in seen:
        assert numbers.setdefault(book.s, book.u - 1) + 1 == book.u
        numbers[book.s] = book.u


def test_round_after_round_numbers_and_times_go_on(start_exchange, tmp_path) -> None:
    path, expected = write(tmp_path, "channel")
    exchange = start_exchange("--replay", path, "--speed", "max", name="stockbit")
    socket = connect(exchange, "channel")
    seen = [decoded(socket.recv(), "channel") for _ in range(len(expected) * 5 // 2)]
    for ticker in TICKERS:
        own = [book for book in seen if book.s == ticker]
        pairs = list(itertools.pairwise(own))
        assert all(later.u == before.u + 1 for before, later in pairs)
        assert all(later.E >= before.E for before, later in pairs)
        count = sum(b"#O|" + ticker.encode() in frame for frame in expected)
        assert own[count].b == own[0].b
        assert own[count].E > own[count - 1].E
    socket.close()


def test_a_recording_without_numbers_has_them_for_who_wants_some(
    start_exchange, tmp_path
) -> None:
    path, expected = write(tmp_path, "flat")
    exchange = start_exchange("--replay", path, "--speed", "max", "--once", name="stockbit")
    socket = connect(exchange, "channel")
    seen = [decoded(socket.recv(), "channel") for _ in expected]
    plain = [decoded(frame, "flat") for frame in expected]
    assert [(one.s, one.b, one.a, one.E) for one in seen] == [
        (one.s, one.b, one.a, one.E) for one in plain
    ]
    for ticker in TICKERS:
        numbers = [one.u for one in seen if one.s == ticker]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_tape_can_begin_now(tmp_path) -> None:
    path, expected = write(tmp_path, "channel")
    tape = Tape([path], start_ms=START_MS + 5_000_000)
    played = [frame for record in tape.records() for frame in tape.play(record)]
    for frame, original in zip(played, expected, strict=True):
        now, then = decoded(frame.payload, "channel"), decoded(original, "channel")
        assert (now.E - then.E, now.u, now.b, now.a) == (5_000_000, then.u, then.b, then.a)


def test_a_recording_without_order_books_cannot_be_replayed(tmp_path) -> None:
    path = tmp_path / "stockbit_20260204T033015Z.tape.gz"
    with gzip.open(path, "wb") as file:
        file.write(encode_header(TapeHeader(1, "stockbit")))
    with pytest.raises(InputError, match="no order book"):
        Tape([path])


S = START_MS // 1000


@pytest.mark.parametrize(
    ("stamp", "later"),
    [
        (S, S + 7),
        (START_MS, START_MS + 7_500),
        (START_MS * 1000 + 1, START_MS * 1000 + 7_500_001),
        (START_MS * 10**6 + 1, START_MS * 10**6 + 7_500_000_001),
        (str(START_MS), str(START_MS + 7_500)),
        ("2026-02-04T10:30:15+07:00", "2026-02-04T10:30:22+07:00"),
        ("2026-02-04T23:59:59.100000Z", "2026-02-05T00:00:06.600000Z"),
        ("2026-02-04 10:30:15.5", "2026-02-04 10:30:23.000000"),
        ("23:59:59", "00:00:06"),
        ("soon", "soon"),
        ("", ""),
    ],
)
def test_a_time_is_moved_in_its_own_form(stamp, later) -> None:
    for wrap in (lambda raw: raw, lambda raw: encode_field(10, raw)):
        fixed = b"\x61" + bytes(8) + b"\x65" + bytes(4)
        rest = encode_field(1, "BBCA") + encode_field(2, "BUY|") + encode_field(6, b"\xff")
        before = wrap(rest + encode_field(3, 9) + encode_field(5, stamp) + fixed)
        after = wrap(rest + encode_field(3, 20) + encode_field(5, later) + fixed)
        assert moved(before, 7_500, 11) == after
        assert moved(before, 0) == before


def test_the_demonstrations_token_is_unsigned_and_names_the_guides_user() -> None:
    header, payload, signature = demo_token(S).split(".")
    assert signature == ""
    assert opened(header) == {"alg": "none", "typ": "JWT"}
    assert opened(payload)["data"]["uid"] == USER_ID == 4826457
    assert opened(payload)["exp"] > S


def opened(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
