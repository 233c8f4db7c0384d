"""Recordings line by line: hftbacktest's gzip text, cryptofeed's `.ws` and `.http` files.

    <unix ns> <json>                    hftbacktest: a combined-stream frame, or a bare snapshot
    <unix s>: <json>                    cryptofeed: a combined-stream frame
    <url> -> <unix s>: <body>           cryptofeed: an answer to GET
    <url> <-> <unix s>, <url> <- …      cryptofeed: connected, sent by the client (unused)

Which it is, is seen from each line, not from the file's name; gzip from its first bytes.
"""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from marketdata.errors import InputError

FRAME, SNAPSHOT, INFO = "frame", "snapshot", "info"

_NANOSECONDS = re.compile(rb"(\d{16,20}) (?=\{)")
_SECONDS = re.compile(rb"(\d{9,11}(?:\.\d+)?): (?=\{)")
_ANSWER = re.compile(rb"(\w+://\S+) -> (\d{9,11}(?:\.\d+)?): ")
_TOLD = re.compile(rb"\w+://\S+ (?:<->|<-) |configuration: |\w+: \{")
_ANY_URL = re.compile(rb"(\w+)://([^/\s]+)")
_VENUES = {"binance.com": "binance", "binance.vision": "binance", "binance.us": "binance.us"}


class Record(NamedTuple):
    """One thing that was received; `name` is the stream, or the ticker ("" unknown)."""

    time_ns: int
    kind: str
    name: str
    payload: bytes


class _Line(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    last_update_id: int = msgspec.field(name="lastUpdateId", default=-1)


_line = msgspec.json.Decoder(_Line)


def open_recording(path: Path) -> BinaryIO | gzip.GzipFile:
    """The file's text as bytes, unpacked where it is gzip."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(path) if packed else path.open("rb")


def records(path: Path) -> Iterator[Record]:
    """Every record of a file, in its order.

    Raises:
        InputError: the file cannot be read, or a line is none of the formats.
    """
    number = 1
    try:
        with open_recording(path) as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007 - told when a line is bad
                record = _record(line.rstrip(b"\r\n"))
                if record:
                    yield record
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be read: {reason}") from error
    except (EOFError, ValueError) as error:
        raise InputError(
            f"{path} is not a recording of Binance: line {number} {error}"
        ) from error


def _record(line: bytes) -> Record | None:
    if not line:
        return None
    if found := _NANOSECONDS.match(line):
        return _frame(int(found[1]), line[found.end() :])
    if found := _SECONDS.match(line):
        return _frame(_nanoseconds(found[1]), line[found.end() :])
    if found := _ANSWER.match(line):
        return _answer(_nanoseconds(found[2]), found[1].decode(), line[found.end() :])
    if _TOLD.match(line):
        return None
    raise ValueError("has none of the known forms")


def _nanoseconds(seconds: bytes) -> int:
    whole, _, fraction = seconds.partition(b".")
    return int(whole) * 1_000_000_000 + int(fraction.ljust(9, b"0")[:9])


def _frame(time_ns: int, body: bytes) -> Record:
    try:
        line = _line.decode(body)
    except msgspec.MsgspecError as error:
        raise ValueError(f"is no message of a combined stream: {error}") from error
    if line.stream and line.data:
        return Record(time_ns, FRAME, line.stream, bytes(line.data))
    if line.last_update_id >= 0:
        return Record(time_ns, SNAPSHOT, "", body)
    raise ValueError("is neither a message of a combined stream nor a snapshot")


def _answer(time_ns: int, url: str, body: bytes) -> Record | None:
    parts = urlsplit(url)
    if parts.path.endswith("/depth"):
        tickers = parse_qs(parts.query).get("symbol", [""])
        return Record(time_ns, SNAPSHOT, tickers[0], body)
    if parts.path.endswith("/exchangeInfo"):
        return Record(time_ns, INFO, "", body)
    return None


def venue_of(path: Path) -> str:
    """Whose recording a file is, by the address at its start: a venue, or another host.

    hftbacktest's files have no address; their frames are Binance's.

    Raises:
        InputError: the file cannot be read, or does not start like a recording.
    """
    try:
        with open_recording(path) as lines:
            first = lines.readline(1 << 16)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {reason}") from error
    found = _ANY_URL.match(first)
    if found:
        host = found[2].decode(errors="replace").partition(":")[0]
        return next((name for end, name in _VENUES.items() if host.endswith(end)), host)
    if _NANOSECONDS.match(first) or _SECONDS.match(first):
        return "binance"
    raise InputError(f"{path} is not a recording: its first line has none of the known forms")
