"""The lines of a file that may be gzip, whole or cut off.

bytes ─► 256 KiB at a time ─► unpacked, member after member ─► lines
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 256 << 10
_GZIP = b"\x1f\x8b"
_LONGEST_LINE = 64 << 20


def lines(path: Path, *, cut_off: bool = False) -> Iterator[bytes]:
    """Each line without its line feed, as soon as it has been read.

    With `cut_off` the file may end anywhere, as one does whose writer was killed: what is not
    a whole line at its end is left out. Without, an unfinished gzip file is an error and a last
    line needs no line feed. Lines are at most 64 MiB.

    Raises:
        OSError: the file cannot be read.
        EOFError: it ends in the middle of its gzip data.
        ValueError: it is no gzip data after all, or a line is too long.
    """
    rest = b""
    for chunk in _unpacked(path, cut_off=cut_off):
        whole = (rest + chunk).split(b"\n")
        rest = whole.pop()
        if len(rest) > _LONGEST_LINE:
            raise ValueError("is longer than 64 MiB")
        yield from whole
    if rest and not cut_off:
        yield rest


def _unpacked(path: Path, *, cut_off: bool) -> Iterator[bytes]:
    with path.open("rb") as file:
        chunk = file.read(_CHUNK)
        if not chunk.startswith(_GZIP):
            while chunk:
                yield chunk
                chunk = file.read(_CHUNK)
            return
        unpack = zlib.decompressobj(wbits=31)
        while chunk:
            try:
                text = unpack.decompress(chunk, _CHUNK)
            except zlib.error as error:
                raise ValueError(f"cannot be unpacked: {error}") from error
            if text:
                yield text
            chunk = unpack.unconsumed_tail
            if unpack.eof:
                chunk = unpack.unused_data.lstrip(b"\0") or file.read(_CHUNK)
                if chunk:
                    unpack = zlib.decompressobj(wbits=31)
            elif not chunk:
                chunk = file.read(_CHUNK)
        if not (unpack.eof or cut_off):
            raise EOFError("ends in the middle of its gzip data")
