"""The day around a ticker: open, high, low and volume. Pure."""

from local.exchanges.fixed_point import fixed, fixed8
from local.exchanges.market import MarketInstrument

_EARLIER = 20_000
_DAYS = 28


class Day:
    """All trades so far, above a made-up volume of those before the record began."""

    def __init__(self, item: MarketInstrument) -> None:
        self._digits = item.price_digits
        self._earlier = item.size * _EARLIER
        self._volume = 0
        self._open = self._low = self._high = 0

    def add(self, price: int, quantity: int) -> None:
        """Take a trade, in units of 10^-8."""
        if not self._open:
            self._open = self._low = self._high = price
        self._low, self._high = min(self._low, price), max(self._high, price)
        self._volume += quantity

    def texts(self) -> dict[str, str]:
        """The members of a ticker message."""
        return {
            "open_24h": fixed(self._open, self._digits),
            "volume_24h": fixed8(self._earlier + self._volume),
            "low_24h": fixed(self._low, self._digits),
            "high_24h": fixed(self._high, self._digits),
            "volume_30d": fixed8(self._earlier * _DAYS + self._volume),
        }
