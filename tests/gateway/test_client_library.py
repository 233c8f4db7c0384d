"""`tapedeck.Client` on a real gateway process: what lasts when connections do not."""

import contextlib
import json
import signal
import socket
import threading
from decimal import Decimal

import pytest

import tapedeck
from marketdata.errors import ClientError, GatewayUnavailable
from tapedeck.client_link import Pace
from tapedeck.client_messages import Connected, Disconnected, Lost, Price

pytestmark = pytest.mark.services

QUICK = Pace(first_pause_s=0.05, longest_pause_s=0.2)
WATCHFUL = Pace(ping_s=0.2, silence_s=0.6, first_pause_s=0.05)


class Relay:
    """A port that stays while the gateway behind it changes; tells what opened and closed."""

    def __init__(self):
        self.target = None
        self.events = []
        self.frozen = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._server.getsockname()[1]}/stream"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._server.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near):
        host, _, port = self.target.partition(":")
        with near:
            try:
                far = socket.create_connection((host, int(port)))
            except OSError:
                return
            self.events.append("open")
            with far:
                back = threading.Thread(target=self._copy, args=(far, near), daemon=True)
                back.start()
                self._copy(near, far)
                back.join()
            self.events.append("close")

    def _copy(self, source, sink):
        mine = not self.frozen.is_set()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (mine and self.frozen.is_set()):
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(gateway):
    one = Relay()
    one.target = gateway.stream
    yield one
    one.close()


@pytest.fixture
def make(relay, gateway):
    """`make(**options)`: a client behind the relay that yields its notices too."""
    with contextlib.ExitStack() as stack:

        def client(pace=QUICK, **options):
            options = {"key": gateway.key, "notices": True, **options}
            return stack.enter_context(tapedeck.Client(relay.url, pace=pace, **options))

        yield client


@pytest.fixture
def price(gateway):
    """`price(symbol, digits, cursor)` posts an update to whoever is connected."""

    def post(symbol, digits, cursor=""):
        text = (
            f'{{"type":"price_update","symbol":"{symbol}","price":{digits},"volume":null,'
            f'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance","cursor":"{cursor}"}}'
        )
        for one in gateway.connections():
            gateway.post(one["id"], text.encode())

    return post


def until(client, kind):
    """The next of a kind that the client yields."""
    return next(one for one in client if isinstance(one, kind))


def only_connection(gateway, wait_until, other_than=()):
    def new():
        return [one["id"] for one in gateway.connections() if one["id"] not in other_than]

    [found] = wait_until(new, 10, "the connection")
    return found


def test_updates_come_typed_and_with_every_digit(make, price):
    client = make()
    assert client.subscribe(["BTC/USDT"]).symbols == ["BTC/USDT"]
    price("BTC/USDT", "61838.10000000")
    update = until(client, Price)
    assert (update.symbol, str(update.price), update.volume) == (
        "BTC/USDT",
        "61838.10000000",
        None,
    )


def test_what_the_server_refuses_is_raised_by_the_call_and_changes_nothing(
    make, gateway, held, wait_until
):
    client = make()
    client.subscribe(["BTC/USDT"])
    with pytest.raises(ClientError, match="NOSUCH") as refused:
        client.subscribe(["ETH/USDT", "NOSUCH"])
    assert (refused.value.code, refused.value.symbols) == ("UNKNOWN_SYMBOL", ("NOSUCH",))
    assert client.unsubscribe().symbols == ["BTC/USDT"]
    mine = only_connection(gateway, wait_until)
    wait_until(lambda: held(mine).served == [], 5, "the unsubscription")


def test_a_wrong_key_and_a_silent_address_are_told_at_once(make, relay, free_port):
    with pytest.raises(ClientError) as refused:
        make(key="not-a-key").subscribe(["BTC/USDT"])
    assert refused.value.code == "UNAUTHORIZED"
    assert "not-a-key" not in str(refused.value)
    nobody = tapedeck.Client(f"ws://127.0.0.1:{free_port}/stream?api_key=secret", pace=QUICK)
    with pytest.raises(GatewayUnavailable, match=str(free_port)) as failed:
        next(nobody)
    assert "secret" not in str(failed.value)


def test_after_a_cut_it_connects_again_and_has_just_what_was_subscribed(
    make, gateway, held, price, wait_until
):
    client = make()
    client.subscribe(["BTC/USDT", "ETH/USDT"])
    client.subscribe(["ETHUSDT"], rate="250ms")
    client.unsubscribe(["ETH/USDT"])
    first = only_connection(gateway, wait_until)
    assert gateway.fault("cut", connection=first)["cut"] == 1
    assert until(client, Disconnected).pause_s <= QUICK.longest_pause_s
    assert until(client, Connected).attempt == 2
    second = only_connection(gateway, wait_until, {first})
    wait_until(lambda: held(second).served == ["BTC/USDT", "ETHUSDT"], 5, "the subscriptions")
    price("BTC/USDT", "2")
    assert until(client, Price).price == Decimal(2)


def test_a_killed_server_that_comes_back_is_found_again(make, relay, gateway, start_gateway):
    with start_gateway() as first:
        relay.target = first.stream
        client = make()
        client.subscribe(["BTC/USDT"])
        first.process.send_signal(signal.SIGKILL)
        until(client, Disconnected)
        relay.target = gateway.stream
        until(client, Connected)
        assert client.unsubscribe(["BTC/USDT"]).symbols == ["BTC/USDT"]


def test_a_planned_reconnect_opens_the_new_connection_before_the_old_one_closes(
    make, relay, gateway, wait_until
):
    client = make()
    client.subscribe(["BTC/USDT"])
    first = only_connection(gateway, wait_until)
    told = {"type": "reconnect", "reason": "end of life", "deadline": "", "timestamp": ""}
    gateway.post(first, json.dumps(told).encode())
    wait_until(lambda: len(relay.events) == 3, 10, "the new connection and the old one's end")
    assert relay.events == ["open", "open", "close"]
    assert not isinstance(until(client, Connected | Disconnected), Disconnected)
    assert until(client, Connected).attempt == 2


def test_a_connection_that_went_silent_is_given_up(make, relay, price, wait_until):
    client = make(WATCHFUL)
    client.subscribe(["BTC/USDT"])
    relay.frozen.set()
    assert "silent" in until(client, Disconnected).reason
    relay.frozen.clear()
    until(client, Connected)
    price("BTC/USDT", "3")
    assert until(client, Price).price == 3


def test_an_update_that_comes_twice_is_yielded_once(make, price):
    client = make()
    client.subscribe(["BTC/USDT", "BTCUSDT"])
    for digits, offset in (("1", 5), ("1", 5), ("2", 6)):
        price("BTC/USDT", digits, f"ticks:id:0:{offset}")
    price("BTCUSDT", "2", "ticks:id:0:6")
    got = [until(client, Price) for _ in range(3)]
    assert [(one.symbol, int(one.price)) for one in got] == [
        ("BTC/USDT", 1),
        ("BTC/USDT", 2),
        ("BTCUSDT", 2),
    ]


def test_a_program_that_does_not_take_its_updates_is_told_how_many_it_lost(make, price):
    client = make(queue_size=5, notices=False)
    client.subscribe(["BTC/USDT"])
    for number in range(20):
        price("BTC/USDT", str(number))
    client.unsubscribe()
    assert next(client) == Lost("slow", 15)
    assert [int(next(client).price) for _ in range(5)] == list(range(15, 20))


def test_closing_from_another_thread_ends_the_iteration(make, gateway, wait_until):
    client = make()
    client.subscribe(["BTC/USDT"])
    closer = threading.Timer(0.1, client.close)
    closer.start()
    assert [one for one in client if isinstance(one, Price)] == []
    closer.join()
    wait_until(lambda: gateway.connections() == [], 5, "the connection's end")
    with pytest.raises(GatewayUnavailable, match="closed"):
        client.subscribe(["BTC/USDT"])
