"""What is traded: the table of simulated products and their elements of `GET /products`."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from local.exchanges.fixed_point import UNIT, fixed, units8
from local.exchanges.market import MarketInstrument
from marketdata.errors import InputError

_ID = re.compile(r"([A-Z0-9]{1,12})-([A-Z0-9]{2,6})")


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
        price_digits=_digits(tick),
        quantity_digits=_digits(step),
    )


def _digits(increment: str) -> int:
    return len(increment.partition(".")[2])


TABLE = {
    row.ticker: row
    for row in (
        _row("BTC-USD", "61837.63", tick="0.01", step="0.00000001", size="0.4"),
        _row("ETH-USD", "2683.41", tick="0.01", step="0.00000001", size="6"),
        _row("BTC-EUR", "56604.12", tick="0.01", step="0.00000001", size="0.3"),
        _row("ETH-BTC", "0.04339", tick="0.00001", step="0.00000001", size="4"),
        _row("SOL-USD", "162.45", tick="0.01", step="0.00000001", size="60"),
        _row("DOGE-USD", "0.10312", tick="0.00001", step="0.1", size="20000"),
        _row("SKL-BTC", "0.00001305", tick="0.00000001", step="0.1", size="1500"),
    )
}


def product(ticker: str) -> MarketInstrument:
    """The table's row, or one made up from the name, always the same for the same name.

    Raises:
        InputError: the name is not two assets with a hyphen between them.
    """
    if ticker in TABLE:
        return TABLE[ticker]
    if not _ID.fullmatch(ticker):
        raise InputError(
            f"product {ticker!r} cannot be simulated: write two assets in capital letters and "
            "digits with a hyphen between them, such as ADA-USD"
        )
    draw = int.from_bytes(hashlib.sha256(ticker.encode()).digest()[:4], "big")
    price = fixed(UNIT * (20 + draw % 5_000), 2)
    return _row(ticker, price, tick="0.01", step="0.0001", size="3")


def product_object(item: MarketInstrument) -> dict[str, object]:
    """A product's element of `GET /products`."""
    return {
        "id": item.ticker,
        "base_currency": item.base,
        "quote_currency": item.quote,
        "quote_increment": fixed(item.tick, None),
        "base_increment": fixed(item.step, None),
        "display_name": f"{item.base}-{item.quote}",
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": False,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
    }


def currency_objects(products: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """The elements of `GET /currencies` for the assets of some products, by name."""
    names = {str(item[key]) for item in products for key in ("base_currency", "quote_currency")}
    return [
        {
            "id": name,
            "name": name,
            "min_size": "0.00000001",
            "status": "online",
            "message": "",
            "max_precision": "0.00000001",
            "convertible_to": [],
            "details": {"type": "crypto", "symbol": None, "sort_order": 0},
            "default_network": "",
            "supported_networks": [],
        }
        for name in sorted(names)
    ]
