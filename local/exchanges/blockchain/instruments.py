"""What is traded: the simulated pairs and their objects in `symbols` (protocols 3.5)."""

import hashlib
import re
from typing import Any

from local.exchanges.fixed_point import UNIT, units8
from local.exchanges.market import MarketInstrument
from marketdata.errors import InputError

_PAIR = re.compile(r"([A-Z0-9]{2,12})-([A-Z0-9]{2,12})")
_COINS = frozenset({"BTC", "ETH"})


def _row(ticker: str, price: str, *, tick: str, step: str, size: str) -> MarketInstrument:
    base, _, quote = ticker.partition("-")
    return MarketInstrument(
        ticker=ticker,
        base=base,
        quote=quote,
        price=units8(price),
        tick=units8(tick),
        step=units8(step),
        size=units8(size),
        price_digits=None,
        quantity_digits=None,
    )


TABLE = {
    row.ticker: row
    for row in (
        _row("BTC-USD", "61837.6", tick="0.1", step="0.00001", size="0.3"),
        _row("ETH-USD", "2683.41", tick="0.01", step="0.0001", size="4"),
        _row("BTC-EUR", "56912.3", tick="0.1", step="0.00001", size="0.1"),
    )
}

CLOSED = "LTC-BTC"
"""Listed beside the simulated pairs: it is acknowledged, its book is empty, nothing happens."""


def instrument(ticker: str) -> MarketInstrument:
    """The table's row, or one made up from the name, always the same for the same name.

    A pair against a coin has prices with an exponent, such as 2.461E-5.

    Raises:
        InputError: the name is no pair.
    """
    if ticker in TABLE:
        return TABLE[ticker]
    found = _PAIR.fullmatch(ticker)
    if found is None or ticker == CLOSED:
        raise InputError(
            f"ticker {ticker!r} cannot be simulated: use two names in capitals, such as XLM-USD"
        )
    draw = int.from_bytes(hashlib.sha256(ticker.encode()).digest()[:4], "big")
    if found[2] in _COINS:
        price = f"0.{2_400 + draw % 5_000:08d}"
        return _row(ticker, price, tick="0.00000001", step="0.01", size="2500")
    price = str(20 + draw % 5_000)
    return _row(ticker, price, tick="0.01", step="0.0001", size="3")


def symbol_object(item: MarketInstrument, number: int, status: str = "open") -> dict[str, Any]:
    """The pair's value in `symbols` and in `GET /v3/exchange/symbols`."""
    increment, increment_scale = _scaled(item.tick)
    lot, lot_scale = _scaled(item.step)
    return {
        "base_currency": item.base,
        "base_currency_scale": 8,
        "counter_currency": item.quote,
        "counter_currency_scale": 8 if item.quote in _COINS else 2,
        "min_price_increment": increment,
        "min_price_increment_scale": increment_scale,
        "min_order_size": lot * 10,
        "min_order_size_scale": lot_scale,
        "max_order_size": 0,
        "max_order_size_scale": 8,
        "lot_size": lot,
        "lot_size_scale": lot_scale,
        "status": status,
        "id": number,
        "auction_price": 0.0,
        "auction_size": 0.0,
        "auction_time": "",
        "imbalance": 0.0,
    }


def closed_symbol(number: int) -> dict[str, Any]:
    """The value of `CLOSED`."""
    row = _row(CLOSED, "0.0011", tick="0.000001", step="0.00000001", size="1")
    return symbol_object(row, number, "closed")


def _scaled(units: int) -> tuple[int, int]:
    """A whole number and how many of its digits stand behind the point."""
    digits = str(units).rstrip("0")
    return int(digits), len(str(UNIT)) - 1 - (len(str(units)) - len(digits))
