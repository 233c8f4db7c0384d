"""One line of each recorded format as the same thing. Pure.

    <unix ns> <json>                    hftbacktest: a frame, or Binance's bare snapshot
    <unix s>: <text>                    cryptofeed: a frame
    <url> -> <unix s>: <body>           cryptofeed: an answer to GET
    <url> <-> <unix s>                  cryptofeed: connected
    <url> <- <unix s>: <text>           cryptofeed: sent by the client
    <unix ns> <kind><connection> …      Tapedeck: marketdata/raw_tape.py

Which it is, is seen from each line.
"""

import re
from typing import NamedTuple

from marketdata.errors import DecodeError
from marketdata.raw_tape import (
    BINARY,
    CLOSED,
    FRAME,
    OPENED,
    REST,
    SECRET,
    SENT,
    SENT_BINARY,
    decode_line,
    decode_rest,
)

__all__ = [
    "BINARY", "CLOSED", "FRAME", "OPENED", "REST", "SECRET", "SENT", "SENT_BINARY",
    "RecordedLine", "parse_foreign", "parse_own",
]  # fmt: skip

_NANOSECONDS = re.compile(rb"(\d{16,20}) (?=[\[{])")
_SECONDS = re.compile(rb"(\d{9,11}(?:\.\d+)?): ")
_ADDRESSED = re.compile(rb"(\w+://\S+) (->|<->|<-) (\d{9,11}(?:\.\d+)?)(?:: |$)")
_TOLD = re.compile(rb"configuration: |\w+: \{")
_KINDS = {b"->": REST, b"<->": OPENED, b"<-": SENT}
# The snapshot that hftbacktest's recorder asked for stands bare among the frames.
_BARE_SNAPSHOT = b'{"lastUpdateId"'


class RecordedLine(NamedTuple):
    """One thing that was received or sent, at `time_ns` (Unix).

    `payload` is the frame, the message or the body of an answer, byte for byte. `url` is the
    address for `opened`, `sent` and `rest` where the format tells it (of Tapedeck's own only
    the path and the query), `asked` the body of a POST. `number` is the line's, from 1 on.
    """

    time_ns: int
    kind: str
    payload: bytes
    connection: int = 0
    url: str = ""
    status: int = 200
    asked: bytes = b""
    number: int = 0


def parse_own(line: bytes, number: int) -> RecordedLine | None:
    """A line of a Tapedeck recording; None for a kind that is not known.

    Raises:
        ValueError: it is none.
    """
    try:
        time_ns, kind, connection, payload = decode_line(line)
        if kind != REST:
            url = payload.decode(errors="replace") if kind == OPENED else ""
            made = RecordedLine(time_ns, kind, payload, connection, url, number=number)
            return made if kind else None
        answer = decode_rest(payload)
    except DecodeError as error:
        raise ValueError(error.reason) from error
    return RecordedLine(
        time_ns,
        REST,
        answer.body.encode(),
        connection,
        answer.path,
        answer.status,
        answer.sent.encode(),
        number,
    )


def parse_foreign(line: bytes, number: int) -> RecordedLine | None:
    """A line of another recorder; None for a blank one and for what tells no traffic.

    Raises:
        ValueError: it has none of the known forms.
    """
    line = line.rstrip(b"\r")
    if not line:
        return None
    if found := _NANOSECONDS.match(line):
        body = line[found.end() :]
        kind = REST if body.startswith(_BARE_SNAPSHOT) else FRAME
        return RecordedLine(int(found[1]), kind, body, number=number)
    if found := _SECONDS.match(line):
        return RecordedLine(_nanoseconds(found[1]), FRAME, line[found.end() :], number=number)
    if found := _ADDRESSED.match(line):
        time_ns, url = _nanoseconds(found[3]), found[1].decode(errors="replace")
        kind = _KINDS[found[2]]
        return RecordedLine(time_ns, kind, line[found.end() :], url=url, number=number)
    if _TOLD.match(line):
        return None
    raise ValueError("has none of the known forms")


def _nanoseconds(seconds: bytes) -> int:
    whole, _, fraction = seconds.partition(b".")
    return int(whole) * 1_000_000_000 + int(fraction.ljust(9, b"0")[:9])
