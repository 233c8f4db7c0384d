"""The five numbers of a candle, exact, and how they are put together. Pure.

texts of trades or candles ─► Values ─► joined, in the order of time ─► texts
"""

from decimal import Context, Decimal
from typing import NamedTuple

import msgspec

from marketdata.decimals import plain
from marketdata.errors import DecodeError
from marketdata.messages import Candle

MINUTE = "1m"
MINUTE_MS = 60_000
LONGER_MS = {"5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}
"""The intervals that are folded from minutes; a day is one of UTC."""

_MOST_DIGITS = 100
_EXACT = Context(prec=4 * _MOST_DIGITS)
"""Sums of numbers of at most `_MOST_DIGITS` digits a side never round."""


class Values(NamedTuple):
    """Prices as the exchange's own texts, exponents written out, and an exact volume."""

    open: str
    high: str
    low: str
    close: str
    volume: Decimal


def number(raw: msgspec.Raw) -> tuple[str, Decimal]:
    """A JSON number as plain text and as a number.

    Raises:
        DecodeError: it is none, or has an absurd number of digits.
    """
    try:
        text = plain(str(raw, "ascii"))
    except UnicodeDecodeError:
        raise DecodeError("a number of a trade or candle is none") from None
    if len(text) > _MOST_DIGITS:
        raise DecodeError(f"a number of more than {_MOST_DIGITS} digits")
    return text, Decimal(text)


def add(left: Decimal, right: Decimal) -> Decimal:
    """The exact sum; it has the digits of the longer fraction."""
    return _EXACT.add(left, right)


def values_of(candle: Candle) -> Values:
    """The numbers of a candle. Raises DecodeError."""
    opened, high, low, close = (
        number(one)[0] for one in (candle.open, candle.high, candle.low, candle.close)
    )
    return Values(opened, high, low, close, number(candle.volume)[1])


def joined(earlier: Values, later: Values) -> Values:
    """One candle of two that follow each other; of equal prices the earlier text stays."""
    high = later.high if Decimal(later.high) > Decimal(earlier.high) else earlier.high
    low = later.low if Decimal(later.low) < Decimal(earlier.low) else earlier.low
    return Values(earlier.open, high, low, later.close, add(earlier.volume, later.volume))


def candle_of(
    values: Values, *, pair: str, source: str, interval: str, start_ms: int, closed: bool
) -> Candle:
    """The message of topic `candles`."""
    return Candle(
        pair=pair,
        timestamp=start_ms,
        open=msgspec.Raw(values.open.encode()),
        high=msgspec.Raw(values.high.encode()),
        low=msgspec.Raw(values.low.encode()),
        close=msgspec.Raw(values.close.encode()),
        volume=msgspec.Raw(f"{values.volume:f}".encode()),
        source=source,
        interval=interval,
        closed=closed,
    )
