"""Whatever comes in Blockchain.com's place is an outcome or a DecodeError."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_worker.exchanges.blockchain import decode
from marketdata.errors import DecodeError

RECEIVED_NS = 1_626_993_562_845_098_123
UPDATE = (
    b'{"seqnum":97,"event":"updated","channel":"l2","symbol":"ALGO-BTC","bids":[],"asks":['
    b'{"num":0,"px":2.461E-5,"qty":0.0}],"timestamp":"2021-07-22T22:39:22.851811Z"}'
)
SNAPSHOT = UPDATE.replace(b"updated", b"snapshot")
TRADE = (
    b'{"seqnum":21,"event":"updated","channel":"trades","symbol":"BTC-USD","timestamp":'
    b'"2019-08-13T11:30:06.100140Z","side":"buy","qty":8.5E-5,"price":11252.4,'
    b'"trade_id":"12886314421"}'
)
PRICES = (
    b'{"seqnum":9,"event":"updated","channel":"prices","symbol":"BTC-USD",'
    b'"price":[1589135580000,8506.3,8506.3,8495.5,8501.1,5.961E-4]}'
)
TICKER = (
    b'{"seqnum":5,"event":"updated","channel":"ticker","symbol":"BTC-USD",'
    b'"volume_24h":823.1,"last_trade_price":8495.5}'
)
FRAMES = (UPDATE, SNAPSHOT, TRADE, PRICES, TICKER)


@pytest.mark.parametrize(
    "frame",
    [
        UPDATE.replace(b"2.461E-5", b"NaN"),
        UPDATE.replace(b"2.461E-5", b"Infinity"),
        UPDATE.replace(b"2.461E-5", b"1e999"),
        UPDATE.replace(b"2.461E-5", b"-1.0"),
        UPDATE.replace(b"2.461E-5", b'"2.461E-5"'),
        UPDATE.replace(b"2.461E-5", b'"\xff"'),
        UPDATE.replace(b"2.461E-5", b"null"),
        UPDATE.replace(b"2.461E-5", b"[]"),
        UPDATE.replace(b'"qty":0.0', b'"qty":-1E-5'),
        UPDATE.replace(b'"qty":0.0', b'"quantity":0.0'),
        UPDATE.replace(b'"bids":[],', b""),
        UPDATE.replace(b'"bids":[]', b'"bids":{}'),
        UPDATE.replace(b'"symbol":"ALGO-BTC",', b""),
        UPDATE.replace(b"97", b"-1"),
        UPDATE.replace(b"97", b'"97"'),
        UPDATE.replace(b"97", b"9.5"),
        UPDATE.replace(b"2021-07-22T22:39:22.851811Z", b"2021-07-22T22:39:22.851811"),
        UPDATE.replace(b"2021-07-22T22:39:22.851811Z", b"1901-07-22T22:39:22Z"),
        UPDATE.replace(b"2021-07-22T22:39:22.851811Z", b"9999-12-31T23:59:59Z"),
        UPDATE.replace(b"2021-07-22T22:39:22.851811Z", b"now"),
        UPDATE[:-20],
        TRADE.replace(b'"buy"', b'"BOUGHT"'),
        TRADE.replace(b'"12886314421"', b'""'),
        TRADE.replace(b'"12886314421"', b"12886314421"),
        PRICES.replace(b",5.961E-4", b""),
        PRICES.replace(b"1589135580000", b"0"),
        PRICES.replace(b"1589135580000", b"1589135580.0005"),
        PRICES.replace(b"1589135580000", b"1589135580000000"),
        PRICES.replace(b"8495.5", b"-8495.5"),
        TICKER.replace(b"8495.5", b"{}"),
        b"\xff\xfe",
        b"",
        b"[]",
        b"null",
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_what_it_says_is_a_decode_error(frame) -> None:
    with pytest.raises(DecodeError) as caught:
        decode.decode(frame, RECEIVED_NS)
    assert caught.value.reason


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_give_outcomes_or_a_decode_error(frame) -> None:
    with contextlib.suppress(DecodeError):
        decode.decode(frame, RECEIVED_NS)
    with contextlib.suppress(DecodeError):
        decode.decode_instruments(frame)


@given(st.data())
def test_a_damaged_frame_gives_outcomes_or_a_decode_error(data) -> None:
    frame = bytearray(data.draw(st.sampled_from(FRAMES)))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        decode.decode(bytes(frame), RECEIVED_NS)


@pytest.mark.parametrize("body", [b"", b"5", b'{"BTC-USD":{}}', b'[{"symbol":"B"}]', b"{"])
def test_what_is_no_list_of_instruments_is_a_decode_error(body) -> None:
    with pytest.raises(DecodeError):
        decode.decode_instruments(body)
