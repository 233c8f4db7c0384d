"""A paused exchange: it stands still, all that has happened was sent, then it goes on."""

import gzip
import json

import pytest
import websocket


@pytest.mark.parametrize("speed", ["1", "20"])
def test_what_was_sent_before_a_pause_makes_the_true_book_of_now(
    start_exchange, make_follower, speed
):
    exchange = start_exchange("--speed", speed, "--weight-per-minute", "100000")
    sockets = {
        name: exchange.connect(f"/ws/{name}")
        for name in ("btcusdt@depth@100ms", "btcusdt@depth")
    }
    followers = {name: make_follower() for name in sockets}
    for name, socket in sockets.items():
        followers[name].event(json.loads(socket.recv()))
        assert followers[name].snapshot(exchange.depth("BTCUSDT"))
    for _ in range(3):
        exchange.pause()
        truth = exchange.true_book("BTCUSDT")
        for name, socket in sockets.items():
            while followers[name].last < truth["id"]:
                followers[name].event(json.loads(socket.recv()))
            assert followers[name].gaps == []
            assert followers[name].book() == truth
        assert exchange.true_book("BTCUSDT") == truth
        exchange.resume()


def test_a_paused_exchange_stands_still_and_its_time_has_passed_afterwards(
    start_exchange, wait_until
):
    exchange = start_exchange()
    exchange.pause()
    before = exchange.status()
    assert before["paused"] is True
    socket = exchange.connect("/ws/btcusdt@depth@100ms/btcusdt@trade")
    socket.settimeout(0.4)
    with pytest.raises(TimeoutError, match="timed out"):
        raise_timeout(socket)
    assert exchange.status()["last_ids"] == before["last_ids"]
    exchange.resume()
    socket.settimeout(10)
    assert json.loads(socket.recv())["E"] >= before["time_ms"] + 400
    assert exchange.status()["paused"] is False


def raise_timeout(socket):
    """The library's own time-out is no TimeoutError."""
    try:
        socket.recv()
    except websocket.WebSocketTimeoutException as error:
        raise TimeoutError("timed out") from error


def test_a_pause_sends_what_faults_hold(start_exchange):
    exchange = start_exchange()
    socket = exchange.connect("/ws/btcusdt@depth@100ms")
    last = json.loads(socket.recv())["u"]
    number = exchange.fault(kind="delay", seconds=600)
    while not exchange.hits(number):
        pass
    exchange.pause()
    truth = exchange.true_book("BTCUSDT")["id"]
    while last < truth:
        event = json.loads(socket.recv())
        assert event["U"] == last + 1
        last = event["u"]


def test_an_exchange_that_waits_for_a_subscriber_can_be_paused_too(start_exchange):
    exchange = start_exchange("--speed", "max", "--tickers", "BTCUSDT")
    exchange.pause()
    exchange.resume()
    socket = exchange.connect("/ws/btcusdt@depth@100ms")
    last = json.loads(socket.recv())["u"]
    exchange.pause()
    truth = exchange.true_book("BTCUSDT")["id"]
    while last < truth:
        last = json.loads(socket.recv())["u"]
    assert exchange.true_book("BTCUSDT")["id"] == truth


def test_a_paused_tape_goes_on_where_it_stood(start_exchange, tmp_path):
    path = tmp_path / "tape.gz"
    lines = [
        f'{1_723_161_590_000_000_000 + number * 20_000_000} {{"stream":"abcusdt@trade","data":'
        f'{{"e":"trade","E":{1_723_161_590_000 + number},"s":"ABCUSDT","t":{number},"p":"1.0",'
        f'"q":"1.0","T":1723161590000,"m":true}}}}'
        for number in range(1, 400)
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    exchange = start_exchange("--replay", path, "--once")
    socket = exchange.connect("/ws/abcusdt@trade")
    seen = [json.loads(socket.recv())["t"]]
    exchange.pause()
    stood = exchange.status()["last_ids"]["ABCUSDT"]["trade_id"]
    while seen[-1] < stood:
        seen.append(json.loads(socket.recv())["t"])
    assert exchange.status()["last_ids"]["ABCUSDT"]["trade_id"] == stood < 399
    exchange.resume()
    seen += [json.loads(socket.recv())["t"] for _ in range(20)]
    assert seen == list(range(1, stood + 21))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"paused":1}', b'{"paused":true,"x":1}'])
def test_a_wrong_order_to_the_clock_is_one_sentence(exchange, body):
    status, _, answer = exchange.request("/_control/clock", method="POST", body=body)
    assert status == 400
    assert answer["error"].startswith('send {"paused": true} or {"paused": false}: ')


def test_times_far_ahead_are_told_and_the_rest_is_as_it_was(exchange):
    socket = exchange.connect("/stream?streams=btcusdt@depth@100ms")
    before = json.loads(socket.recv())["data"]
    number = exchange.fault(kind="clock", ticker="BTCUSDT", stream="depth@100ms", ahead_s=7200)
    hit, after = (json.loads(socket.recv())["data"] for _ in range(2))
    if hit["E"] < before["E"] + 7_000_000:
        hit, after = after, json.loads(socket.recv())["data"]
    assert hit["E"] - after["E"] > 7_190_000
    assert after["U"] == hit["u"] + 1
    [told] = exchange.hits(number)
    assert (told["first_id"], told["last_id"], told["lost"]) == (hit["U"], hit["u"], False)
