"""Every message of sources/chrono-stream.md through real sockets, gateway and tables."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import websocket

pytestmark = pytest.mark.services

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TEN = [f"C{number}/USDT" for number in range(10)]


def without_time(message):
    assert ISO.fullmatch(message.pop("timestamp"))
    return message


def test_subscribe_is_confirmed_with_the_symbols_asked_for(client):
    answer = client.ask({"type": "subscribe", "symbols": ["BTC/USDT", "ETHUSDT"]})
    assert without_time(answer) == {"type": "subscribed", "symbols": ["BTC/USDT", "ETHUSDT"]}


def test_a_symbol_named_twice_is_confirmed_once(client):
    answer = client.ask({"type": "subscribe", "symbols": ["BTC/USDT", "BTCUSDT", "BTC/USDT"]})
    assert answer["symbols"] == ["BTC/USDT", "BTCUSDT"]


def test_ping_is_answered_with_pong(client):
    assert without_time(client.ask({"type": "ping"})) == {"type": "pong"}


def test_unsubscribe_confirms_the_symbols_named(client):
    client.ask({"type": "subscribe", "symbols": ["BTC/USDT", "ETH/USDT"]})
    answer = client.ask({"type": "unsubscribe", "symbols": ["BTC/USDT"]})
    assert without_time(answer) == {"type": "unsubscribed", "symbols": ["BTC/USDT"]}


@pytest.mark.parametrize("message", [{}, {"symbols": None}])
def test_unsubscribe_without_symbols_ends_and_names_all(client, held, message):
    client.ask({"type": "subscribe", "symbols": ["ETH/USDT", "BTC/USDT"]})
    answer = client.ask({"type": "unsubscribe", **message})
    assert without_time(answer) == {"type": "unsubscribed", "symbols": ["BTC/USDT", "ETH/USDT"]}
    assert (held(client.id).reserved, held(client.id).served) == ([], [])


def test_unsubscribe_of_what_is_not_subscribed_is_harmless(client):
    client.ask({"type": "subscribe", "symbols": ["ETH/USDT"]})
    answer = client.ask({"type": "unsubscribe", "symbols": ["BTC/USDT", "NO/SUCH"]})
    assert without_time(answer) == {"type": "unsubscribed", "symbols": ["BTC/USDT", "NO/SUCH"]}
    assert client.ask({"type": "unsubscribe"})["symbols"] == ["ETH/USDT"]
    assert client.ask({"type": "unsubscribe"})["symbols"] == []


def test_unknown_symbols_are_named_and_nothing_changes(client):
    answer = client.ask({"type": "subscribe", "symbols": ["BTC/USDT", "NO/SUCH", "btc/usdt"]})
    assert without_time(answer) == {
        "type": "error",
        "message": "Symbol not found",
        "code": "UNKNOWN_SYMBOL",
        "detail": "not a symbol or ticker here: NO/SUCH, btc/usdt; names are case sensitive, "
        "try BTC/USDT for btc/usdt",
        "symbols": ["NO/SUCH", "btc/usdt"],
    }
    assert client.ask({"type": "unsubscribe"})["symbols"] == []


def test_the_eleventh_symbol_is_refused_and_nothing_changes(client):
    client.ask({"type": "subscribe", "symbols": TEN[:9]})
    answer = client.ask({"type": "subscribe", "symbols": ["BTC/USDT", "ETH/USDT"]})
    assert without_time(answer) == {
        "type": "error",
        "message": "Too many symbols",
        "code": "SUBSCRIPTION_LIMIT",
        "detail": "a connection has at most 10 symbols: 9 are subscribed, "
        "2 new ones were asked for",
    }
    assert client.ask({"type": "unsubscribe"})["symbols"] == TEN[:9]


def test_thousands_of_symbols_are_over_the_limit(client):
    answer = client.ask({"type": "subscribe", "symbols": [f"S{n}" for n in range(5000)]})
    assert (answer["code"], answer["message"]) == ("SUBSCRIPTION_LIMIT", "Too many symbols")


def test_subscribing_again_does_not_count_twice(client):
    client.ask({"type": "subscribe", "symbols": TEN})
    assert client.ask({"type": "subscribe", "symbols": TEN[3:5]})["type"] == "subscribed"
    assert client.ask({"type": "unsubscribe"})["symbols"] == TEN


def test_concurrent_subscribes_are_whole_and_never_more_than_ten(client, held, wait_until):
    """Ten messages of three symbols run at the same time: three fit, the others do not."""
    threes = [[f"C{3 * n + part}/USDT" for part in range(3)] for n in range(10)]
    for three in threes:
        client.send({"type": "subscribe", "symbols": three})
    answers = [client.receive() for _ in threes]
    done = [tuple(answer["symbols"]) for answer in answers if answer["type"] == "subscribed"]
    refused = [answer["code"] for answer in answers if answer["type"] == "error"]
    assert refused == ["SUBSCRIPTION_LIMIT"] * 7
    assert len(done) == 3
    names = sorted(name for three in done for name in three)
    assert held(client.id).reserved == names
    wait_until(lambda: held(client.id).served == names, 5, "the three being served")
    assert client.ask({"type": "unsubscribe"})["symbols"] == names


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "the message is not JSON: Input data was truncated"),
        ("hello", "the message is not JSON: JSON is malformed: invalid character (byte 0)"),
        ('{"type":"ping","x":NaN}', "the message is not JSON: JSON is malformed"),
        ("[]", "Expected `object`, got `array`"),
        ("null", "Expected `object`, got `null`"),
        ("{}", "Object missing required field `type`"),
        ('{"type":5}', "Expected `str` - at `$.type`"),
        ('{"type":"subscribe"}', "Object missing required field `symbols`"),
        ('{"type":"subscribe","symbols":"BTC/USDT"}', "Expected `array`, got `str`"),
        ('{"type":"subscribe","symbols":[]}', "Expected `array` of length >= 1"),
        (
            '{"type":"subscribe","symbols":["A",7]}',
            "Expected `str`, got `int` - at `$.symbols[1]`",
        ),
        ('{"type":"subscribe","symbols":[""]}', "length >= 1 - at `$.symbols[0]`"),
        ('{"type":"unsubscribe","symbols":[]}', "Expected `array` of length >= 1"),
        ('{"type":"ping","x":"\\ud800"}', "stands without its other half"),
        ('{"type":"ping","x":' + "[" * 10_000 + "]" * 10_000 + "}", "nested too deeply"),
        ('{"type":"enrol"}', "unknown type 'enrol': this server knows subscribe"),
        ('{"type":"$connect"}', "unknown type '$connect'"),
        ('{"type":"$disconnect"}', "unknown type '$disconnect'"),
        ('{"type":"$default"}', "unknown type '$default'"),
    ],
)
def test_what_is_no_message_is_a_validation_error_that_says_why(client, text, detail):
    client.ask({"type": "subscribe", "symbols": ["BTC/USDT"]})
    answer = without_time(client.ask(text))
    assert detail in answer.pop("detail")
    assert answer == {
        "type": "error",
        "message": "Invalid message format",
        "code": "VALIDATION_ERROR",
    }
    assert client.ask({"type": "unsubscribe"})["symbols"] == ["BTC/USDT"]


def test_the_key_in_the_query_lets_in(gateway):
    url = f"ws://{gateway.stream}/stream?api_key={gateway.key}"
    client = gateway.connect(url=url, header=[])
    assert client.ask({"type": "ping"})["type"] == "pong"


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_the_header_lets_in_in_any_case(gateway, name):
    client = gateway.connect(header=[f"{name}: bearer {gateway.key}"])
    assert client.ask({"type": "ping"})["type"] == "pong"


@pytest.mark.parametrize(
    "header",
    [
        [],
        ["Authorization: Bearer wrong"],
        ["Authorization: Basic Y2hyb25v"],
        ["Authorization: Bearer a-key-that-has-expired"],
        ["Authorization: Bearer"],
    ],
)
def test_without_a_good_key_the_upgrade_is_refused_with_401(gateway, header):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(f"ws://{gateway.stream}/stream", header=header)
    assert refused.value.status_code == 401
    body = without_time(json.loads(refused.value.resp_body))
    assert body.pop("detail") == "no known API key in `Authorization: Bearer` or `?api_key=`"
    assert body == {
        "type": "error",
        "message": "Authentication failed",
        "code": "UNAUTHORIZED",
    }


def test_an_offered_subprotocol_is_taken(gateway):
    client = gateway.connect(subprotocols=["chrono.v1", "other"])
    assert client.socket.getsubprotocol() == "chrono.v1"


def test_a_closed_connection_leaves_nothing_in_the_tables(gateway, held, wait_until):
    client = gateway.connect()
    client.ask({"type": "subscribe", "symbols": TEN})
    wait_until(lambda: held(client.id).served == TEN, 5, "the ten being served")
    client.socket.close()
    wait_until(lambda: is_forgotten(held(client.id)), 10, "the cleaning up")


def is_forgotten(found):
    return found.reserved is None and not found.served


def test_closing_during_concurrent_subscribes_leaves_no_orphan(gateway, held, wait_until):
    """Whatever order the messages and the end are worked in, nothing is served afterwards."""
    ids = []
    for _ in range(6):
        client = gateway.connect()
        ids.append(client.id)
        for name in TEN:
            client.send({"type": "subscribe", "symbols": [name]})
        client.socket.shutdown()
    wait_until(
        lambda: all(is_forgotten(held(connection_id)) for connection_id in ids),
        10,
        "the cleaning up",
    )


def test_concurrent_subscribe_and_unsubscribe_end_in_one_state(client, held, wait_until):
    """Reservations and what is served agree, however the messages interleave."""
    kinds = ["subscribe", "unsubscribe"] * 12
    for kind in kinds:
        client.send({"type": kind, "symbols": TEN[:3]})
    answers = [client.receive() for _ in kinds]
    assert {answer["type"] for answer in answers} == {"subscribed", "unsubscribed"}
    reserved = held(client.id).reserved
    assert reserved in ([], TEN[:3])
    wait_until(lambda: held(client.id).served == reserved, 5, "agreement")
    assert client.ask({"type": "unsubscribe"})["symbols"] == reserved


def test_a_hundred_clients_are_served_side_by_side(gateway):
    """Many connections at once: each gets its own answers."""
    clients = [websocket.create_connection(gateway.ws, timeout=20) for _ in range(100)]
    gateway.clients.extend(clients)
    barrier = threading.Barrier(10)

    def ask(number):
        barrier.wait(10)
        for position in range(number, 100, 10):
            name = f"C{position % 30}/USDT"
            clients[position].send(json.dumps({"type": "subscribe", "symbols": [name]}))
            assert json.loads(clients[position].recv())["type"] == "welcome"
            assert json.loads(clients[position].recv())["symbols"] == [name]

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(ask, range(10)))
