"""Tapedeck's own recording: what is written is read, byte for byte, and can be read by eye."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import raw_tape
from marketdata.errors import DecodeError
from marketdata.raw_tape import RawLine, RestAnswer, TapeHeader

TIMES = st.integers(0, 2**63)
CONNECTIONS = st.integers(0, 10**9 - 1)
EXACT = st.sampled_from(["frame", "binary", "sent", "sent_binary"])


@given(TIMES, EXACT, CONNECTIONS, st.binary())
def test_messages_come_back_byte_for_byte_from_one_line(received_ns, kind, number, payload):
    line = RawLine(received_ns, kind, number, payload)
    written = raw_tape.encode_line(line)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    assert raw_tape.decode_line(written) == raw_tape.decode_line(written[:-1]) == line


@given(TIMES, st.text(), st.integers(100, 599), st.text(), st.text())
def test_rest_answers_come_back(received_ns, path, status, body, sent):
    answer = RestAnswer(path, status, body, sent)
    line = RawLine(received_ns, "rest", 0, raw_tape.encode_rest(answer))
    read = raw_tape.decode_line(raw_tape.encode_line(line))
    assert raw_tape.decode_rest(read.payload) == answer


def test_a_recording_can_be_read_by_eye():
    lines = [
        RawLine(1, "opened", 1, b"/ws"),
        RawLine(2, "sent", 1, b'{"type":"subscribe"}'),
        RawLine(3, "frame", 1, b'{"type":"match"}'),
        RawLine(4, "binary", 1, b"\n\x041234"),
        RawLine(5, "frame", 1, b"{\n}"),
        RawLine(6, "secret", 1, b"token"),
        RawLine(7, "rest", 0, raw_tape.encode_rest(RestAnswer("/products", 200, "[]"))),
        RawLine(8, "closed", 1, b"1006 gone"),
    ]
    assert b"".join(map(raw_tape.encode_line, lines)).decode().splitlines() == [
        "1 c1 /ws",
        '2 >1 {"type":"subscribe"}',
        '3 <1 {"type":"match"}',
        "4 b<1 CgQxMjM0",
        "5 t<1 ewp9",
        "6 *>1 ",
        '7 r0 {"path":"/products","status":200,"body":"[]"}',
        "8 x1 1006 gone",
    ]


def test_what_was_secret_is_not_written():
    line = RawLine(6, "secret", 1, b"token")
    assert raw_tape.decode_line(raw_tape.encode_line(line)) == line._replace(payload=b"")


def test_the_header_comes_back_and_may_have_more_members():
    header = TapeHeader(1, "coinbase", "wss://a", "https://b")
    assert raw_tape.decode_header(raw_tape.encode_header(header)) == header
    more = b'{"tapedeck":1,"exchange":"stellar","by":"a later version"}\n'
    assert raw_tape.decode_header(more) == TapeHeader(1, "stellar")


def test_a_name_tells_the_exchange_and_the_beginning():
    name = raw_tape.file_name("binance", 1_723_161_590_123)
    assert name == "binance_20240808T235950Z.tape.gz"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "no header"),
        (b"{", "no header"),
        (b'{"tapedeck":"1","exchange":"binance"}', "no header"),
        (b'{"tapedeck":2,"exchange":"binance"}', "version 2 of the format: 1 is known"),
        (b'{"tapedeck":1,"exchange":"../x"}', "names no exchange"),
        (b'{"tapedeck":1,"exchange":"\xff"}', "no header"),
    ],
)
def test_what_is_no_header_is_refused(line, words):
    with pytest.raises(DecodeError, match=words):
        raw_tape.decode_header(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "no line"),
        (b"12", "no line"),
        (b"x <1 {}", "no line"),
        (b"12 < {}", "no line"),
        (b"12 b<1 %%%", "not base64"),
        (b"12 t>1 e", "not base64"),
    ],
)
def test_what_is_no_line_is_refused(line, words):
    with pytest.raises(DecodeError, match=words):
        raw_tape.decode_line(line)


@given(st.binary())
def test_any_bytes_are_a_line_or_a_refusal(line):
    try:
        read = raw_tape.decode_line(line)
    except DecodeError:
        return
    assert line.startswith((b"%d" % read.received_ns, b"0"))


def test_a_kind_of_a_later_version_is_passed_over_not_refused():
    assert raw_tape.decode_line(b"12 ?<7 anything\n") == RawLine(12, "", 7, b"anything")


@given(st.binary())
def test_any_bytes_are_an_answer_or_a_refusal(payload):
    try:
        answer = raw_tape.decode_rest(payload)
    except DecodeError:
        return
    assert json.loads(payload)["status"] == answer.status
