"""The client protocol's messages, both ways (sources/chrono-stream.md)."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata import client_protocol
from marketdata.client_protocol import (
    MESSAGES,
    Ping,
    Subscribe,
    Unsubscribe,
    client_error,
    parse,
    price_update,
)
from marketdata.errors import ClientError, DecodeError
from marketdata.messages import Tick

NOW_MS = 1_760_106_600_000
NOW = "2025-10-10T14:30:00.000Z"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def tick(price=b"45123.5", volume=b"1234567.89"):
    return Tick("BTC/USD", msgspec.Raw(price), msgspec.Raw(volume), NOW, "coinbase", ("1s",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"ping"}', Ping()),
        (b'{"type":"ping","more":{"any":[1]}}', Ping()),
        ('{"symbols":["A"],"type":"subscribe"}', Subscribe(("A",))),
        ('{"type":"unsubscribe"}', Unsubscribe()),
        ('{"type":"unsubscribe","symbols":["A","B"]}', Unsubscribe(("A", "B"))),
    ],
)
def test_the_documents_messages_are_understood(text, message):
    assert parse(text) == message


def test_names_are_each_taken_once_in_their_order():
    assert parse('{"type":"subscribe","symbols":["B","A","B"]}').names == ("B", "A")
    assert parse('{"type":"unsubscribe","symbols":["B","A","B"]}').names == ("B", "A")
    assert parse('{"type":"unsubscribe"}').names is None


def test_names_have_64_characters_and_an_unsubscribe_100_names_at_most():
    assert parse(json.dumps({"type": "subscribe", "symbols": ["x" * 64]}))
    many = [f"{n}" for n in range(101)]
    assert parse(json.dumps({"type": "unsubscribe", "symbols": many[:100] * 2}))
    for symbols, kind in ((["x" * 65], "subscribe"), (many, "unsubscribe")):
        with pytest.raises(ClientError) as refused:
            parse(json.dumps({"type": kind, "symbols": symbols}))
        assert refused.value.code == "VALIDATION_ERROR"


@settings(max_examples=150)
@given(st.one_of(st.binary(), st.text(), JSON.map(json.dumps)))
def test_whatever_comes_is_a_message_or_a_validation_error(raw):
    expect_message_or_error(raw)


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["subscribe", "unsubscribe", "ping", "$connect"]) | JSON},
        optional={"symbols": st.lists(st.text()) | JSON, "type ": JSON},
    )
)
def test_whatever_looks_like_a_message_is_one_or_a_validation_error(message):
    expect_message_or_error(json.dumps(message))


def expect_message_or_error(raw):
    try:
        message = parse(raw)
    except ClientError as refused:
        error = refused
    else:
        assert isinstance(message, Subscribe | Unsubscribe | Ping)
        return
    assert (error.code, error.message) == ("VALIDATION_ERROR", "Invalid message format")
    assert 0 < len(str(error)) < 400
    assert json.loads(client_protocol.error(error, NOW_MS))["detail"] == str(error)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (
            client_protocol.subscribed(["BTC/USD", "ETH/USD"], NOW_MS),
            f'{{"type":"subscribed","symbols":["BTC/USD","ETH/USD"],"timestamp":"{NOW}"}}',
        ),
        (
            client_protocol.unsubscribed([], NOW_MS),
            f'{{"type":"unsubscribed","symbols":[],"timestamp":"{NOW}"}}',
        ),
        (client_protocol.pong(NOW_MS), f'{{"type":"pong","timestamp":"{NOW}"}}'),
        (
            client_protocol.error(client_error("VALIDATION_ERROR", "because"), NOW_MS),
            (
                '{"type":"error","message":"Invalid message format","code":"VALIDATION_ERROR",'
                f'"timestamp":"{NOW}","detail":"because"}}'
            ),
        ),
        (
            client_protocol.error(client_error("UNKNOWN_SYMBOL", "it", ["X"]), NOW_MS),
            (
                '{"type":"error","message":"Symbol not found","code":"UNKNOWN_SYMBOL",'
                f'"timestamp":"{NOW}","detail":"it","symbols":["X"]}}'
            ),
        ),
        (
            price_update(tick(), "BTC-USD"),
            (
                '{"type":"price_update","symbol":"BTC-USD","price":45123.5,"volume":1234567.89,'
                f'"timestamp":"{NOW}","source":"coinbase"}}'
            ),
        ),
    ],
)
def test_the_servers_messages_are_the_documents(encoded, text):
    assert encoded.decode() == text


def test_every_code_has_the_documents_text():
    assert {code: MESSAGES[code] for code in list(MESSAGES)[:4]} == {
        "VALIDATION_ERROR": "Invalid message format",
        "UNAUTHORIZED": "Authentication failed",
        "SUBSCRIPTION_LIMIT": "Too many symbols",
        "UNKNOWN_SYMBOL": "Symbol not found",
    }


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, max_value=10**12))
def test_digits_are_never_changed(number):
    digits = f"{number:f}"
    text = price_update(tick(price=digits.encode(), volume=b"null"), "X").decode()
    assert f'"price":{digits},"volume":null' in text


@pytest.mark.parametrize("literal", [b'"1"', b"true", b"[1]", b"{}", b"null"])
def test_a_price_that_is_no_number_is_not_sent(literal):
    with pytest.raises(DecodeError):
        price_update(tick(price=literal), "X")


def test_a_volume_that_is_not_known_is_null():
    assert b'"volume":null' in price_update(tick(volume=b"null"), "X")
