"""Streams over real sockets: addresses, modes, control messages, payloads."""

import json
import threading

import pytest

DEPTH = "btcusdt@depth@100ms"


def ask(socket, **message):
    """The reply to a control message, passing over data."""
    return reply(socket, json.dumps(message))


def reply(socket, text):
    socket.send(text)
    while True:
        message = json.loads(socket.recv())
        if "result" in message or "code" in message:
            return message


def data(socket, count=1):
    """The next messages that are no replies."""
    found = []
    while len(found) < count:
        message = json.loads(socket.recv())
        if "result" not in message and "code" not in message:
            found.append(message)
    return found


@pytest.mark.parametrize(
    ("path", "combined"),
    [
        (f"/ws/{DEPTH}", False),
        (f"/ws/{DEPTH}/ethusdt@trade", False),
        (f"/stream?streams={DEPTH}/ethusdt@trade", True),
    ],
)
def test_a_path_chooses_streams_and_mode(exchange, path, combined):
    socket = exchange.connect(path)
    messages = data(socket, 5)
    assert all(("stream" in message) == combined for message in messages)
    payloads = [message["data"] if combined else message for message in messages]
    assert {payload["e"] for payload in payloads} <= {"depthUpdate", "trade"}


@pytest.mark.parametrize(("path", "combined"), [("/ws", False), ("/stream", True)])
def test_bare_addresses_wait_for_subscribe(exchange, path, combined):
    socket = exchange.connect(path)
    assert ask(socket, method="SUBSCRIBE", params=[DEPTH], id=1) == {"result": None, "id": 1}
    assert ("stream" in data(socket)[0]) == combined


def test_the_address_of_the_documents_may_have_anything_behind_it(exchange):
    socket = exchange.connect("/ws/anything")
    assert ask(socket, method="SUBSCRIBE", params=["ethusdt@bookTicker"], id=None) == {
        "result": None,
        "id": None,
    }
    assert data(socket)[0]["s"] == "ETHUSDT"


@pytest.mark.parametrize(
    "request_id",
    [
        1,
        0,
        -5,
        2**63 - 1,
        1_723_161_599_999,
        "abc",
        "8f14e45f-ceea-467f-a8d2-3e9c1b6f0a27",
        None,
    ],
)
def test_every_kind_of_id_is_echoed(exchange, request_id):
    socket = exchange.connect("/ws")
    answer = ask(socket, method="LIST_SUBSCRIPTIONS", id=request_id)
    assert answer == {"result": [], "id": request_id}


def test_subscriptions_are_listed_and_removed(exchange):
    socket = exchange.connect(f"/ws/{DEPTH}")
    ask(socket, method="SUBSCRIBE", params=["a@trade", "btcusdt@trade"], id=1)
    listed = ask(socket, method="LIST_SUBSCRIPTIONS", id=2)["result"]
    assert listed == [DEPTH, "a@trade", "btcusdt@trade"]
    removed = ask(socket, method="UNSUBSCRIBE", params=[DEPTH, "never@trade"], id=3)
    assert removed == {"result": None, "id": 3}
    assert ask(socket, method="LIST_SUBSCRIPTIONS", id=4)["result"] == [
        "a@trade",
        "btcusdt@trade",
    ]
    assert {message["e"] for message in data(socket, 5)} == {"trade"}


def test_a_stream_asked_for_twice_comes_once(exchange):
    socket = exchange.connect(f"/stream?streams={DEPTH}/{DEPTH}")
    ask(socket, method="SUBSCRIBE", params=[DEPTH, DEPTH], id=1)
    ids = [message["data"]["u"] for message in data(socket, 12)]
    assert ids == sorted(set(ids))


def test_an_unknown_stream_is_accepted_and_silent(exchange):
    socket = exchange.connect("/ws/nosuch@trade/BTCUSDT@trade")
    names = ["nosuch@depth@100ms"]
    assert ask(socket, method="SUBSCRIBE", params=names, id=1)["result"] is None
    ask(socket, method="SUBSCRIBE", params=["ethusdt@depth@100ms"], id=2)
    assert {message["s"] for message in data(socket, 5)} == {"ETHUSDT"}


def test_combined_mode_can_be_changed_on_the_way(exchange):
    socket = exchange.connect(f"/ws/{DEPTH}")
    assert ask(socket, method="GET_PROPERTY", params=["combined"], id=1)["result"] is False
    assert ask(socket, method="SET_PROPERTY", params=["combined", True], id=2)["result"] is None
    assert data(socket)[0]["stream"] == DEPTH
    assert ask(socket, method="GET_PROPERTY", params=["combined"], id=3)["result"] is True


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("no json", 3, "Invalid JSON"),
        ("{", 3, "Invalid JSON"),
        ("", 3, "Invalid JSON"),
        ("[1]", 2, "expected an object"),
        ('{"method":"SUBSCRIBE","params":["a@trade"]}', 2, "missing field `id`"),
        ('{"id":1,"params":[]}', 2, "missing field `method`"),
        ('{"id":1,"method":"WATCH"}', 2, "unknown variant `WATCH`"),
        ('{"id":1,"method":7}', 2, "unknown variant `7`"),
        ('{"id":1,"method":["SUBSCRIBE"]}', 2, "unknown variant"),
        ('{"id":1,"method":"SUBSCRIBE"}', 2, "must be a list of streams"),
        ('{"id":1,"method":"SUBSCRIBE","params":[]}', 2, "must be a list of streams"),
        ('{"id":1,"method":"SUBSCRIBE","params":"a@trade"}', 2, "must be a list of streams"),
        ('{"id":1,"method":"SUBSCRIBE","params":[5]}', 2, "must be a name"),
        ('{"id":1,"method":"SUBSCRIBE","params":["a b"]}', 2, "must be a name"),
        ('{"id":1,"method":"LIST_SUBSCRIPTIONS","params":["x"]}', 2, "too many parameters"),
        ('{"id":1,"method":"GET_PROPERTY"}', 2, "property name must be a string"),
        ('{"id":1,"method":"GET_PROPERTY","params":[3]}', 2, "property name must be a string"),
        ('{"id":1,"method":"GET_PROPERTY","params":["combined",1]}', 2, "too many parameters"),
        ('{"id":1,"method":"GET_PROPERTY","params":["colour"]}', 0, "Unknown property"),
        ('{"id":1,"method":"SET_PROPERTY","params":["combined","yes"]}', 1, "expected Boolean"),
        ('{"id":1,"method":"SET_PROPERTY","params":["combined"]}', 1, "expected Boolean"),
        ('{"id":1,"method":"LIST_SUBSCRIPTIONS","extra":1}', 2, "unknown field `extra`"),
        ('{"id":1.5,"method":"LIST_SUBSCRIPTIONS"}', 2, "request ID must be"),
        ('{"id":true,"method":"LIST_SUBSCRIPTIONS"}', 2, "request ID must be"),
        ('{"id":9223372036854775808,"method":"LIST_SUBSCRIPTIONS"}', 2, "request ID must be"),
        ('{"id":"%s","method":"LIST_SUBSCRIPTIONS"}' % ("a" * 37), 2, "request ID must be"),
    ],
)
def test_a_bad_message_is_answered_with_its_code_and_the_socket_lives(
    exchange, text, code, words
):
    socket = exchange.connect("/ws")
    answer = reply(socket, text)
    assert answer["code"] == code
    assert words in answer["msg"]
    assert answer.get("id", 1) == 1
    assert ask(socket, method="LIST_SUBSCRIPTIONS", id=2) == {"result": [], "id": 2}


def test_bytes_that_are_no_text_are_answered_too(exchange):
    socket = exchange.connect("/ws")
    socket.send_binary(b"\xff\xfe")
    assert json.loads(socket.recv())["code"] == 3


def test_1024_streams_fit_and_one_more_is_refused(exchange):
    socket = exchange.connect("/ws")
    names = [f"t{number}@trade" for number in range(1024)]
    assert ask(socket, method="SUBSCRIBE", params=names, id=1)["result"] is None
    assert ask(socket, method="SUBSCRIBE", params=["more@trade"], id=2)["code"] == 2
    assert ask(socket, method="SUBSCRIBE", params=names[:3], id=3)["result"] is None
    assert len(ask(socket, method="LIST_SUBSCRIPTIONS", id=4)["result"]) == 1024


@pytest.mark.parametrize(
    ("stream", "keys"),
    [
        ("btcusdt@depth@100ms", ["e", "E", "s", "U", "u", "b", "a"]),
        ("btcusdt@depth", ["e", "E", "s", "U", "u", "b", "a"]),
        ("btcusdt@depth5@100ms", ["lastUpdateId", "bids", "asks"]),
        ("btcusdt@depth10", ["lastUpdateId", "bids", "asks"]),
        ("btcusdt@depth20@100ms", ["lastUpdateId", "bids", "asks"]),
        ("btcusdt@trade", ["e", "E", "s", "t", "p", "q", "T", "m", "M"]),
        ("btcusdt@aggTrade", ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]),
        ("btcusdt@bookTicker", ["u", "s", "b", "B", "a", "A"]),
        ("btcusdt@kline_1m", ["e", "E", "s", "k"]),
        ("btcusdt@kline_1h", ["e", "E", "s", "k"]),
    ],
)
def test_a_stream_sends_its_documented_members(exchange, stream, keys):
    socket = exchange.connect(f"/ws/{stream}")
    message = data(socket)[0]
    assert list(message) == keys
    if "bids" in message:
        limit = int("".join(filter(str.isdigit, stream.split("@")[1])))
        assert len(message["bids"]) == len(message["asks"]) == limit


def test_times_are_in_microseconds_for_those_who_ask(exchange):
    names = "btcusdt@trade/btcusdt@depth@100ms/btcusdt@kline_1m"
    micro = exchange.connect(f"/stream?streams={names}&timeUnit=MICROSECOND")
    milli = exchange.connect(f"/stream?streams={names}")
    for socket, digits in ((micro, 16), (milli, 13)):
        seen = set()
        while seen != {"trade", "depthUpdate", "kline"}:
            message = data(socket)[0]["data"]
            seen.add(message["e"])
            times = [
                message["E"],
                message.get("T"),
                *(message.get("k", {}).get(x) for x in "tT"),
            ]
            assert {len(str(time)) for time in times if time} == {digits}


def test_every_subscriber_gets_the_same_frames(exchange):
    sockets = [exchange.connect(f"/ws/{DEPTH}") for _ in range(5)]
    found = [[] for _ in sockets]

    def read(socket, messages):
        messages += data(socket, 15)

    threads = [
        threading.Thread(target=read, args=pair) for pair in zip(sockets, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    start = max(messages[0]["U"] for messages in found)
    end = min(messages[-1]["u"] for messages in found)
    common = [
        [message for message in messages if start <= message["U"] <= message["u"] <= end]
        for messages in found
    ]
    assert common[0]
    assert all(messages == common[0] for messages in common)
