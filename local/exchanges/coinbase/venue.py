"""What the feed and the REST answers ask of whatever is served: a market or a tape."""

from collections.abc import Sequence
from typing import Any, Protocol

from local.exchanges.candles import CandleSeries
from local.exchanges.coinbase.payloads import Match
from local.exchanges.control import Venue
from local.exchanges.frames import Frame


class FeedVenue(Venue, Protocol):
    """Products as they are now; asking changes nothing."""

    def product(self, ticker: str) -> dict[str, Any]:
        """The product's element of `GET /products`."""
        ...

    def opening(self, ticker: str, kind: str) -> Frame | None:
        """What a subscription to a stream begins with; None for nothing, or not yet."""
        ...

    def matches(self, ticker: str) -> Sequence[Match]:
        """The trades that REST knows, oldest first."""
        ...

    def minutes(self, ticker: str) -> CandleSeries:
        """Candles of a minute; those without a trade are not told."""
        ...

    def sequence(self, ticker: str) -> int:
        """The product's number of the last thing that happened."""
        ...
