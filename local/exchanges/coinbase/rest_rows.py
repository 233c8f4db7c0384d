"""Rows of the REST answers as Coinbase prints them (protocols 5.5). Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec

from local.exchanges.candles import Candle
from local.exchanges.coinbase.payloads import Match
from local.exchanges.fixed_point import fixed, fixed8, units8
from local.exchanges.ladder import BookText

TRADES_A_PAGE = 1_000
CANDLES_A_PAGE = 300
ALL_LEVELS = 1 << 30
INTERVALS = {
    "60": "1m",
    "300": "5m",
    "900": "15m",
    "3600": "1h",
    "21600": "6h",
    "86400": "1d",
}
_SMALL = 10**4


def book(text: BookText, sequence: int, time: str) -> bytes:
    """The aggregated book: a third element of a level is its number of orders."""
    return (
        f'{{"bids":[{_counted(text.bids)}],"asks":[{_counted(text.asks)}],'
        f'"sequence":{sequence},"auction_mode":false,"auction":null,"time":"{time}"}}'
    ).encode()


def _counted(levels: str) -> str:
    """Every level with a number of orders, which follows from its text alone."""
    if not levels:
        return ""
    parts = levels[1:-1].split("],[")
    return ",".join(f"[{part},{1 + sum(part.encode()) % 7}]" for part in parts)


def trades_page(
    matches: Sequence[Match], limit: int, *, before: int | None, after: int | None
) -> list[Match]:
    """Newest first: those below the cursor `after`, or above the cursor `before`."""
    rows = (
        match
        for match in reversed(matches)
        if (after is None or match.trade_id < after)
        and (before is None or match.trade_id > before)
    )
    return list(islice(rows, min(limit, TRADES_A_PAGE)))


def trade(match: Match) -> dict[str, Any]:
    """One element of the trades; prices have eight digits here."""
    return {
        "trade_id": match.trade_id,
        "side": match.side,
        "size": fixed8(units8(match.size)),
        "price": fixed8(units8(match.price)),
        "time": match.time,
    }


def candles(series: Iterable[Candle], start_ms: int, end_ms: int) -> bytes:
    """Rows newest first: those that start in the range, and one from before it.

    Candles without a trade are absent; that earlier ones may come is documented.
    """
    traded = [candle for candle in series if candle.count and candle.start_ms <= end_ms]
    within = [candle for candle in traded if candle.start_ms >= start_ms]
    earlier = [candle for candle in traded if candle.start_ms < start_ms][-1:]
    rows = [_candle(candle) for candle in reversed(earlier + within)]
    return f"[{','.join(rows[: CANDLES_A_PAGE + 1])}]".encode()


def _candle(candle: Candle) -> str:
    values = (candle.low, candle.high, candle.open, candle.close, candle.volume)
    return f"[{candle.start_ms // 1000},{','.join(map(number, values))}]"


def number(units: int) -> str:
    """A JSON number as a float is printed: no trailing zeros, small ones with an exponent."""
    if 0 < units < _SMALL:
        return f"{Decimal(units).scaleb(-8).normalize():e}".replace("e-", "e-0")
    return fixed(units, None)


def ticker(message: bytes) -> dict[str, Any]:
    """The answer of `GET /products/{id}/ticker`, from the message of the ticker channel."""
    told = msgspec.json.decode(message)
    names = {
        "trade_id": "trade_id",
        "price": "price",
        "size": "last_size",
        "time": "time",
        "bid": "best_bid",
        "ask": "best_ask",
        "volume": "volume_24h",
    }
    return {name: told.get(member) for name, member in names.items()}


def stats(message: bytes) -> dict[str, Any]:
    """The answer of `GET /products/{id}/stats`, from the same."""
    told = msgspec.json.decode(message)
    return {
        "open": told.get("open_24h"),
        "high": told.get("high_24h"),
        "low": told.get("low_24h"),
        "last": told.get("price"),
        "volume": told.get("volume_24h"),
        "volume_30day": told.get("volume_30d"),
    }
