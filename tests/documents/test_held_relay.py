"""What the relay before the gateway hears of a connection, however its bytes are cut."""

import pytest
from websocket import ABNF

LONG = "x" * 70_000


def frame(text, opcode=ABNF.OPCODE_TEXT, fin=1, mask=0):
    return ABNF(fin, 0, 0, 0, opcode, mask, text.encode()).format()


@pytest.mark.parametrize("head", ["GET /ws HTTP/1.1\r\nHost: x", "HTTP/1.1 101 Switching"])
@pytest.mark.parametrize("mask", [0, 1])
@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_every_text_is_heard_whole_and_once(held_relay, head, mask, step):
    sent = [
        frame("hello", mask=mask),
        frame("", ABNF.OPCODE_PING, mask=mask),
        frame("in ", fin=0, mask=mask),
        frame("between", ABNF.OPCODE_PONG, mask=mask),
        frame("pieces", ABNF.OPCODE_CONT, mask=mask),
        frame("x" * 300, mask=mask),
        frame(LONG, mask=mask) if step > 1 else b"",
        frame("", ABNF.OPCODE_CLOSE, mask=mask),
    ]
    data, texts = f"{head}\r\n\r\n".encode() + b"".join(sent), held_relay.Texts()
    heard = [
        one for at in range(0, len(data), step) for one in texts.feed(data[at : at + step])
    ]
    assert heard == ["hello", "in pieces", "x" * 300, *([LONG] if step > 1 else [])]


def test_a_refused_upgrade_has_no_texts(held_relay):
    refused = b"HTTP/1.1 401 Unauthorized\r\n\r\n" + frame("a body")
    assert list(held_relay.Texts().feed(refused)) == []
