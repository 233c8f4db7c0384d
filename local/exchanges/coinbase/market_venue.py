"""Every simulated product; `step` makes them live until a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from local.exchanges.candles import CandleSeries
from local.exchanges.coinbase import payloads
from local.exchanges.coinbase.payloads import Match
from local.exchanges.coinbase.product_feed import ProductFeed, Wanted
from local.exchanges.coinbase.products import currency_objects, product_object
from local.exchanges.coinbase.requests import STATUS_STREAM
from local.exchanges.frames import Frame
from local.exchanges.ladder import Ladder
from local.exchanges.market import NO_IDS, Ids, MarketInstrument

_STATUS_MS = 5_000


class SimulatedMarket:
    """The market as a venue (see `FeedVenue`); pure: time is an argument."""

    mode = "simulate"

    def __init__(
        self,
        items: Iterable[MarketInstrument],
        seed: int,
        start_ms: int,
        after: Mapping[str, Ids] | None = None,
    ) -> None:
        known = after or {}
        self._feeds = {
            item.ticker: ProductFeed(item, seed, start_ms, known.get(item.ticker, NO_IDS))
            for item in items
        }
        self.tickers = tuple(self._feeds)
        self._now_ms = start_ms

    def step(self, now_ms: int, wanted: Wanted) -> Iterator[Frame]:
        """The frames due until `now_ms`, product by product; a time that goes back is none."""
        if now_ms <= self._now_ms:
            return
        before, self._now_ms = self._now_ms, now_ms
        for feed in self._feeds.values():
            yield from feed.step(now_ms, wanted)
        if now_ms // _STATUS_MS > before // _STATUS_MS and wanted(STATUS_STREAM):
            yield self._status()

    def settle(self, wanted: Wanted) -> tuple[Frame, ...]:
        """Nothing waits: each step sends all that has happened."""
        del wanted
        return ()

    def opening(self, ticker: str, kind: str) -> Frame | None:
        """See `FeedVenue`."""
        return self._status() if kind == "status" else self._feeds[ticker].opening(kind)

    def _status(self) -> Frame:
        listed = [self.product(ticker) for ticker in self.tickers]
        return Frame("", STATUS_STREAM, payloads.status(listed, currency_objects(listed)), 0, 0)

    def product(self, ticker: str) -> dict[str, Any]:
        """See `FeedVenue`."""
        return product_object(self._feeds[ticker].item)

    def ladder(self, ticker: str) -> Ladder | None:
        """See `Venue`."""
        return self._feeds[ticker].walk.ladder

    def matches(self, ticker: str) -> Sequence[Match]:
        """See `FeedVenue`."""
        return self._feeds[ticker].matches

    def minutes(self, ticker: str) -> CandleSeries:
        """See `FeedVenue`."""
        return self._feeds[ticker].minutes

    def sequence(self, ticker: str) -> int:
        """See `FeedVenue`."""
        return self._feeds[ticker].sequence

    def ids(self) -> dict[str, Ids]:
        """How far each product is."""
        return {ticker: feed.ids() for ticker, feed in self._feeds.items()}

    def last_ids(self, ticker: str) -> dict[str, int | str | None]:
        """See `Venue`."""
        feed = self._feeds[ticker]
        return {
            "update_id": feed.walk.ladder.last_id,
            "trade_id": feed.walk.trade_id,
            "sequence": feed.sequence,
        }

    def now_ms(self) -> int:
        """See `Venue`."""
        return self._now_ms
