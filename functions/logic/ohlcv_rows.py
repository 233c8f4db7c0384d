"""Candles as the rows of `GET /api/ohlcv` (sources/crypto-streams.md)."""

import hashlib
from collections.abc import Sequence

import msgspec

from marketdata.messages import Candle

ID_DIGITS = 24


class OhlcvRow(msgspec.Struct, frozen=True, rename={"id": "_id"}):
    """One row, in the document's order; the numbers have the exchange's own digits."""

    id: str
    close: msgspec.Raw
    high: msgspec.Raw
    low: msgspec.Raw
    open: msgspec.Raw
    pair: str
    timestamp: int
    volume: msgspec.Raw


def ohlcv_rows(candles: Sequence[Candle], pair: str) -> str:
    """The bare JSON array, in the order of the candles; `pair` is as it was asked for."""
    rows = [
        OhlcvRow(
            id=row_id(one),
            close=one.close,
            high=one.high,
            low=one.low,
            open=one.open,
            pair=pair,
            timestamp=one.timestamp,
            volume=one.volume,
        )
        for one in candles
    ]
    return msgspec.json.encode(rows).decode()


def row_id(candle: Candle) -> str:
    """24 hexadecimal digits, always the same for one source, symbol, interval and start."""
    text = f"{candle.source}#{candle.pair}#{candle.interval}#{candle.timestamp}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:ID_DIGITS]
