"""What of a recording is Binance's tape: frames of combined streams, snapshots, instruments.

RecordedLine ─► Record; what is neither is passed over
"""

import heapq
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from local.exchanges.recordings import FRAME as LINE_FRAME
from local.exchanges.recordings import REST, RecordedLine, header_of, read
from marketdata.errors import InputError

FRAME, SNAPSHOT, INFO = "frame", "snapshot", "info"
_OK = 200


class Record(NamedTuple):
    """One thing that was received; `name` is the stream, or the ticker ("" unknown)."""

    time_ns: int
    kind: str
    name: str
    payload: bytes


class _Line(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


_line = msgspec.json.Decoder(_Line)


def records(path: Path) -> Iterator[Record]:
    """Every record of a file, in its order.

    A Tapedeck recording has whatever came, so what is no message of a combined stream is passed
    over there: answers to control messages, events of the server, garbage.

    Raises:
        InputError: the file cannot be read, or a line is none of the formats or not Binance's.
    """
    own = header_of(path) is not None
    for line in read(path):
        try:
            record = _record(line)
        except ValueError as error:
            if own:
                continue
            raise InputError(
                f"{path} is not a recording of Binance: line {line.number} {error}"
            ) from error
        if record:
            yield record


def merged(paths: Sequence[Path]) -> Iterator[Record]:
    """Every record of the files by receive time; records of one file keep their order.

    Raises:
        InputError: see `records`.
    """
    return heapq.merge(*(records(path) for path in paths), key=attrgetter("time_ns"))


def _record(line: RecordedLine) -> Record | None:
    if line.kind == LINE_FRAME:
        return _frame(line)
    if line.kind != REST or line.status != _OK:
        return None
    parts = urlsplit(line.url)
    if not line.url or parts.path.endswith("/depth"):
        tickers = parse_qs(parts.query).get("symbol", [""])
        return Record(line.time_ns, SNAPSHOT, tickers[0], line.payload)
    if parts.path.endswith("/exchangeInfo"):
        return Record(line.time_ns, INFO, "", line.payload)
    return None


def _frame(line: RecordedLine) -> Record:
    try:
        frame = _line.decode(line.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"is no message of a combined stream: {error}") from error
    if frame.stream and frame.data:
        return Record(line.time_ns, FRAME, frame.stream, bytes(frame.data))
    raise ValueError("is neither a message of a combined stream nor a snapshot")
