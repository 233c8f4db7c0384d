"""Blockchain.com's simulator when things go wrong: faults, limits, pings, REST errors."""

import asyncio
import importlib.util
import json
import socket
from decimal import Decimal
from pathlib import Path

import pytest
import websocket

from container_worker.exchanges.blockchain import decode
from local.exchanges.blockchain.server import serve
from local.exchanges.blockchain.settings import SETTINGS
from local.exchanges.serving import ServeOptions
from marketdata.errors import LocalError

spec = importlib.util.spec_from_file_location(
    "blockchain_client", Path(__file__).with_name("blockchain_client.py")
)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
Client, book_of, told = client.Client, client.book_of, client.told

FAST = ("--speed", "20", "--seed", "7")


@pytest.fixture(scope="module")
def shared_exchange(request):
    """A simulator of the three pairs for the module, at twenty times the usual pace."""
    plugins = request.config.pluginmanager.get_plugins()
    [conftest] = [each for each in plugins if hasattr(each, "Follower")]
    running = conftest.Exchange(FAST, name="blockchain")
    yield running
    running.stop()


@pytest.fixture
def exchange(exchange):
    """Its time passes before and after each test."""
    yield exchange
    exchange.resume()


def numbers(heard):
    return [each["seqnum"] for each in heard]


def test_a_frame_that_is_dropped_leaves_a_hole_in_the_numbers(exchange) -> None:
    client = Client(exchange).ask("l2", "BTC-USD").ask("trades", "ETH-USD")
    client.until(event="snapshot")
    fault = exchange.fault(kind="drop", ticker="BTC-USD", stream="l2", frames=3, after=2)
    while len(missing := absent(numbers(client.heard))) < 3 and len(client.heard) < 600:
        client.next()
    [hit] = exchange.hits(fault)
    assert (hit["frames"], hit["lost"]) == (3, True)
    assert len(missing) == 3
    assert book_of_or_error(client) != told(exchange.true_book("BTC-USD"))


def absent(heard):
    return set(range(max(heard))) - set(heard)


def book_of_or_error(client):
    try:
        return book_of(client.drain() and client.of("l2"))
    except (AssertionError, KeyError):
        return None


def test_the_answer_to_a_subscription_can_be_lost_too(exchange) -> None:
    exchange.fault(kind="drop", ticker="BTC-USD", stream="l2", frames=1)
    client = Client(exchange).ask("l2", "BTC-USD")
    client.until(event="updated")
    assert numbers(client.heard) == [0, 2]


def test_a_frame_that_comes_twice_has_the_same_number_twice(exchange) -> None:
    exchange.fault(kind="duplicate", ticker="BTC-USD", stream="l2", frames=1, after=1)
    client = Client(exchange).ask("l2", "BTC-USD")
    while len(client.heard) < 5:
        client.next()
    assert numbers(client.heard) == [0, 1, 2, 2, 3]


def test_another_ones_clock_is_seen_in_the_times_of_every_channel(exchange) -> None:
    client = Client(exchange).ask("l2", "BTC-USD").ask("prices", "BTC-USD", granularity=60)
    client.until(channel="prices", event="updated")
    for channel in ("l2", "prices"):
        exchange.fault(kind="clock", ticker="BTC-USD", stream=channel, ahead_s=7200)
    at = len(client.heard)
    starts = [each["price"][0] for each in client.of("prices")]
    # What was on its way already is not hit.
    while max(starts) - min(starts) < 7_200_000:
        starts.append(client.until(channel="prices", event="updated")["price"][0])
    client.until(channel="l2", event="updated")
    times = [
        outcome.message.E
        for frame in client.raw[at:]
        for outcome in decode.decode(frame.encode(), 1)
        if hasattr(outcome, "message")
    ]
    assert max(times) - min(times) > 7_000_000
    assert sorted(times)[-2] - min(times) < 1_000_000


def test_garbage_in_place_of_a_frame_takes_its_number(exchange) -> None:
    client = Client(exchange).ask("l2", "BTC-USD")
    client.until(event="updated")
    exchange.fault(kind="garbage", form="truncated", ticker="BTC-USD", replace=True)
    with pytest.raises(json.JSONDecodeError):
        client.until(event="never")
    before, after = client.heard[-1], client.next()
    assert after["seqnum"] == before["seqnum"] + 2


def test_a_connection_that_is_cut_is_gone_and_the_next_begins_anew(exchange) -> None:
    client = Client(exchange).ask("l2", "BTC-USD")
    client.until(event="updated")
    exchange.fault(kind="cut", ticker="BTC-USD")
    with pytest.raises((OSError, websocket.WebSocketException)):
        client.until(event="never")
    again = Client(exchange).ask("l2", "BTC-USD")
    again.until(event="updated")
    assert numbers(again.heard)[:2] == [0, 1]
    again.drain()
    assert book_of(again.of("l2")) == told(exchange.true_book("BTC-USD"))


def test_the_server_pings_about_once_a_second(exchange) -> None:
    client = Client(exchange)
    opcode, _ = client.socket.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_PING


def test_who_sends_too_much_is_ignored_for_a_while(start_exchange, wait_until) -> None:
    exchange = start_exchange(
        *("--set", "blockchain.messages_per_minute=4"),
        *("--set", "blockchain.throttle_seconds=0.5"),
        name="blockchain",
    )
    client = Client(exchange)
    for _ in range(6):
        client.ask("none")
    heard = [client.next() for _ in range(5)]
    assert numbers(heard[:4]) == [0, 1, 2, 3]
    assert heard[4] == {
        "event": "rejected",
        "text": "Connection throttling enabled, your messages will be ignored.",
    }

    def answered():
        client.socket.settimeout(0.1)
        client.ask("none")
        try:
            return client.next()
        except websocket.WebSocketTimeoutException:
            return None

    assert wait_until(answered)["seqnum"] == 4


def test_rest_tells_the_same_as_the_socket(exchange) -> None:
    exchange.pause()
    book = exchange.get("/v3/exchange/l2/BTC-USD")
    sides = {
        name: {Decimal(str(one["px"])): one["qty"] for one in book[name]} for name in SIDES
    }
    true = told(exchange.true_book("BTC-USD"))
    assert {name: set(side) for name, side in sides.items()} == {
        name: set(side) for name, side in true.items()
    }
    assert list(sides["bids"]) == sorted(sides["bids"], reverse=True)
    _, _, symbols = exchange.request("/v3/exchange/symbols")
    listed = exchange.get("/mercury-gateway/v1/instruments")
    assert {row.pop("symbol"): row for row in listed} == symbols
    assert exchange.get("/v3/exchange/symbols/ETH-USD") == symbols["ETH-USD"]
    names = [ticker["symbol"] for ticker in exchange.get("/v3/exchange/tickers")]
    assert names == ["BTC-USD", "ETH-USD", "BTC-EUR"]


SIDES = ("bids", "asks")


def test_the_lists_of_instruments_decode_alike(exchange) -> None:
    bodies = [
        json.dumps(exchange.get(path)).encode()
        for path in ("/v3/exchange/symbols", "/mercury-gateway/v1/instruments")
    ]
    one, other = map(decode.decode_instruments, bodies)
    assert one == other
    assert [row.symbol for row in one.values()] == ["BTC/USD", "ETH/USD", "BTC/EUR", "LTC/BTC"]


def test_rest_errors_have_the_exchanges_form(exchange) -> None:
    status, _, body = exchange.request("/v3/exchange/l2/NO-PAIR")
    assert (status, body["status"], body["error"]) == (404, 404, "Not Found")
    assert body["path"] == "/v3/exchange/l2/NO-PAIR"
    exchange.fault(kind="refuse", status=429, retry_after_s=3)
    status, headers, body = exchange.request("/v3/exchange/symbols")
    assert (status, headers["Retry-After"], body["error"]) == (429, "3", "Too Many Requests")
    exchange.fault(kind="refuse", status=451, where="ws")
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        Client(exchange)
    assert caught.value.status_code == 451


def test_another_sites_host_is_refused(exchange) -> None:
    status, _, _ = exchange.request("/v3/exchange/symbols", headers={"Host": "evil.example"})
    assert status == 403
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        exchange.connect(client.PATH, origin=client.ORIGIN, host="evil.example")
    assert caught.value.status_code == 403


def test_a_port_that_is_taken_is_named() -> None:
    async def start(port):
        ports = {"ws": port, "rest": 0}
        options = ServeOptions("127.0.0.1", ports, tickers=("BTC-USD",), settings=SETTINGS)
        async with serve(options):
            raise AssertionError("it listens")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"streams cannot listen on 127.0.0.1:{port}"):
            asyncio.run(start(port))
