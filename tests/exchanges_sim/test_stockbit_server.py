"""The simulated Stockbit as a stranger sees it: websocket-client, urllib and `protobuf`."""

import itertools
import json
import time

import pytest
import websocket
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from container_worker.exchanges import stockbit
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import BookState, Heartbeat, Refused
from local.exchanges.stockbit import demo_token
from local.exchanges.stockbit.credentials import trading_key
from marketdata.errors import DecodeError

TICKERS = ["BBCA", "TLKM", "BBRI"]
TEXT, WHOLE = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_UINT64
SCHEMA = {
    "Flat": [(1, TEXT), (2, TEXT), (5, WHOLE), (9, TEXT)],
    "Book": [
        (1, TEXT), (2, TEXT), (3, WHOLE), (4, WHOLE),
        (5, TEXT), (6, TEXT), (8, WHOLE), (9, TEXT),
    ],
    "Ping": [(1, TEXT)],
    "Error": [(1, WHOLE), (2, TEXT)],
    "Wrapper": [(2, "Ping"), (7, "Error"), (10, "Book")],
    "FlatRequest": [(1, WHOLE), (2, TEXT), (3, TEXT), (4, TEXT), (5, TEXT), (6, TEXT)],
    "Channel": [(2, TEXT)],
    "Request": [(1, TEXT), (2, "Channel"), (3, TEXT), (4, "Ping"), (5, TEXT)],
}  # fmt: skip


def _messages():
    """The package's own classes; fields are `f1`, `f2` …, `f2` of `Channel` is a list."""
    file = descriptor_pb2.FileDescriptorProto(name="sim.proto", package="sim", syntax="proto3")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, kind in fields:
            one = message.field.add(name=f"f{number}", number=number)
            one.label = FieldDescriptorProto.LABEL_OPTIONAL
            if name == "Channel":
                one.label = FieldDescriptorProto.LABEL_REPEATED
            if isinstance(kind, str):
                one.type, one.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".sim.{kind}"
            else:
                one.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"sim.{name}"))
        for name in SCHEMA
    }


MESSAGES = _messages()


def key_of(exchange, token):
    headers = {"Authorization": f"Bearer {token}"}
    status, _, body = exchange.request("/auth/websocket/key", headers=headers)
    assert status == 200
    return body["data"]["key"]


def flat_request(exchange, tickers=TICKERS, **changed):
    token = demo_token(int(time.time()))
    values = {
        "f1": 4826457,
        "f2": "".join(tickers),
        "f3": ":".join(tickers),
        "f4": "".join("J" + ticker for ticker in tickers),
        "f5": key_of(exchange, token),
        "f6": token,
    }
    return MESSAGES["FlatRequest"](**values | changed).SerializeToString()


def channel_request(exchange, tickers=TICKERS, **changed):
    token = demo_token(int(time.time()))
    values = {"f1": "4826457", "f3": key_of(exchange, token), "f5": token}
    request = MESSAGES["Request"](**values | changed)
    if tickers is not None:
        request.f2.f2.extend(tickers)
    return request.SerializeToString()


def connect_flat(exchange, **options):
    socket = exchange.connect("/ws")
    socket.send_binary(flat_request(exchange, **options))
    return socket


def connect_channel(exchange, **options):
    socket = exchange.connect("/ws", origin="https://stockbit.com", subprotocols=["web"])
    socket.send_binary(channel_request(exchange, **options))
    return socket


def flat_side(frame):
    """Ticker, side and levels of a flat message, by the guide's table."""
    seen = MESSAGES["Flat"].FromString(frame)
    side, *levels = seen.f2.split("|")
    return seen.f1, side, [level.split(";") for level in levels]


def channel_book(frame):
    wrapper = MESSAGES["Wrapper"].FromString(frame)
    assert wrapper.HasField("f10")
    return wrapper.f10


def drain(socket):
    """Everything that is still on its way on a market that stands still."""
    socket.settimeout(0.3)
    frames = []
    while True:
        try:
            frames.append(socket.recv())
        except websocket.WebSocketTimeoutException:
            return frames


def step_at(price):
    for below, step in ((200, 1), (500, 2), (2000, 5), (5000, 10)):
        if price < below:
            return step
    return 25


def test_a_key_is_for_a_good_bearer_token_only(start_exchange) -> None:
    exchange = start_exchange(name="stockbit")
    now_s = int(time.time())
    token = demo_token(now_s)
    assert len(key_of(exchange, token)) == 32
    assert key_of(exchange, token) != key_of(exchange, demo_token(now_s, life_s=60))
    bad = ["", "Bearer ", f"Basic {token}", "Bearer a.b.c", f"Bearer {token}x.y"]
    bad.append(f"Bearer {demo_token(now_s - 100, life_s=50)}")
    for value in bad:
        headers = {"Authorization": value}
        status, _, body = exchange.request("/auth/websocket/key", headers=headers)
        assert (status, body["message"]) == (401, "Unauthorized")


def test_on_the_flat_wire_what_was_sent_is_the_true_book_of_every_ticker(
    start_exchange,
) -> None:
    exchange = start_exchange("--speed", "20", "--seed", "7", name="stockbit")
    socket = connect_flat(exchange)
    frames = [socket.recv() for _ in range(150)]
    exchange.pause()
    frames += drain(socket)
    books = {}
    for frame in frames:
        ticker, side, levels = flat_side(frame)
        books[ticker, side] = levels
    for ticker in TICKERS:
        truth = exchange.true_book(ticker)
        assert books[ticker, "BUY"] == truth["bids"]
        assert books[ticker, "SELL"] == truth["asks"]


def test_on_the_channel_wire_the_book_is_true_after_every_number(start_exchange) -> None:
    exchange = start_exchange("--speed", "20", "--seed", "8", name="stockbit")
    socket = connect_channel(exchange)
    books, last, compared = {}, {}, 0
    for _ in range(120):
        seen = channel_book(socket.recv())
        mark, code, side, *levels = seen.f2.split("|")
        assert (mark, code) == ("#O", seen.f1)
        books[code, side] = [list(map(int, level.split(";"))) for level in levels]
        assert last.setdefault(code, seen.f3 - 1) + 1 == seen.f3
        last[code] = seen.f3
        if (code, "BID") in books and (code, "OFFER") in books and seen.f3 % 3 == 0:
            truth = exchange.true_book(code, seen.f3)
            for side_, word in (("bids", "BID"), ("asks", "OFFER")):
                rows = books[code, word]
                assert [row[0] for row in rows] == [int(row[0]) for row in truth[side_]]
                assert [row[2] for row in rows] == [int(row[1]) * 100 for row in truth[side_]]
                assert all(0 < row[1] <= row[2] for row in rows)
            compared += 1
    assert compared > 20
    assert set(last) == set(TICKERS)


def test_the_numbers_are_those_of_the_indonesian_market(start_exchange) -> None:
    exchange = start_exchange("--speed", "20", name="stockbit")
    socket = connect_flat(exchange)
    for _ in range(60):
        seen = MESSAGES["Flat"].FromString(socket.recv())
        _, side, levels = flat_side(seen.SerializeToString())
        prices = [int(price) for price, _, _ in levels]
        assert prices == sorted(prices, reverse=side == "BUY")
        assert all(price % step_at(price) == 0 for price in prices)
        assert all(int(p) * int(lots) * 100 == int(value) for p, lots, value in levels)
        assert 10 <= len(levels) <= 40
        assert abs(seen.f5 / 1000 - time.time()) < 120
        assert seen.f9.endswith("+07:00")


def test_after_connecting_both_sides_come_first_and_after_reconnecting_again(
    start_exchange,
) -> None:
    exchange = start_exchange(name="stockbit")
    for _ in range(2):
        for connect in (connect_flat, connect_channel):
            socket = connect(exchange, tickers=["TLKM", "BBRI"])
            states = [next(iter(decoded(socket.recv()))).message for _ in range(4)]
            assert [(state.s, state.side) for state in states] == [
                ("TLKM", "b"), ("TLKM", "a"), ("BBRI", "b"), ("BBRI", "a"),
            ]  # fmt: skip
            socket.close()


def decoded(frame, wire="flat"):
    return stockbit.ADAPTER.variants[wire].socket.decode(frame, time.time_ns())


@pytest.mark.parametrize("wire", ["flat", "channel"])
def test_capture_s_own_adapter_follows_the_stream_to_the_true_book(
    start_exchange, wire
) -> None:
    exchange = start_exchange("--speed", "20", name="stockbit")
    adapter = stockbit.ADAPTER.variants[wire]

    def get(request):
        status, _, body = exchange.request(request.path, headers=dict(request.headers))
        assert status == 200
        return json.dumps(body).encode()

    now_s = int(time.time())
    session = adapter.open_session(demo_token(now_s), get, now_s)
    socket = exchange.connect(
        "/ws",
        origin=adapter.socket.origin,
        header=dict(adapter.socket.headers),
        subprotocols=list(adapter.socket.subprotocols) or None,
    )
    channels = [Channel(ticker, "ws_depth") for ticker in TICKERS]
    for each in adapter.socket.subscriptions(channels, session):
        socket.send_binary(each.payload)
    frames = [socket.recv() for _ in range(200)]
    exchange.pause()
    frames += drain(socket)
    books, last = {}, {}
    for frame in frames:
        [state] = decoded(frame, wire)
        assert isinstance(state, BookState)
        book = state.message
        assert state.clock == "exchange"
        assert abs(book.E / 1000 - time.time()) < 600
        books[book.s, book.side] = book.b or book.a
        assert wire == "flat" or last.setdefault(book.s, book.u - 1) + 1 == book.u
        last[book.s] = book.u
    for ticker in TICKERS:
        truth = exchange.true_book(ticker)
        for side, rows in (("b", truth["bids"]), ("a", truth["asks"])):
            mine = books[ticker, side]
            assert [level[0] for level in mine] == [row[0] for row in rows]
            if wire == "flat":
                assert [list(level) for level in mine] == rows
            else:
                assert [int(level[2]) for level in mine] == [int(row[1]) * 100 for row in rows]
    [described] = exchange.status()["connections"]
    assert described["layout"] == wire
    assert described["origin"] == "https://stockbit.com"
    assert described["subprotocol"] == ("web" if wire == "channel" else "")
    assert described["user_agent"].startswith("Mozilla/5.0")


def test_pings_of_both_kinds_are_answered_without_a_subscription(start_exchange) -> None:
    exchange = start_exchange(name="stockbit")
    socket = exchange.connect("/ws")
    socket.send_binary(bytes.fromhex("22060a0470696e67"))
    answer = socket.recv()
    assert MESSAGES["Wrapper"].FromString(answer).f2.f1 == "pong"
    assert decoded(answer) == (Heartbeat(),)
    socket.ping(b"alive")
    opcode, payload = socket.recv_data(control_frame=True)
    assert (opcode, payload) == (websocket.ABNF.OPCODE_PONG, b"alive")


def test_who_is_not_known_gets_an_error_and_the_end(start_exchange, wait_until) -> None:
    exchange = start_exchange(name="stockbit")
    old = demo_token(int(time.time()) - 100, life_s=50)
    wrong = [
        flat_request(exchange, f5="another key"),
        flat_request(exchange, f5=""),
        flat_request(exchange, f6="a.b.c"),
        flat_request(exchange, f6=old, f5=trading_key(old)),
        flat_request(exchange, f1=7),
        channel_request(exchange, f3="another key"),
        channel_request(exchange, f5="a.b.c"),
        channel_request(exchange, f1="7"),
        channel_request(exchange, tickers=None, f5=""),
    ]
    for raw in wrong:
        socket = exchange.connect("/ws")
        socket.send_binary(raw)
        refused(socket, "unauthenticated")
    wait_until(lambda: exchange.status()["connections"] == [])


def refused(socket, text):
    answer = socket.recv()
    assert MESSAGES["Wrapper"].FromString(answer).f7.f2.startswith(text)
    [outcome] = decoded(answer)
    assert isinstance(outcome, Refused)
    opcode, _ = socket.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_CLOSE


def test_a_message_that_is_none_is_told_so_and_the_socket_lives(start_exchange) -> None:
    exchange = start_exchange(name="stockbit")
    socket = exchange.connect("/ws")
    wrong = [
        b"\xff\xff",
        flat_request(exchange, f2="BBCA"),
        flat_request(exchange, f4="BBCATLKMBBRI"),
        b"\x0a\x02\xff\xfe",
    ]
    for raw in wrong:
        socket.send_binary(raw)
        assert "invalid request" in decoded(socket.recv())[0].text
    socket.send("subscribe BBCA")
    assert "invalid request" in decoded(socket.recv())[0].text
    socket.send_binary(flat_request(exchange, tickers=["NONE", "BBCA"]))
    assert {decoded(socket.recv())[0].message.s for _ in range(4)} == {"BBCA"}


def test_saying_who_one_is_changes_no_subscription_and_a_second_frame_replaces_it(
    start_exchange, wait_until
) -> None:
    exchange = start_exchange(name="stockbit")
    socket = connect_channel(exchange, tickers=["BBCA"])
    assert channel_book(socket.recv()).f1 == "BBCA"
    socket.send_binary(channel_request(exchange, tickers=None))
    socket.send_binary(channel_request(exchange, tickers=["BBCA"]))
    assert streams(exchange) == ["BBCA@orderbook"]
    socket.send_binary(channel_request(exchange, tickers=["TLKM", "BBRI"]))
    wait_until(lambda: streams(exchange) == ["BBRI@orderbook", "TLKM@orderbook"])


def streams(exchange):
    return sorted(exchange.status()["connections"][0]["streams"])


def test_only_stockbits_own_pages_and_programs_may_connect(start_exchange) -> None:
    exchange = start_exchange(name="stockbit")
    exchange.connect("/ws", origin="https://stockbit.com").close()
    for path, options in (("/ws", {"origin": "https://evil.example"}), ("/other", {})):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            exchange.connect(path, **options)
        assert caught.value.status_code in {403, 404}


def test_the_faults_are_seen_on_the_wire(start_exchange, wait_until) -> None:
    exchange = start_exchange("--speed", "20", name="stockbit")
    socket = connect_channel(exchange, tickers=["BBCA"])
    last = [channel_book(socket.recv()) for _ in range(4)][-1]
    number = exchange.fault(kind="drop", ticker="BBCA", stream="orderbook", frames=2)
    wait_until(lambda: exchange.hits(number) and exchange.hits(number)[0]["frames"] == 2)
    [hit] = exchange.hits(number)
    numbers = [last.f3]
    while numbers[-1] <= hit["last_id"]:
        numbers.append(channel_book(socket.recv()).f3)
    jumps = [(a + 1, b - 1) for a, b in itertools.pairwise(numbers) if b > a + 1]
    assert jumps == [(hit["first_id"], hit["last_id"])]
    exchange.fault(kind="clock", ticker="BBCA", ahead_s=7200)
    ahead = wait_until(lambda: ahead_of(socket.recv()) > 3600 and "seen")
    assert ahead == "seen"
    for form in ("text", "truncated", "binary"):
        exchange.fault(kind="garbage", form=form, ticker="BBCA")
        wait_until(lambda: not decodes(socket.recv()), what=f"garbage as {form}")
    exchange.fault(kind="cut", ticker="BBCA", how="close", code=1001)
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        read_to_the_end(socket)


def read_to_the_end(socket):
    while True:
        socket.recv()


def ahead_of(frame):
    return decoded(frame, "channel")[0].message.E / 1000 - time.time()


def decodes(frame):
    try:
        outcomes = decoded(frame if isinstance(frame, bytes) else frame.encode(), "channel")
    except DecodeError:
        return False
    return isinstance(outcomes[0], BookState)


def test_refusals_are_told_on_both_ports_in_json(start_exchange) -> None:
    exchange = start_exchange(name="stockbit")
    exchange.fault(kind="refuse", status=429, where="both", requests=2, retry_after_s=3)
    status, headers, body = exchange.request("/auth/websocket/key")
    assert (status, headers["Retry-After"]) == (429, "3")
    assert body["message"] == "Too Many Requests"
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        exchange.connect("/ws")
    assert caught.value.status_code == 429


def test_a_client_that_says_nothing_can_be_let_go(start_exchange) -> None:
    exchange = start_exchange("--set", "stockbit.quiet_seconds=0.2", name="stockbit")
    socket = exchange.connect("/ws")
    opcode, payload = socket.recv_data(control_frame=True)
    assert (opcode, payload[:2]) == (websocket.ABNF.OPCODE_CLOSE, (1008).to_bytes(2, "big"))
