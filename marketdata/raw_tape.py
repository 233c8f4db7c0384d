"""Tapedeck's own recording of one exchange's traffic, line by line. Pure.

A file `<exchange>_<YYYYMMDDTHHMMSSZ>.tape.gz` is gzip text. Its first line is the header, JSON:

    {"tapedeck":1,"exchange":"coinbase","ws":"wss://…","rest":"https://…"}

Every other line is `<received ns> <kind><connection> <payload>`, in the order of arrival:

    1792047600000000001 c1 /ws?x=1          connection 1 was opened (path and query)
    1792047600000000002 >1 {"type":"subscribe"}
                                            a text message that the client sent
    1792047600000000003 <1 {"type":"match"} a text frame of the exchange
    1792047600000000004 b<1 CgQxMjM0        a binary frame, base64 (`b>` one that was sent)
    1792047600000000005 t<1 ewp9            a text frame with line breaks, base64 (`t>` sent)
    1792047600000000006 *>1                 something was sent that has a secret in it
    1792047600000000007 r0 {"path":"/products","status":200,"body":"[]"}
                                            a REST answer; `sent` is the body of a POST
    1792047600000000008 x1 1006 gone        the connection ended

Payloads are byte for byte those of the wire. Kinds that a reader does not know are passed
over, as are further members of the header. A writer that flushes its gzip stream now and then
loses no more than the end when it is killed: a last line without its line feed does not count.
"""

import binascii
import re
from base64 import b64decode, b64encode
from typing import NamedTuple

import msgspec

from marketdata.errors import DecodeError
from marketdata.times import iso_ms

VERSION = 1

OPENED, SENT, SENT_BINARY, SECRET, FRAME, BINARY, REST, CLOSED = (
    "opened", "sent", "sent_binary", "secret", "frame", "binary", "rest", "closed",
)  # fmt: skip

_PLAIN = {
    OPENED: b"c", SENT: b">", SENT_BINARY: b"b>", SECRET: b"*>", FRAME: b"<", BINARY: b"b<",
    REST: b"r", CLOSED: b"x",
}  # fmt: skip
_KINDS = {mark: kind for kind, mark in _PLAIN.items()} | {b"t>": SENT, b"t<": FRAME}
_LINE = re.compile(rb"(\d{1,20}) ([!-/:-~]{1,4})(\d{1,9}) ?(.*)", re.DOTALL)
_BREAKS = re.compile(rb"[\r\n]")
_NAME = re.compile(r"[a-z0-9]+")


class TapeHeader(msgspec.Struct, frozen=True):
    """The first line: whose traffic, from which base URLs ("" where there is none).

    `wire` names the wire format of an exchange that has several.
    """

    tapedeck: int
    exchange: str
    ws: str = ""
    rest: str = ""
    wire: str = ""


class RawLine(NamedTuple):
    """One thing that was received or sent; `received_ns` is Unix time.

    `kind` is one of this module's names, "" for one that this version does not know;
    `connection` tells several sockets of a recording apart. `payload` is the frame or message;
    the path for `opened`, a close code and reason for `closed`, the JSON of a `RestAnswer` for
    `rest`.
    """

    received_ns: int
    kind: str
    connection: int
    payload: bytes


class RestAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer to GET, or to POST where `sent` is not empty; `path` has the query."""

    path: str
    status: int
    body: str
    sent: str = ""


_header = msgspec.json.Decoder(TapeHeader)
_rest = msgspec.json.Decoder(RestAnswer)


def file_name(exchange: str, started_ms: int) -> str:
    """The name of a recording that begins at `started_ms`."""
    stamp = re.sub(r"[-:]|\.\d+", "", iso_ms(started_ms))
    return f"{exchange}_{stamp}.tape.gz"


def encode_header(header: TapeHeader) -> bytes:
    """The first line, with its line feed."""
    return msgspec.json.encode(header) + b"\n"


def decode_header(line: bytes) -> TapeHeader:
    """The inverse of `encode_header`.

    Raises:
        DecodeError: the line is no header, or of a version that this one cannot read.
    """
    try:
        header = _header.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError("is no header of a Tapedeck recording") from error
    if header.tapedeck != VERSION:
        raise DecodeError(f"has version {header.tapedeck} of the format: {VERSION} is known")
    if not _NAME.fullmatch(header.exchange):
        raise DecodeError("names no exchange")
    return header


def encode_line(line: RawLine) -> bytes:
    """A line, with its line feed.

    Raises:
        KeyError: the kind is none of this module's names.
    """
    mark, payload = _PLAIN[line.kind], line.payload
    if line.kind in (BINARY, SENT_BINARY):
        payload = b64encode(payload)
    elif line.kind in (FRAME, SENT) and _BREAKS.search(payload):
        mark, payload = b"t" + mark, b64encode(payload)
    elif line.kind == SECRET:
        payload = b""
    else:
        payload = _BREAKS.sub(b" ", payload)
    return b"%d %b%d %b\n" % (line.received_ns, mark, line.connection, payload)


def decode_line(line: bytes) -> RawLine:
    """The inverse of `encode_line`; the line feed may be there or not.

    Raises:
        DecodeError: the line is none of the format.
    """
    found = _LINE.fullmatch(line.removesuffix(b"\n"))
    if found is None:
        raise DecodeError("is no line of a Tapedeck recording")
    mark, payload = found[2], found[4]
    if mark[:1] in (b"b", b"t") and mark in _KINDS:
        try:
            payload = b64decode(payload, validate=True)
        except binascii.Error as error:
            raise DecodeError("is not base64 as its kind says") from error
    return RawLine(int(found[1]), _KINDS.get(mark, ""), int(found[3]), payload)


def encode_rest(answer: RestAnswer) -> bytes:
    """The payload of a `rest` line."""
    return msgspec.json.encode(answer)


def decode_rest(payload: bytes) -> RestAnswer:
    """The inverse of `encode_rest`.

    Raises:
        DecodeError: the payload is no answer.
    """
    try:
        return _rest.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError("is no REST answer") from error
