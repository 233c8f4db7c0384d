"""The symbols of tickers, as far as this process has heard them: books have only tickers.

prices, candles ─► Symbols.note ─► Symbols.of(key)
"""

from container_worker.exchanges import REGISTRY
from marketdata.codec import split_key
from marketdata.errors import DecodeError

MOST = 100_000


class Symbols:
    """What each key's symbol is; several threads may use it.

    Of at most `MOST` keys; of what comes then the symbol is guessed from the ticker.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def note(self, key: bytes, symbol: str) -> None:
        """This key's records say this symbol."""
        if self._known.get(key) != symbol and len(self._known) < MOST:
            self._known[key] = symbol

    def of(self, key: bytes) -> str:
        """The symbol that was heard; else what the exchange's form of tickers suggests."""
        known = self._known.get(key)
        if known is not None:
            return known
        try:
            exchange, ticker = split_key(key)
        except DecodeError:
            return ""
        adapter = REGISTRY.get(exchange)
        if adapter is not None and adapter.instrument is not None:
            instrument = adapter.instrument(ticker)
            return ticker if instrument is None else instrument.symbol
        return ticker.replace("-", "/") if ticker.count("-") == 1 else ticker
