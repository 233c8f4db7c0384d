"""Stellar's own spelling of keys: `G…` accounts and `C…` contracts (SEP-23)."""

import base64
import binascii
from collections.abc import Iterable

ACCOUNT, CONTRACT = 6 << 3, 2 << 3
_SIZE = 32


class BadKeyError(ValueError):
    """A text that is no key of the kind that is wanted."""


def strkey(kind: int, raw: bytes) -> str:
    """The text of 32 bytes: kind, bytes, CRC-16/XMODEM with its low byte first, in base32."""
    body = bytes((kind,)) + raw
    checksum = binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(body + checksum).decode()


def raw_key(kind: int, text: str) -> bytes:
    """The 32 bytes of a key.

    Raises:
        BadKeyError: another kind, a bad character or a bad checksum.
    """
    try:
        whole = base64.b32decode(text)
    except (binascii.Error, ValueError) as error:
        raise BadKeyError(f"{text!r} is not base32") from error
    if len(whole) != 1 + _SIZE + 2 or strkey(whole[0], whole[1:-2]) != text:
        raise BadKeyError(f"{text!r} has a bad length or checksum")
    if whole[0] != kind:
        raise BadKeyError(f"{text!r} is another kind of key")
    return whole[1:-2]


def all_keys(kind: int, raws: Iterable[bytes]) -> tuple[str, ...]:
    """The texts of several keys of one kind."""
    return tuple(strkey(kind, raw) for raw in raws)
