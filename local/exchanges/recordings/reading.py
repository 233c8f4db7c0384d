"""A recording's lines, and whose it is.

file ─► lines ─► RecordedLine; several files ─► one tape by receive time
"""

import heapq
import re
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from local.exchanges.recordings.packed_lines import lines
from local.exchanges.recordings.recorded_line import RecordedLine, parse_foreign, parse_own
from marketdata.errors import DecodeError, InputError
from marketdata.raw_tape import TapeHeader, decode_header

_OWN = b'{"tapedeck":'
_ANY_URL = re.compile(rb"(\w+)://([^/\s]+)")
_BINANCE_LINE = re.compile(rb'\d{16,20} \{|\d{9,11}(\.\d+)?: \{"stream":')
_VENUES = {
    "binance.com": "binance", "binance.vision": "binance", "binance.us": "binance.us",
    "coinbase.com": "coinbase", "blockchain.info": "blockchain",
    "blockchain.com": "blockchain", "stockbit.com": "stockbit",
}  # fmt: skip


def read(path: Path) -> Iterator[RecordedLine]:
    """Everything that a file tells, in its order; a Tapedeck recording may be cut off.

    Raises:
        InputError: the file cannot be read, or a line is none of the formats.
    """
    number = 0
    try:
        own = header_of(path) is not None
        parse = parse_own if own else parse_foreign
        for number, line in enumerate(lines(path, cut_off=own), 1):
            if own and number == 1:
                continue
            found = parse(line, number)
            if found:
                yield found
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (EOFError, ValueError) as error:
        raise InputError(f"{path} is not a recording: line {number or 1} {error}") from error


def merged(paths: Sequence[Path]) -> Iterator[RecordedLine]:
    """The lines of all files by receive time; those of one file keep their order.

    Raises:
        InputError: see `read`.
    """
    return heapq.merge(*(read(path) for path in paths), key=attrgetter("time_ns"))


def header_of(path: Path) -> TapeHeader | None:
    """The header of a Tapedeck recording, None for a file of another recorder.

    Raises:
        InputError: the file cannot be read, or its header not understood.
    """
    first = _first_line(path)
    if not first.startswith(_OWN):
        return None
    try:
        return decode_header(first)
    except DecodeError as error:
        raise InputError(f"{path} is not a recording: its first line {error}") from error


def venue_of(path: Path) -> str:
    """Whose recording a file is: an exchange, `binance.us`, or another host.

    It is told by the header, or by the address at the start; hftbacktest's files have none,
    their frames are Binance's.

    Raises:
        InputError: the file cannot be read, or does not start like a recording.
    """
    header = header_of(path)
    if header is not None:
        us = header.exchange == "binance" and "binance.us" in header.rest
        return "binance.us" if us else header.exchange
    first = _first_line(path)
    found = _ANY_URL.match(first)
    if found:
        host = found[2].decode(errors="replace").partition(":")[0]
        return next((name for end, name in _VENUES.items() if host.endswith(end)), host)
    if _BINANCE_LINE.match(first):
        return "binance"
    raise InputError(f"{path} is not a recording: its first line has none of the known forms")


def exchange_of(path: Path) -> str:
    """The exchange whose simulator can replay a file, or the host that it is of.

    Raises:
        InputError: see `venue_of`.
    """
    return venue_of(path).removesuffix(".us")


def _first_line(path: Path) -> bytes:
    try:
        return next(lines(path, cut_off=True), b"") or next(lines(path), b"")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read: it {error}") from error
