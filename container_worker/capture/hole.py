"""One hole in trades or candles, asked for page by page. Pure: neither clock nor network.

Hole.request ─► the answer's bytes ─► Hole.read ─► events inside it, and what comes next
"""

import enum
from collections.abc import Callable, Sequence

from container_worker.exchanges.adapter import (
    Channel,
    RestCandles,
    RestRequest,
    RestTrades,
)
from container_worker.exchanges.outcomes import CandleState, Trade

Events = Sequence[Trade] | Sequence[CandleState]
Deliver = Callable[[Channel, Events], int]
"""Returns how many of the events, from the first on, were taken."""

MOST_TRADES = 100_000
MOST_CANDLES = 1_000
"""Of a larger hole only the newest part is asked for."""
MINUTE_MS = 60_000
_EMPTY_ANSWERS = 2
"""An exchange's database may lag behind its stream: only a second empty answer is believed."""


class Next(enum.Enum):
    """What follows after an answer."""

    PAGE = "page"
    """The next page at once."""
    LATER = "later"
    """The same again, later: what was asked for is not there yet, or never was."""
    DONE = "done"
    """All was there, or the exchange has no more of it (`Hole.first` ≤ `Hole.last`)."""


class Hole:
    """What is still missing, `first` to `last`, both in; `first` moves on with each answer.

    `deliver` takes what is found; what it had no room for stays in `untaken`, and `follows`
    says what comes after it. `due_s`, `failures` and `refusals` are the shell's: when it
    asks again, and how often in a row it got no answer, or a refusal.
    """

    def __init__(self, channel: Channel, first: int, last: int, deliver: Deliver) -> None:
        self.channel = channel
        self.first = first
        self.last = last
        self.deliver = deliver
        self.found = 0
        self.untaken: Events = ()
        self.follows = Next.PAGE
        self.due_s = 0.0
        self.failures = self.refusals = 0
        self._empty = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing any more."""
        return self.first > self.last

    @property
    def weight(self) -> int:
        """What the next step costs of the exchange's budget."""
        return 0 if self.untaken else self.request().weight

    def hand_over(self) -> bool:
        """Delivers what was read; whether all of it was taken."""
        if self.untaken:
            taken = self.deliver(self.channel, self.untaken)
            self.untaken = self.untaken[taken:]
        return not self.untaken

    def request(self) -> RestRequest:
        """The request for the next page."""
        raise NotImplementedError

    def read(self, body: bytes) -> tuple[Events, Next]:
        """The events of an answer that lie inside the hole. Raises DecodeError."""
        raise NotImplementedError

    def _dry(self) -> Next:
        self._empty += 1
        return Next.LATER if self._empty < _EMPTY_ANSWERS else Next.DONE


class TradeHole(Hole):
    """Missing trades, by id.

    The exchange may cut its history off, so an empty page ends it.
    """

    def __init__(
        self, source: RestTrades, channel: Channel, first: int, last: int, deliver: Deliver
    ) -> None:
        super().__init__(channel, max(first, last - MOST_TRADES + 1), last, deliver)
        self._source = source

    def request(self) -> RestRequest:
        """See `Hole`."""
        last = min(self.last, self.first + self._source.per_page - 1)
        return self._source.request(self.channel.ticker, self.first, last)

    def read(self, body: bytes) -> tuple[Events, Next]:
        """See `Hole`."""
        trades = self._source.decode(body, self.channel.ticker)
        inside = [one for one in trades if self.first <= int(one.id) <= self.last]
        if not inside:
            return inside, self._dry()
        self.found += len(inside)
        self.first, self._empty = int(inside[-1].id) + 1, 0
        return inside, Next.DONE if self.is_whole else Next.PAGE


class CandleHole(Hole):
    """Missing candles of a minute, by start; all of them have ended.

    A minute without a trade may have none, so that only the end of the hole is asked for again.
    """

    def __init__(
        self, source: RestCandles, channel: Channel, first: int, last: int, deliver: Deliver
    ) -> None:
        least = last - (MOST_CANDLES - 1) * MINUTE_MS
        super().__init__(channel, max(first, least), last, deliver)
        self._source = source

    def request(self) -> RestRequest:
        """See `Hole`."""
        return self._source.request(self.channel.ticker, self.first, self._page_end())

    def read(self, body: bytes) -> tuple[Events, Next]:
        """See `Hole`."""
        ended_by_ms = self.last + MINUTE_MS
        candles = self._source.decode(body, self.channel.ticker, ended_by_ms)
        inside = [one for one in candles if self.first <= one.start_ms <= self.last]
        self.found += len(inside)
        asked = self._page_end()
        if inside:
            self.first = inside[-1].start_ms + MINUTE_MS
        if asked < self.last:
            self.first = max(self.first, asked + MINUTE_MS)
        if self.is_whole:
            return inside, Next.DONE
        return inside, Next.PAGE if asked < self.last else self._dry()

    def _page_end(self) -> int:
        return min(self.last, self.first + (self._source.per_page - 1) * MINUTE_MS)
