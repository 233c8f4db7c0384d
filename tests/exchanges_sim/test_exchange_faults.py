"""Every fault does what it says, and its record says what it did."""

import json
import time
import urllib.error
import urllib.request
from itertools import pairwise

import pytest
import websocket

DEPTH = "depth@100ms"
STREAM = f"btcusdt@{DEPTH}"


def diffs(socket, count):
    found = []
    while len(found) < count:
        message = json.loads(socket.recv())
        found.append(message.get("data", message))
    return found


def holes(events):
    return [
        (before["u"] + 1, event["U"] - 1)
        for before, event in pairwise(events)
        if event["U"] > before["u"] + 1
    ]


def lost(hits):
    return [(hit["first_id"], hit["last_id"]) for hit in hits if hit["lost"]]


def test_dropped_frames_are_a_hole_and_recorded(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    first = diffs(socket, 1)
    number = exchange.fault(kind="drop", ticker="BTCUSDT", stream=DEPTH, frames=3, after=2)
    events = first + diffs(socket, 12)
    hits = exchange.hits(number)
    assert lost(hits) == holes(events)
    assert len(hits) == 1
    assert hits[0]["frames"] == 3
    assert (hits[0]["ticker"], hits[0]["stream"]) == ("BTCUSDT", DEPTH)
    assert hits[0]["time_ms"] > 0


def test_random_drops_are_all_recorded(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    first = diffs(socket, 1)
    number = exchange.fault(
        kind="drop", ticker="BTCUSDT", stream=DEPTH, frames=30, probability=0.3, seed=5
    )
    events = first + diffs(socket, 35)
    assert lost(exchange.hits(number)) == holes(events) != []


def test_other_tickers_and_streams_are_not_touched(exchange):
    number = exchange.fault(kind="drop", ticker="BTCUSDT", stream="trade", frames=5)
    socket = exchange.connect(f"/stream?streams={STREAM}/ethusdt@trade")
    events = diffs(socket, 30)
    assert holes([event for event in events if event["e"] == "depthUpdate"]) == []
    trades = [event["t"] for event in events if event["e"] == "trade"]
    assert trades == list(range(trades[0], trades[0] + len(trades)))
    assert exchange.hits(number) == []
    exchange.request("/_control/faults", method="DELETE")


def test_one_connection_can_be_hit_alone(exchange):
    hit, spared = exchange.connect(f"/ws/{STREAM}"), exchange.connect(f"/ws/{STREAM}")
    diffs(hit, 1), diffs(spared, 1)
    ids = [each["id"] for each in exchange.status()["connections"]]
    number = exchange.fault(kind="drop", connection=ids[-2], frames=2, after=1)
    assert len(holes(diffs(hit, 10))) == 1
    assert holes(diffs(spared, 10)) == []
    assert exchange.hits(number)[0]["connections"] == [ids[-2]]


def test_duplicated_frames_come_twice(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    diffs(socket, 1)
    number = exchange.fault(kind="duplicate", ticker="BTCUSDT", stream=DEPTH, frames=2)
    ids = [event["u"] for event in diffs(socket, 12)]
    twice = [number for number in dict.fromkeys(ids) if ids.count(number) == 2]
    hit = exchange.hits(number)[0]
    assert len(twice) == 2
    assert (hit["last_id"], hit["lost"]) == (twice[-1], False)


def test_reordered_frames_swap_with_their_successor(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    diffs(socket, 1)
    number = exchange.fault(kind="reorder", ticker="BTCUSDT", stream=DEPTH)
    events = diffs(socket, 10)
    ids = [event["u"] for event in events]
    back = [place for place in range(9) if ids[place] > ids[place + 1]]
    assert len(back) == 1
    assert exchange.hits(number)[0]["last_id"] == ids[back[0] + 1]
    swapped = sorted(events, key=lambda event: event["u"])
    assert holes(swapped) == []


@pytest.mark.parametrize("form", ["text", "truncated", "binary"])
@pytest.mark.parametrize("replace", [True, False])
def test_garbage_comes_before_a_frame_or_in_its_place(exchange, form, replace):
    socket = exchange.connect(f"/ws/{STREAM}")
    events, garbage = diffs(socket, 1), []
    number = exchange.fault(
        kind="garbage", form=form, replace=replace, ticker="BTCUSDT", stream=DEPTH
    )
    while len(events) < 8:
        opcode, frame = socket.recv_data()
        try:
            events.append(json.loads(frame))
        except ValueError:
            garbage.append((opcode, frame))
    assert len(garbage) == 1
    assert garbage[0][0] == (2 if form == "binary" else 1)
    assert lost(exchange.hits(number)) == holes(events)
    assert bool(holes(events)) == replace


def test_a_stall_is_silence_while_pings_are_answered(start_exchange):
    exchange = start_exchange()
    socket = exchange.connect(f"/ws/{STREAM}")
    before = diffs(socket, 1)
    number = exchange.fault(kind="stall", ticker="BTCUSDT", seconds=1)
    socket.ping("alive")
    started, silence, pong, events = time.monotonic(), 0.0, False, before
    last = started
    while len(events) < 15:
        opcode, frame = socket.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_PONG:
            pong = True
            continue
        silence, last = max(silence, time.monotonic() - last), time.monotonic()
        events.append(json.loads(frame))
    assert pong
    assert silence > 0.8
    assert lost(exchange.hits(number)) == holes(events)
    assert len(holes(events)) == 1


def test_a_stall_of_one_ticker_leaves_the_other(exchange):
    socket = exchange.connect(f"/stream?streams={STREAM}/ethusdt@{DEPTH}")
    diffs(socket, 2)
    exchange.fault(kind="stall", ticker="BTCUSDT", seconds=30)
    while {event["s"] for event in diffs(socket, 4)} != {"ETHUSDT"}:
        pass
    exchange.request("/_control/faults", method="DELETE")
    while {event["s"] for event in diffs(socket, 4)} != {"BTCUSDT", "ETHUSDT"}:
        pass


def test_a_delay_loses_nothing_and_keeps_the_order(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    before = diffs(socket, 1)
    number = exchange.fault(kind="delay", ticker="BTCUSDT", stream=DEPTH, seconds=0.5)
    events = before + diffs(socket, 40)
    assert holes(events) == []
    ids = [event["u"] for event in events]
    assert ids == sorted(set(ids))
    hit = exchange.hits(number)[0]
    assert hit["frames"] >= 3
    assert not hit["lost"]


def test_a_reset_is_a_reset(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    diffs(socket, 1)
    connection = exchange.status()["connections"][-1]["id"]
    number = exchange.fault(kind="cut", connection=connection)
    with pytest.raises((ConnectionResetError, websocket.WebSocketConnectionClosedException)):
        diffs(socket, 1000)
    assert exchange.hits(number)[0]["connections"] == [connection]
    assert connection not in [each["id"] for each in exchange.status()["connections"]]


def test_a_close_has_its_code(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    exchange.fault(kind="cut", ticker="BTCUSDT", how="close", code=4001, reason="bye")
    opcode, frame = 0, b""
    while opcode != websocket.ABNF.OPCODE_CLOSE:
        opcode, frame = socket.recv_data(control_frame=True)
    assert frame == (4001).to_bytes(2, "big") + b"bye"


def test_a_cut_spares_connections_without_the_ticker(exchange):
    socket = exchange.connect("/ws/ethusdt@trade")
    number = exchange.fault(kind="cut", ticker="BTCUSDT")
    assert exchange.hits(number)[0]["connections"] == []
    assert diffs(socket, 2)


def test_a_cut_can_wait_for_a_frame(exchange):
    socket = exchange.connect(f"/ws/{STREAM}")
    connection = exchange.status()["connections"][-1]["id"]
    number = exchange.fault(
        kind="cut", connection=connection, stream=DEPTH, after=5, how="close", code=1011
    )
    events, opcode = [], None
    while opcode != websocket.ABNF.OPCODE_CLOSE:
        opcode, frame = socket.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_TEXT:
            events.append(json.loads(frame))
    assert exchange.hits(number)[0]["first_id"] == events[-1]["u"] + 1


@pytest.mark.parametrize("path", [f"/ws/{STREAM}", f"/stream?streams={STREAM}"])
def test_a_server_shutdown_is_told_and_then_done(exchange, path):
    socket = exchange.connect(path)
    number = exchange.fault(kind="server_shutdown", close_after_s=0.2)
    told, after, opcode = [], 0, None
    while opcode != websocket.ABNF.OPCODE_CLOSE:
        opcode, frame = socket.recv_data(control_frame=True)
        if b"serverShutdown" in frame:
            told.append(json.loads(frame))
        elif told and opcode == websocket.ABNF.OPCODE_TEXT:
            after += 1
    assert frame[:2] == (1001).to_bytes(2, "big")
    assert after
    event = told[0]["data"] if "stream" in path else told[0]
    assert event["e"] == "serverShutdown"
    assert len(str(event["E"])) == 13
    assert told[0].get("stream") == ("!serverShutdown" if "stream" in path else None)
    assert len(exchange.hits(number)[0]["connections"]) == 1


@pytest.mark.parametrize(("status", "retry"), [(418, 120), (429, 7), (451, None), (503, None)])
def test_rest_can_refuse(exchange, status, retry):
    fault = {"retry_after_s": retry} if retry else {}
    exchange.fault(kind="refuse", status=status, requests=2, path="/api/v3/depth", **fault)
    assert exchange.get("/api/v3/ping") == {}
    for _ in range(2):
        answer, headers, body = exchange.request("/api/v3/depth?symbol=BTCUSDT")
        assert answer == status
        assert headers["Retry-After"] == (str(retry) if retry else None)
        assert ("restricted location" in body["msg"]) == (status == 451)
    assert exchange.depth("BTCUSDT", 5)


@pytest.mark.parametrize(
    ("how", "error"), [("stall", TimeoutError), ("reset", ConnectionResetError)]
)
def test_a_refusal_can_break_off_in_its_body(exchange, how, error):
    number = exchange.fault(kind="refuse", status=429, retry_after_s=7, body=how)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(exchange.rest_url + "/api/v3/time", timeout=1.0)
    with caught.value as answer:
        assert (answer.code, answer.headers["Retry-After"]) == (429, "7")
        with pytest.raises(error):
            answer.read()
    assert len(exchange.hits(number)) == 1
    assert exchange.get("/api/v3/ping") == {}


def test_the_upgrade_can_be_refused(exchange):
    number = exchange.fault(kind="refuse", status=451, where="ws")
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        exchange.connect("/ws")
    assert caught.value.status_code == 451
    exchange.connect("/ws").close()
    assert len(exchange.hits(number)) == 1


def test_rest_can_be_slow(exchange):
    exchange.fault(kind="slow", seconds=0.4, path="/api/v3/time")
    started = time.monotonic()
    exchange.get("/api/v3/time")
    assert time.monotonic() - started >= 0.4


def test_a_snapshot_can_be_older_than_the_first_event(exchange):
    diffs(exchange.connect(f"/ws/{STREAM}"), 15)
    first = diffs(exchange.connect(f"/ws/{STREAM}"), 1)[0]
    exchange.fault(kind="stale_snapshot", ticker="BTCUSDT", updates=120)
    stale = exchange.depth("BTCUSDT", 50)
    assert stale["lastUpdateId"] < first["U"] - 1
    true = exchange.true_book("BTCUSDT", stale["lastUpdateId"])
    assert stale["bids"] == true["bids"][:50]
    assert exchange.depth("BTCUSDT", 50)["lastUpdateId"] >= first["U"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "the fault is not JSON"),
        (b"[]", "no such fault"),
        (b"{}", "kind"),
        (b'{"kind":"explode"}', "Invalid value 'explode'"),
        (b'{"kind":"drop","frames":0}', "$.frames"),
        (b'{"kind":"drop","frames":"3"}', "$.frames"),
        (b'{"kind":"drop","frams":3}', "frams"),
        (b'{"kind":"drop","probability":2}', "$.probability"),
        (b'{"kind":"stall"}', "seconds"),
        (b'{"kind":"stall","seconds":1e9}', "$.seconds"),
        (b'{"kind":"cut","code":1006}', "1006 cannot be sent"),
        (b'{"kind":"refuse","status":200}', "$.status"),
        (b'{"kind":"refuse","status":503,"body":"half"}', "$.body"),
        (b'{"kind":"garbage","form":"poem"}', "poem"),
    ],
)
def test_a_bad_fault_is_refused_with_a_sentence(exchange, body, words):
    before = len(exchange.get("/_control/faults")["faults"])
    status, _, answer = exchange.request("/_control/faults", method="POST", body=body)
    assert status == 400
    assert words in answer["error"]
    assert len(exchange.get("/_control/faults")["faults"]) == before
