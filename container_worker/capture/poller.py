"""Asks a node for page after page, in a thread of its own; the keeper sees a link.

window ─► start ─► pages, without a pause until the head of the chain ─► pause ─► page ─► …

An error ends it, as it ends a socket: the keeper decides when another one begins, and that one
goes on where the line's cursor is.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import msgspec

from container_worker import log
from container_worker.capture.event_sync import Garbage, Missing, is_end, ledger_of
from container_worker.capture.source import Source
from container_worker.exchanges.adapter import Channel, Get
from container_worker.exchanges.polling import Page, Polling, Query, Window
from container_worker.outermost import outermost
from marketdata.errors import DecodeError, ExchangeUnavailable, OutOfWindow, TapedeckError
from marketdata.messages import Cause, ContractEvent

_MOST_AHEAD = 100
"""A node may lag so many ledgers behind what was read of another one: eight minutes."""


class PageTaker(Protocol):
    """What a poller needs of a line."""

    def feed_page(self, page: Page, received_ns: int, source: Source) -> None:
        """Takes one page; blocks while Kafka has no room."""
        ...


class Pollers:
    """Makes the pollers of one line, one after the other: the keeper's `open_link`.

    `cursor` gives the place up to which all is written, None at the very first start. `notes`
    are warnings about the query, logged once. `changed` is called by the poller's thread when
    the first answer has come and when it is gone. Nothing of the query's secrets is logged.
    """

    def __init__(
        self,
        exchange: str,
        polling: Polling,
        query: Query,
        *,
        get: Get,
        line: PageTaker,
        cursor: Callable[[], str | None],
        poll_s: float,
        changed: Callable[[], None],
        notes: Sequence[str] = (),
    ) -> None:
        self.exchange = exchange
        self.polling = polling
        self.query = query
        self.get = get
        self.line = line
        self.cursor = cursor
        self.poll_s = poll_s
        self.changed = changed
        self._notes = tuple(notes)

    def open(self) -> "Poller":
        """The next poller, not yet started."""
        notes, self._notes = self._notes, ()
        for note in notes:
            log.event("capture.filter", level="warning", exchange=self.exchange, message=note)
        return Poller(self)


class Poller(threading.Thread):
    """A link without a socket (`keeper.AnyLink`); it ends by itself, or after `close`.

    `data_ns` moves with every answered page, empty or not: a poller lives when it is answered.
    """

    def __init__(self, plan: Pollers) -> None:
        super().__init__(name=f"{plan.exchange}-poller", daemon=True)
        self.data_ns = 0
        self.flows = True
        self.openings: set[tuple[str, str, str]] = set()
        self.number: int | None = None
        self.unread = 0
        self.opened_s: float | None = None
        self.ends_s: float | None = None
        self.is_accepted = False
        self.is_leaving = False
        self.is_gone = False
        self.error: TapedeckError | None = None
        self.cause: Cause = "disconnect"
        self._plan = plan
        self._ending = threading.Event()
        self._from = 0
        self._window = Window(0, 0)

    def close(self, cause: Cause | None = None) -> None:
        """Ends it soon, also in the middle of a pause; an answer under way is awaited."""
        if cause is not None:
            self.cause = cause
        self._ending.set()

    def accepted(self, names: frozenset[str]) -> None:
        """See `Source`: an answer is the acceptance here."""

    def refused(self, text: str) -> None:
        """See `Source`: a refusal is an error of the answer here."""

    def forget(self, channels: Sequence[Channel]) -> None:
        """See `Source`: there is one channel, and it is what is asked for."""

    def ask(self, channel: Channel) -> None:
        """See `forget`."""

    def leaving(self) -> None:
        """See `Source`: there is no connection that could end."""

    def broken(self, reason: str, cause: Cause) -> None:
        """See `Source`."""
        self.error = self.error or ExchangeUnavailable(f"{self._plan.exchange}: {reason}")
        self.close(cause)

    def restate(self, channel: Channel) -> None:
        """See `Source`: every answer begins where the last one ended."""

    def run(self) -> None:
        """The thread: questions and answers until the end."""
        outermost(self._work, self._fail)
        self.is_gone = True
        self._plan.changed()

    def _work(self) -> None:
        self._begin()
        while not self._ending.is_set():
            if not self._has_more():
                self._ending.wait(self._plan.poll_s)

    def _fail(self, error: TapedeckError) -> None:
        self.error = self.error or error

    def _begin(self) -> None:
        plan = self._plan
        body = plan.get(plan.polling.window(plan.query))
        try:
            self._window = plan.polling.decode_window(body)
        except DecodeError as error:
            raise self._no_answer(body, error) from error
        if plan.cursor() is None:
            self._from = plan.query.start_ledger or self._window.latest
        self.opened_s = time.monotonic()
        self.data_ns = time.time_ns()
        self.is_accepted = True
        plan.changed()

    def _has_more(self) -> bool:
        """Takes one page; whether the next one is worth asking for at once."""
        cursor = self._plan.cursor()
        after = cursor if cursor and ledger_of(cursor) >= self._from else ""
        try:
            page = self._ask(self._from, after)
        except OutOfWindow as error:
            return self._goes_on(error, cursor, after)
        if self._plan.cursor() == cursor:
            # Kafka has no room, or the node says the same again.
            return False
        return not is_end(page.cursor) or ledger_of(page.cursor) < page.window.latest

    def _ask(self, ledger: int, after: str) -> Page:
        plan = self._plan
        body = plan.get(plan.polling.page(plan.query, ledger, after))
        received_ns = time.time_ns()
        try:
            page = plan.polling.decode_page(body, plan.query)
        except DecodeError as error:
            raise self._no_answer(body, error) from error
        self._window = page.window
        plan.line.feed_page(page, received_ns, self)
        self.data_ns = received_ns
        return page

    def _goes_on(self, error: OutOfWindow, cursor: str | None, after: str) -> bool:
        """Whether to ask at once, from the oldest ledger; what lies before it is missing."""
        self.data_ns = time.time_ns()
        self._window = Window(error.oldest, error.latest)
        wanted = self._from
        if cursor:
            wanted = max(wanted, ledger_of(cursor) + is_end(cursor))
        if wanted > error.latest + _MOST_AHEAD:
            raise ExchangeUnavailable(
                f"the newest ledger of the {self._plan.exchange} node is {error.latest}, and "
                f"{wanted} is wanted next: is it another network's node, or was it reset?"
            )
        if wanted > error.latest:
            return False
        if wanted > error.oldest or (wanted == error.oldest and not after):
            raise error
        if wanted < error.oldest:
            self._feed(Missing(wanted, error.oldest - 1))
        self._from = error.oldest
        return True

    def _no_answer(self, body: bytes, error: DecodeError) -> ExchangeUnavailable:
        self.cause = "garbage"
        self._feed(Garbage(msgspec.Raw(body), error.reason))
        return ExchangeUnavailable(
            f"{self._plan.exchange} gave an answer that is none: {error.reason}"
        )

    def _feed(self, found: Missing | Garbage) -> None:
        """What is no event goes the way of events, and moves no cursor."""
        page = Page([cast("ContractEvent", found)], "", self._window)
        self._plan.line.feed_page(page, time.time_ns(), self)
