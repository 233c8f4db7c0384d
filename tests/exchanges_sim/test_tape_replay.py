"""Recordings played over the same server: whole, in order, with a book, round after round."""

import gzip
import json
import time
from itertools import pairwise

import pytest

S = 1_723_161_590_000_000_000
TICKER = "ABCUSDT"
DEPTH = "abcusdt@depth@100ms"


def line(at_ms, stream, data):
    return f"{S + at_ms * 1_000_000} " + json.dumps(
        {"stream": stream, "data": data}, separators=(",", ":")
    )


def diff(at_ms, first, last, bids=(), *, asks=(), ticker=TICKER):
    event = {
        "e": "depthUpdate",
        "E": 1_723_161_590_000 + at_ms,
        "s": ticker,
        "U": first,
        "u": last,
    }
    levels = {"b": [list(level) for level in bids], "a": [list(level) for level in asks]}
    return line(at_ms, f"{ticker.lower()}@depth@100ms", event | levels)


def trade(at_ms, number):
    time_ms = 1_723_161_590_000 + at_ms
    event = {"e": "trade", "E": time_ms, "s": TICKER, "t": number, "p": "10.00000000"}
    return line(at_ms, "abcusdt@trade", event | {"q": "1.00000000", "T": time_ms, "m": True})


def snapshot(at_ms, last, bids, asks):
    book = {"lastUpdateId": last, "bids": [*map(list, bids)], "asks": [*map(list, asks)]}
    return f"{S + at_ms * 1_000_000} {json.dumps(book)}"


def small_tape():
    """Two diffs before the snapshot, one of them around its id; then diffs and trades."""
    return [
        diff(0, 101, 103, [("9.00000000", "5.00000000")], asks=[("11.00000000", "0.00000000")]),
        diff(
            100, 104, 108, [("9.50000000", "2.00000000")], asks=[("10.90000000", "4.00000000")]
        ),
        snapshot(
            150,
            105,
            [("9.50000000", "1.00000000"), ("9.00000000", "5.00000000")],
            [("10.50000000", "3.00000000"), ("12.00000000", "7.00000000")],
        ),
        trade(160, 900),
        diff(
            200, 109, 110, [("9.60000000", "1.00000000")], asks=[("10.50000000", "0.00000000")]
        ),
        line(
            220,
            "abcusdt@bookTicker",
            {"u": 113, "s": TICKER, "b": "9.6", "B": "1", "a": "10.9"},
        ),
        trade(260, 901),
        diff(
            300, 111, 115, [("9.60000000", "0.00000000")], asks=[("13.00000000", "8.00000000")]
        ),
    ]


@pytest.fixture
def tape(tmp_path):
    """`tape(lines, name)`: a gzip file of the lines."""

    def write(lines, name="tape.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
        return path

    return write


def read(socket, count):
    return [json.loads(socket.recv()) for _ in range(count)]


def play_to(exchange, follower, socket, events):
    """Follow the diffs, the snapshot fetched once there is one of them."""
    seen = []
    while len(seen) < events:
        message = json.loads(socket.recv())["data"]
        seen.append(message)
        if message.get("e") != "depthUpdate":
            continue
        follower.event(message)
        if follower.last is None:
            assert follower.snapshot(exchange.depth(TICKER))
        assert not follower.crossed()
    return seen


@pytest.mark.parametrize("speed", ["1", "20", "max"])
def test_a_tape_is_played_whole_in_order_and_once(start_exchange, tape, wait_until, speed):
    lines = small_tape()
    exchange = start_exchange("--replay", tape(lines), "--speed", speed, "--once")
    socket = exchange.connect(f"/stream?streams={DEPTH}/abcusdt@trade/abcusdt@bookTicker")
    assert exchange.depth(TICKER)["lastUpdateId"] in (105, 108, 110, 115)
    sent = [socket.recv() for _ in range(7)]
    assert sent == [text.partition(" ")[2] for text in lines if "lastUpdateId" not in text]
    wait_until(lambda: exchange.status()["done"], what="the end")
    socket.ping("x")
    assert socket.recv_data(control_frame=True)[1] == b"x"


@pytest.mark.parametrize("speed", ["1", "max"])
def test_a_client_that_buffers_and_asks_is_given_the_recorded_snapshot(
    start_exchange, tape, follower, speed
):
    exchange = start_exchange("--replay", tape(small_tape()), "--speed", speed, "--once")
    socket = exchange.connect(f"/ws/{DEPTH}")
    follower.event(read(socket, 1)[0])
    given = exchange.depth(TICKER)
    assert given == json.loads(small_tape()[2].partition(" ")[2])
    assert follower.snapshot(given)
    for event in read(socket, 3):
        follower.event(event)
    assert follower.gaps == []
    assert follower.applied == [108, 110, 115]
    assert follower.book() == exchange.true_book(TICKER, 115)
    assert exchange.true_book(TICKER, 105)["bids"] == given["bids"]
    status, _, body = exchange.request(f"/_control/book?ticker={TICKER}&id=112")
    assert status == 404
    assert "110 and 115 are known" in body["error"]


def test_nothing_is_played_before_somebody_subscribes(start_exchange, tape):
    options = ("--speed", "max", "--once", "--snapshot-wait", "0.3")
    exchange = start_exchange("--replay", tape(small_tape()), *options)
    exchange.connect("/ws/other@trade")
    socket = exchange.connect("/ws")
    status, _, body = exchange.request(f"/api/v3/depth?symbol={TICKER}")
    assert status == 503
    assert "has not reached a snapshot of ABCUSDT" in body["msg"]
    assert exchange.status()["last_ids"][TICKER] == {"update_id": None, "trade_id": None}
    socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["abcusdt@trade"], "id": 1}))
    assert [message.get("t") for message in read(socket, 3)] == [None, 900, 901]


def test_what_is_not_recorded_is_accepted_and_silent(start_exchange, tape):
    exchange = start_exchange("--replay", tape(small_tape()), "--speed", "max", "--once")
    socket = exchange.connect("/ws/abcusdt@kline_1m/abcusdt@depth20/abcusdt@trade")
    assert [message["t"] for message in read(socket, 2)] == [900, 901]
    assert exchange.get(f"/api/v3/klines?symbol={TICKER}&interval=1m") == []
    assert [row["id"] for row in exchange.get(f"/api/v3/trades?symbol={TICKER}")] == [900, 901]
    item = exchange.get("/api/v3/exchangeInfo")["symbols"][0]
    assert (item["symbol"], item["baseAsset"], item["quoteAsset"]) == (TICKER, "ABC", "USDT")


def test_rounds_continue_ids_times_and_the_book(start_exchange, tape, follower):
    exchange = start_exchange("--replay", tape(small_tape()), "--speed", "max")
    socket = exchange.connect(f"/stream?streams={DEPTH}/abcusdt@trade/abcusdt@bookTicker")
    seen = play_to(exchange, follower, socket, 80)
    assert follower.gaps == []
    diffs = [message for message in seen if message.get("e") == "depthUpdate"]
    assert all(event["U"] == before["u"] + 1 for before, event in pairwise(diffs))
    trades = [message["t"] for message in seen if message.get("e") == "trade"]
    assert trades == list(range(900, 900 + len(trades)))
    tickers = [message["u"] for message in seen if "B" in message]
    assert tickers == sorted(set(tickers))
    times = [message["E"] for message in seen if "E" in message]
    assert times == sorted(times)
    assert follower.book() == exchange.true_book(TICKER, follower.last)
    ends = [event for event in diffs if ["13.00000000", "8.00000000"] in event["a"]]
    assert len(ends) > 5


def test_a_round_ends_where_the_first_one_ended(start_exchange, tape, follower):
    exchange = start_exchange("--replay", tape(small_tape()), "--speed", "max")
    socket = exchange.connect(f"/stream?streams={DEPTH}")
    books = []
    while len(books) < 4:
        event = json.loads(socket.recv())["data"]
        follower.event(event)
        if follower.last is None:
            assert follower.snapshot(exchange.depth(TICKER))
        if ["13.00000000", "8.00000000"] in event["a"]:
            books.append({side: follower.book()[side] for side in ("bids", "asks")})
    assert books[0]["asks"] == [
        ["10.90000000", "4.00000000"],
        ["12.00000000", "7.00000000"],
        ["13.00000000", "8.00000000"],
    ]
    assert books == [books[0]] * 4


def test_a_hole_in_the_recording_is_a_hole_until_its_next_snapshot(
    start_exchange, tape, make_follower
):
    lines = [
        *small_tape(),
        diff(400, 150, 155, [("9.10000000", "1.00000000")]),
        snapshot(450, 155, [("9.10000000", "1.00000000")], [("10.10000000", "1.00000000")]),
        diff(500, 156, 160, [("9.20000000", "1.00000000")]),
    ]
    exchange = start_exchange("--replay", tape(lines), "--speed", "max", "--once")
    socket = exchange.connect(f"/ws/{DEPTH}")
    follower = make_follower()
    follower.event(read(socket, 1)[0])
    assert follower.snapshot(exchange.depth(TICKER))
    while follower.last is not None:
        follower.event(read(socket, 1)[0])
    assert follower.gaps == [(116, 149)]
    assert follower.snapshot(exchange.depth(TICKER))
    while follower.last < 160:
        follower.event(read(socket, 1)[0])
    assert follower.book() == exchange.true_book(TICKER, 160)
    assert follower.book()["asks"] == [["10.10000000", "1.00000000"]]


def test_who_comes_back_continues_with_what_is_next_and_full_speed_waits(
    start_exchange, tape, wait_until
):
    lines = [trade(number, 900 + number) for number in range(3_000)]
    exchange = start_exchange("--replay", tape(lines), "--speed", "max", "--once")
    first = exchange.connect("/ws/abcusdt@trade")
    assert read(first, 1)[0]["t"] == 900
    exchange.disconnect()
    wait_until(lambda: not exchange.status()["connections"], what="the goodbye")
    stood = exchange.status()["last_ids"][TICKER]["trade_id"]
    assert not exchange.status()["done"] or stood == 3_899
    if stood < 3_899:
        second = exchange.connect("/ws/abcusdt@trade")
        assert read(second, 1)[0]["t"] > stood - 200


def test_a_slow_reader_holds_the_tape_and_misses_nothing(start_exchange, tape, wait_until):
    filler = [(f"{price}.00000000", "1.00000000") for price in range(1, 400)]
    lines = [diff(number, 101 + number, 101 + number, filler) for number in range(2_000)]
    exchange = start_exchange(
        "--replay", tape(lines), "--speed", "max", "--once", "--snapshot-wait", "0"
    )
    socket = exchange.connect(f"/ws/{DEPTH}")
    seen = read(socket, 1)

    def stands():
        before = exchange.status()["connections"][0]["backlog_bytes"]
        return before > 0 and before == exchange.status()["connections"][0]["backlog_bytes"]

    wait_until(stands, what="the full socket")
    assert exchange.status()["connections"][0]["backlog_bytes"] < 4 << 20
    assert not exchange.status()["done"]
    seen += read(socket, 1_999)
    assert [event["u"] for event in seen] == list(range(101, 2_101))
    wait_until(lambda: exchange.status()["done"], what="the end")


def test_the_pace_is_the_recorded_one_times_speed(start_exchange, tape):
    lines = [trade(number * 500, 900 + number) for number in range(5)]
    exchange = start_exchange("--replay", tape(lines), "--speed", "2", "--once")
    socket = exchange.connect("/ws/abcusdt@trade")
    read(socket, 1)
    started = time.monotonic()
    read(socket, 4)
    assert 0.9 < time.monotonic() - started < 2.0


def test_time_can_wait_for_a_subscriber_at_any_speed(start_exchange, tape, wait_until):
    lines = [trade(number * 20, 900 + number) for number in range(2_000)]
    exchange = start_exchange("--replay", tape(lines), "--wait-for-subscriber")
    read(exchange.connect("/ws/abcusdt@trade"), 3)
    exchange.disconnect()
    wait_until(lambda: not exchange.status()["connections"], what="the goodbye")
    stood = exchange.status()["last_ids"][TICKER]["trade_id"]
    assert exchange.status()["last_ids"][TICKER]["trade_id"] == stood
    assert read(exchange.connect("/ws/abcusdt@trade"), 1)[0]["t"] in (stood + 1, stood + 2)


def test_times_can_be_moved_to_now(start_exchange, tape):
    now_ms = time.time_ns() // 1_000_000
    exchange = start_exchange(
        "--replay", tape(small_tape()), "--speed", "max", "--once", "--retime"
    )
    first, second = read(exchange.connect("/ws/abcusdt@trade"), 2)
    assert now_ms <= first["E"] < now_ms + 60_000
    assert first["T"] == first["E"]
    assert second["E"] - first["E"] == 100
    assert (first["t"], second["t"]) == (900, 901)


def test_files_are_one_tape_whatever_their_order(start_exchange, tape):
    later = tape([trade(5_000, 905)], "a.gz")
    early = tape([trade(0, 900), trade(6_000, 906)], "b.gz")
    exchange = start_exchange("--replay", later, early, "--speed", "max", "--once")
    assert [message["t"] for message in read(exchange.connect("/ws/abcusdt@trade"), 3)] == [
        900,
        905,
        906,
    ]


def test_a_snapshot_without_a_name_belongs_to_the_ticker_with_such_ids(start_exchange, tape):
    lines = [diff(0, 9_000_001, 9_000_002, ticker="XYZUSDT"), *small_tape()]
    exchange = start_exchange("--replay", tape(lines), "--speed", "max", "--once")
    exchange.connect(f"/ws/{DEPTH}")
    assert exchange.depth(TICKER)["lastUpdateId"] >= 105
    assert exchange.status()["tickers"] == [TICKER, "XYZUSDT"]


def test_faults_hit_a_tape_too(start_exchange, tape):
    lines = [trade(number, 900 + number) for number in range(50)]
    exchange = start_exchange("--replay", tape(lines), "--speed", "max", "--once")
    number = exchange.fault(kind="drop", stream="trade", after=10, frames=5)
    seen = [message["t"] for message in read(exchange.connect("/ws/abcusdt@trade"), 45)]
    assert seen == [*range(900, 910), *range(915, 950)]
    hit = exchange.hits(number)[0]
    assert (hit["first_id"], hit["last_id"], hit["frames"]) == (910, 914, 5)
