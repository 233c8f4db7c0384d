"""Keeps one line connected: reconnects, and replaces a socket before it ends (rule 9).

    link gone ─► pause (retry.py) ─► new link
    24 h, or the exchange says that it leaves ─► second link ─► overlap ─► first link closes

`step` decides from what the links say of themselves; the thread only calls it.
"""

import random
from collections.abc import Callable
from typing import Protocol

from container_worker import log
from container_worker.capture.line import Source
from container_worker.capture.overlap import Overlap
from container_worker.capture.retry import pause_s
from container_worker.capture.timing import Timing
from marketdata.errors import BrokerError, TapedeckError
from marketdata.messages import Cause


class AnyLink(Source, Protocol):
    """What the keeper sees of a link (`link.Link`)."""

    opened_s: float | None
    ends_s: float | None
    is_accepted: bool
    is_leaving: bool
    is_gone: bool
    error: TapedeckError | None
    cause: Cause

    def start(self) -> None:
        """Begins to connect."""
        ...

    def close(self, cause: Cause | None = None) -> None:
        """Ends it soon."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Waits for its end."""
        ...


class AnyLine(Protocol):
    """What the keeper needs of a line (`line.Line`)."""

    exchange: str

    def disrupted(self, cause: Cause) -> None:
        """The only socket is gone."""
        ...

    def share(self, new: Source) -> None:
        """A second socket is about to be opened."""
        ...

    def overlap(self, overlap: Overlap) -> None:
        """The second socket is accepted."""
        ...

    def may_part(self, now_s: float) -> bool:
        """Whether the older socket may close."""
        ...

    def part(self) -> None:
        """One socket is left."""
        ...


class Keeper:
    """The state of one line's connection; not thread-safe."""

    def __init__(
        self,
        line: AnyLine,
        open_link: Callable[[], AnyLink],
        *,
        life_s: float,
        timing: Timing,
        chance: random.Random,
        connect_wait_s: Callable[[float], float],
        report: Callable[[TapedeckError], None],
    ) -> None:
        self.current: AnyLink | None = None
        self.next: AnyLink | None = None
        self._line = line
        self._open_link = open_link
        self._life_s = life_s
        self._timing = timing
        self._chance = chance
        self._connect_wait_s = connect_wait_s
        self._report = report
        self._patience_s = timing.stall
        self._attempt = 0
        self._due_s = 0.0
        self._replace = False
        self._overlapping = False
        self._data_seen = (0, 0.0)
        self._data_since_s: float | None = None

    @property
    def connected(self) -> bool:
        """Whether a socket with accepted subscriptions is there."""
        return self.current is not None

    def replace(self) -> None:
        """Asks for another socket in place of the present one, without a seam."""
        self._replace = True

    def step(self, now_s: float) -> None:
        """Looks at both links and does what is due.

        Raises:
            BrokerError: a link ended because Kafka refuses records.
        """
        if self.next is not None:
            self._look_at_next(self.next, now_s)
        if self.current is not None:
            self._look_at_current(self.current, now_s)
        wanted = self.current is None or self._replace
        if self.next is None and wanted and now_s >= self._due_s:
            wait_s = self._connect_wait_s(now_s)
            self._due_s = now_s + wait_s
            if not wait_s:
                self._open()

    def close(self) -> list[AnyLink]:
        """Asks both links to end, and returns them."""
        links = [link for link in (self.current, self.next) if link is not None]
        for link in links:
            link.close()
        return links

    def _open(self) -> None:
        link = self.next = self._open_link()
        if self.current is not None:
            self._line.share(link)
        link.start()

    def _look_at_next(self, link: AnyLink, now_s: float) -> None:
        if link.is_gone:
            self.next = None
            self._failed(link, now_s)
            if self.current is not None:
                self._part()
        elif not link.is_accepted:
            return
        elif self.current is None:
            self._promote(link, now_s)
        elif not self._overlapping:
            self._overlapping = True
            timing = self._timing
            self._line.overlap(Overlap(now_s, timing.overlap_least, timing.overlap_most))
        elif self._line.may_part(now_s):
            self.current.close()
            self._promote(link, now_s)
            self._part()

    def _look_at_current(self, link: AnyLink, now_s: float) -> None:
        if link.is_gone:
            self._lost(link, now_s)
            return
        if link.data_ns != self._data_seen[0]:
            self._saw_data(link.data_ns, now_s)
            self._attempt = 0 if link.flows else self._attempt
        elif now_s - self._data_seen[1] > self._patience_s:
            self._patience_s = min(2 * self._patience_s, self._timing.stall_most)
            link.close("stall")
        age_s = 0.0 if link.opened_s is None else now_s - link.opened_s
        if age_s > self._timing.stall:
            self._attempt = 0
        is_over = link.ends_s is not None and now_s > link.ends_s
        if link.is_leaving or is_over or age_s > self._life_s:
            self._replace = True

    def _saw_data(self, data_ns: int, now_s: float) -> None:
        self._data_seen = (data_ns, now_s)
        if self._data_since_s is None:
            self._data_since_s = now_s
        elif now_s - self._data_since_s > self._timing.stall:
            self._patience_s = self._timing.stall

    def _lost(self, link: AnyLink, now_s: float) -> None:
        self.current = None
        if self.next is not None and self._overlapping:
            self._promote(self.next, now_s)
            self._part()
            return
        self._failed(link, now_s)
        self._line.disrupted(link.cause)
        self._part()

    def _promote(self, link: AnyLink, now_s: float) -> None:
        self.current, self.next = link, None
        self._replace = False
        self._data_seen = (link.data_ns, now_s)
        self._data_since_s = None
        log.event("capture.connected", exchange=self._line.exchange)

    def _part(self) -> None:
        self._overlapping = False
        self._line.part()

    def _failed(self, link: AnyLink, now_s: float) -> None:
        if isinstance(link.error, BrokerError):
            raise link.error
        pause = pause_s(link.error, self._attempt, self._timing, self._chance)
        self._attempt += 1
        self._due_s = now_s + pause
        log.event(
            "capture.disconnected",
            level="warning",
            exchange=self._line.exchange,
            cause=link.cause,
            reason=str(link.error or ""),
            retry_in_s=round(pause, 3),
        )
        if link.error is not None:
            self._report(link.error)
