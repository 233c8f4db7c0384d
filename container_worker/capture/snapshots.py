"""Fetches books for whoever asks, one after the other, within the exchange's budget.

Fetch ─► queue (one entry a ticker) ─► REST ─► deliver(book)
"""

import random
import threading
import time
from collections.abc import Callable

from container_worker.capture.retry import pause_s
from container_worker.capture.timing import Timing
from container_worker.exchanges.adapter import RestBooks, RestRequest
from container_worker.exchanges.outcomes import RestBook
from container_worker.outermost import Fail, outermost
from marketdata.errors import (
    DecodeError,
    ExchangeError,
    RateLimited,
    RestrictedLocation,
    TapedeckError,
)

Deliver = Callable[[RestBook], None]

_SECONDS_BETWEEN = 1.0
"""Between two snapshots of one ticker: an answer that was too old is asked for again."""


class Snapshots(threading.Thread):
    """A queue of tickers whose book is wanted; a failed one is tried again until it comes.

    `report` is told of what went wrong with which tickers, `fail` of what cannot go on.
    """

    def __init__(
        self,
        name: str,
        books: RestBooks,
        get: Callable[[RestRequest], bytes],
        *,
        report: Callable[[TapedeckError, tuple[str, ...]], None],
        fail: Fail,
        timing: Timing,
        chance: random.Random,
    ) -> None:
        super().__init__(name=f"{name}-snapshots", daemon=True)
        self._books = books
        self._get = get
        self._report = report
        self._fail = fail
        self._timing = timing
        self._chance = chance
        self._changed = threading.Condition()
        self._wanted: dict[str, tuple[float, int, Deliver]] = {}
        self._earliest_s: dict[str, float] = {}
        self._ended = False

    def request(self, ticker: str, deliver: Deliver) -> None:
        """Asks for a ticker's book; `deliver` is called with it in this thread."""
        with self._changed:
            due_s = max(time.monotonic(), self._earliest_s.get(ticker, 0.0))
            self._wanted[ticker] = (due_s, 0, deliver)
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread after the request under way."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def run(self) -> None:
        """The thread's loop."""
        outermost(self._work, self._fail)

    def _work(self) -> None:
        while (due := self._next()) is not None:
            self._fetch(*due)

    def _next(self) -> tuple[str, int, Deliver] | None:
        with self._changed:
            while not self._ended:
                now_s = time.monotonic()
                if self._wanted:
                    ticker = min(self._wanted, key=lambda name: self._wanted[name][0])
                    due_s, attempt, deliver = self._wanted[ticker]
                    if due_s <= now_s:
                        del self._wanted[ticker]
                        return ticker, attempt, deliver
                    self._changed.wait(due_s - now_s)
                else:
                    self._changed.wait()
            return None

    def _fetch(self, ticker: str, attempt: int, deliver: Deliver) -> None:
        try:
            body = self._get(self._books.request(ticker))
            book = self._books.decode(body, ticker)
        except (ExchangeError, DecodeError) as error:
            self._retry(ticker, attempt, deliver, error)
            return
        self._earliest_s[ticker] = time.monotonic() + _SECONDS_BETWEEN
        deliver(book)

    def _retry(
        self, ticker: str, attempt: int, deliver: Deliver, error: ExchangeError | DecodeError
    ) -> None:
        if self._ended:
            return
        pause = max(_SECONDS_BETWEEN, pause_s(error, attempt, self._timing, self._chance))
        self._report(error, (ticker,))
        with self._changed:
            now_s = time.monotonic()
            self._wanted.setdefault(ticker, (now_s + pause, attempt + 1, deliver))
            if isinstance(error, RateLimited | RestrictedLocation):
                self._wanted = {
                    name: (max(due_s, now_s + pause), tries, to)
                    for name, (due_s, tries, to) in self._wanted.items()
                }
