"""Exact decimal texts: nothing here ever passes through float (design.md §6)."""

import re
from decimal import Decimal, InvalidOperation

from marketdata.errors import DecodeError

_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_MAX_EXPONENT = 64
MAX_DIGITS = 128
"""The longest number, in characters: no market needs it, and Python itself ends at 4,300."""


def plain(text: str) -> str:
    """The same digits with an exponent written out; a plain number comes back unchanged.

    The result is also a JSON number.

    Raises:
        DecodeError: not a decimal number, not finite, an absurd exponent, or more than
            `MAX_DIGITS`.
    """
    if len(text) > MAX_DIGITS:
        raise DecodeError(f"a number of {len(text)} characters; {MAX_DIGITS} are the most")
    if _PLAIN.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        raise DecodeError(f"{text[:40]!r} is not a decimal number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise DecodeError(f"{text[:40]!r} is not a decimal number") from None
    if not number.is_finite() or abs(number.adjusted()) > _MAX_EXPONENT:
        raise DecodeError(f"{text[:40]!r} is not a usable decimal number")
    written = f"{number:f}"
    if len(written) > MAX_DIGITS:
        raise DecodeError(f"{text[:40]!r} is not a usable decimal number")
    return written


def product(left: str, right: str) -> str:
    """`left * right`, exact, plain, without trailing zeros: `0.50 * 3.0` → `1.5`.

    Both arguments are plain decimal texts (see `plain`).
    """
    left_whole, _, left_part = left.partition(".")
    right_whole, _, right_part = right.partition(".")
    scale = len(left_part) + len(right_part)
    number = int(left_whole + left_part) * int(right_whole + right_part)
    if not scale or not number:
        return str(number)
    sign = "-" if number < 0 else ""
    digits = str(abs(number)).zfill(scale + 1)
    fraction = digits[-scale:].rstrip("0")
    whole = digits[:-scale]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def is_zero(text: str) -> bool:
    """Whether a plain decimal text is zero, at any scale (`0`, `0.00000000`)."""
    return not text.strip("-0.")
