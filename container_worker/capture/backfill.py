"""Fetches what was missed, one request after the other, within the exchange's budget.

Recover ─► queue of holes ─► REST, page by page ─► deliver(channel, events)
"""

import random
import threading
import time
from collections.abc import Callable

from container_worker import log
from container_worker.capture.hole import CandleHole, Deliver, Hole, Next, TradeHole
from container_worker.capture.retry import pause_s
from container_worker.capture.timing import Timing
from container_worker.capture.weight_budget import WeightBudget
from container_worker.exchanges.adapter import Adapter, Channel, RestRequest
from container_worker.outermost import Fail, outermost
from marketdata import topics
from marketdata.errors import (
    BadCredential,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    RateLimited,
    RestrictedLocation,
    TapedeckError,
)

MOST_HOLES = 256
"""Holes that wait, of all tickers; for one more the oldest is given up."""
_SHARE = 0.5
"""Of the exchange's budget; the rest is for the books, which cannot wait."""
_MOST_REFUSALS = 5
_LEAST_PAUSE_S = 1.0
_PASSING = (RateLimited, ExchangeUnavailable, RestrictedLocation)


class Backfill(threading.Thread):
    """A queue of holes in trades (ids) and candles of a minute (starts in ms), oldest first.

    A hole is asked for from its low end on, and given up when the exchange has nothing for a
    page, twice asked. What it refuses five times is given up too; while it cannot be reached
    or limits us it is asked again, however long that takes. What finds no room on the way to
    Kafka waits too, and is delivered again without another request.

    `report` is told of what went wrong with which tickers, `fail` of what cannot go on.
    """

    def __init__(
        self,
        adapter: Adapter,
        get: Callable[[RestRequest], bytes],
        *,
        report: Callable[[TapedeckError, tuple[str, ...]], None],
        fail: Fail,
        timing: Timing,
        chance: random.Random,
    ) -> None:
        super().__init__(name=f"{adapter.name}-backfill", daemon=True)
        self._adapter = adapter
        self._get = get
        self._report = report
        self._fail = fail
        self._timing = timing
        self._chance = chance
        limits = adapter.limits
        burst = limits.weight_burst and max(1, int(limits.weight_burst * _SHARE))
        self._budget = WeightBudget(limits.weight_per_minute * _SHARE, burst)
        self._changed = threading.Condition()
        self._holes: list[Hole] = []
        self._closed_types: set[str] = set()
        self._ended = False

    def request(self, channel: Channel, first: int, last: int, deliver: Deliver) -> None:
        """Asks for a hole, both ends in; `deliver` is called with each page in this thread.

        Nothing happens for a type that the exchange's REST interface does not have, or gives
        only to those with a key. Never blocks.
        """
        hole = self._hole(channel, first, last, deliver)
        if hole is None or hole.is_whole:
            return
        if hole.first > first:
            self._say(hole, "capture.backfill_cut", lost_from=first)
        with self._changed:
            if channel.type in self._closed_types:
                return
            self._holes.append(hole)
            oldest = self._holes.pop(0) if len(self._holes) > MOST_HOLES else None
            self._changed.notify()
        if oldest is not None:
            self._give_up(oldest, f"more than {MOST_HOLES} holes wait")

    def close(self) -> None:
        """Ends the thread after the request under way; what waits the next start asks for."""
        with self._changed:
            self._ended = True
            left = len(self._holes)
            self._changed.notify()
        if left:
            log.event("capture.backfill_left", exchange=self._adapter.name, holes=left)

    def run(self) -> None:
        """The thread's loop."""
        outermost(self._work, self._fail)

    def _work(self) -> None:
        while (hole := self._next()) is not None:
            self._fetch(hole)

    def _hole(self, channel: Channel, first: int, last: int, deliver: Deliver) -> Hole | None:
        trades, candles = self._adapter.trades, self._adapter.candles
        if channel.type == topics.TRADES and trades is not None:
            return TradeHole(trades, channel, first, last, deliver)
        if channel.type == topics.CANDLE_UPDATES and candles is not None:
            return CandleHole(candles, channel, first, last, deliver)
        return None

    def _next(self) -> Hole | None:
        """The oldest hole that is due, once the budget has room for it; it leaves the queue."""
        with self._changed:
            while not self._ended:
                wait_s = None
                if self._holes:
                    now_s = time.monotonic()
                    hole = min(self._holes, key=lambda one: max(one.due_s, now_s))
                    wait_s = max(0.0, hole.due_s - now_s)
                    wait_s = wait_s or self._budget.wait_s(hole.weight, now_s)
                    if not wait_s:
                        self._holes.remove(hole)
                        return hole
                self._changed.wait(wait_s)
            return None

    def _fetch(self, hole: Hole) -> None:
        if not hole.untaken and not self._read(hole):
            return
        if not hole.hand_over():
            self._again(hole, self._timing.backoff_cap)
        elif hole.follows is not Next.DONE:
            is_later = hole.follows is Next.LATER
            self._again(hole, self._timing.backoff_cap if is_later else 0.0)
        elif hole.is_whole:
            self._say(hole, "capture.backfilled")
        else:
            self._say(hole, "capture.backfill_ended", reason="the exchange has no more of it")

    def _read(self, hole: Hole) -> bool:
        """Asks for the next page; whether there was an answer."""
        try:
            hole.untaken, hole.follows = hole.read(self._get(hole.request()))
        except BadCredential as error:
            self._close_type(hole, error)
        except (ExchangeError, DecodeError) as error:
            self._failed(hole, error)
        else:
            hole.failures = hole.refusals = 0
            return True
        return False

    def _failed(self, hole: Hole, error: ExchangeError | DecodeError) -> None:
        if self._ended:
            return
        self._report(error, (hole.channel.ticker,))
        pause = max(_LEAST_PAUSE_S, pause_s(error, hole.failures, self._timing, self._chance))
        hole.failures += 1
        if not isinstance(error, _PASSING):
            hole.refusals += 1
            if hole.refusals == _MOST_REFUSALS:
                self._give_up(hole, str(error))
                return
        if isinstance(error, RateLimited | RestrictedLocation):
            self._hold_all(pause)
        self._again(hole, pause)

    def _again(self, hole: Hole, pause: float) -> None:
        """Back to the front: an older hole stays older."""
        hole.due_s = time.monotonic() + pause
        with self._changed:
            if hole.channel.type not in self._closed_types:
                self._holes.insert(0, hole)

    def _hold_all(self, pause: float) -> None:
        until_s = time.monotonic() + pause
        with self._changed:
            for hole in self._holes:
                hole.due_s = max(hole.due_s, until_s)

    def _close_type(self, hole: Hole, error: BadCredential) -> None:
        """Said once: without a key there is nothing to be had, however often one asks."""
        stream_type = hole.channel.type
        with self._changed:
            self._closed_types.add(stream_type)
            others = {
                one.channel.ticker for one in self._holes if one.channel.type == stream_type
            }
            self._holes = [one for one in self._holes if one.channel.type != stream_type]
        tickers = tuple(sorted({hole.channel.ticker, *others}))
        text = (
            f"gaps in {stream_type} stay: {self._adapter.name} gives the past only with a key"
        )
        self._report(ExchangeError(f"{text} ({error})"), tickers)

    def _give_up(self, hole: Hole, reason: str) -> None:
        self._say(hole, "capture.backfill_given_up", reason=reason)
        what = f"{hole.channel.type} from {hole.first} to {hole.last}"
        text = f"{self._adapter.name} {hole.channel.ticker}: {what} are not fetched: {reason}"
        self._report(ExchangeError(text), (hole.channel.ticker,))

    def _say(self, hole: Hole, event: str, **more: object) -> None:
        log.event(
            event,
            level="info" if event == "capture.backfilled" else "warning",
            exchange=self._adapter.name,
            ticker=hole.channel.ticker,
            type=hole.channel.type,
            found=hole.found,
            first=hole.first,
            last=hole.last,
            **more,
        )
