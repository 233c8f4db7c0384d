"""What is traded: the table of simulated tickers and the symbol objects of `exchangeInfo`."""

import hashlib

from local.exchanges.fixed_point import UNIT, fixed8, units8
from local.exchanges.market import MarketInstrument
from marketdata.errors import InputError

QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BIDR", "BVND", "IDRT",
    "BTC", "ETH", "BNB", "TRY", "EUR", "GBP", "AUD", "BRL", "RUB", "UAH", "NGN", "ZAR", "DAI",
    "TRX", "XRP", "DOGE", "PAX", "VAI", "USD",
)  # fmt: skip


def _row(base: str, price: str, *, tick: str, step: str, size: str) -> MarketInstrument:
    return MarketInstrument(
        ticker=f"{base}USDT",
        base=base,
        quote="USDT",
        price=units8(price),
        tick=units8(tick),
        step=units8(step),
        size=units8(size),
    )


TABLE = {
    row.ticker: row
    for row in (
        _row("BTC", "61837.63", tick="0.01", step="0.00001", size="0.4"),
        _row("ETH", "2683.41", tick="0.01", step="0.0001", size="6"),
        _row("BNB", "517.3", tick="0.1", step="0.001", size="20"),
        _row("SOL", "162.45", tick="0.01", step="0.001", size="60"),
        _row("XRP", "0.6112", tick="0.0001", step="0.1", size="9000"),
    )
}


def split_ticker(ticker: str) -> tuple[str, str]:
    """Base and quote by the known quote assets; the quote is empty when none fits."""
    for quote in sorted(QUOTES, key=len, reverse=True):
        if ticker.endswith(quote) and len(ticker) > len(quote):
            return ticker[: -len(quote)], quote
    return ticker, ""


def instrument(ticker: str) -> MarketInstrument:
    """The table's row, or one made up from the name, always the same for the same name.

    Raises:
        InputError: the name is not letters and digits that end in a known quote asset.
    """
    if ticker in TABLE:
        return TABLE[ticker]
    base, quote = split_ticker(ticker)
    if not (quote and ticker.isascii() and ticker.isalnum() and ticker.isupper()):
        raise InputError(
            f"ticker {ticker!r} cannot be simulated: use capital letters and digits that end "
            "in a quote asset, such as ADAUSDT"
        )
    draw = int.from_bytes(hashlib.sha256(ticker.encode()).digest()[:4], "big")
    price = UNIT * (20 + draw % 5_000)
    return MarketInstrument(ticker, base, quote, price, UNIT // 100, UNIT // 10_000, 3 * UNIT)


def load_tickers(count: int) -> list[str]:
    """Names of `count` extra tickers for load: `SIM0001USDT` and so on."""
    return [f"SIM{number:04d}USDT" for number in range(1, count + 1)]


def symbol_object(ticker: str, *, tick: int = 1, step: int = 1) -> dict[str, object]:
    """A ticker's element of `exchangeInfo` (protocols 1.5), with PRICE_FILTER and LOT_SIZE."""
    base, quote = split_ticker(ticker)
    return {
        "symbol": ticker,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": fixed8(tick),
                "maxPrice": "1000000.00000000",
                "tickSize": fixed8(tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": fixed8(step),
                "maxQty": "9000000.00000000",
                "stepSize": fixed8(step),
            },
        ],
        "permissions": ["SPOT"],
    }
