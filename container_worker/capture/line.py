"""The units that share a socket: frames in, records out. Knows no exchange by name.

frame ─► decode ─► unit's core ─► outlet ─► Kafka
                          └─────► snapshots ─► unit's core
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from container_worker import log
from container_worker.capture.book_sync import BookSync
from container_worker.capture.emissions import Emissions, Fetch, Write
from container_worker.capture.outlet import Outlet
from container_worker.capture.overlap import Overlap
from container_worker.capture.rejects import Rejects
from container_worker.capture.unit import Unit
from container_worker.capture.watermarks import LineClock
from container_worker.exchanges.adapter import Adapter, Channel
from container_worker.exchanges.outcomes import (
    Accepted,
    BookState,
    CandleState,
    Leaving,
    Outcome,
    Refused,
    RestBook,
    Trade,
)
from marketdata import codec, topics
from marketdata.errors import DecodeError
from marketdata.messages import Cause, DepthUpdate, Gap, Watermark

Fetcher = Callable[[str, Callable[[RestBook], None]], None]

_NS_PER_MS = 1_000_000


class Source(Protocol):
    """The socket that a frame came from. `data_ns` is when its last data frame came, or 0."""

    data_ns: int

    def accepted(self, request_id: int) -> None:
        """The exchange accepted a subscription."""
        ...

    def refused(self, text: str) -> None:
        """The exchange refused one."""
        ...

    def leaving(self) -> None:
        """The exchange is about to close this socket."""
        ...


class Line:
    """Thread-safe: sockets, snapshots and the ticker call in from threads of their own.

    Every method that publishes raises BrokerError when Kafka refuses records for good.
    """

    def __init__(
        self,
        adapter: Adapter,
        units: Iterable[Unit],
        outlet: Outlet,
        rejects: Rejects,
        fetch: Fetcher,
    ) -> None:
        self.exchange = adapter.name
        self.units = {unit.channel: unit for unit in units}
        self.gaps = 0
        self._lock = threading.Lock()
        self._decode = adapter.decode
        self._outlet = outlet
        self._rejects = rejects
        self._fetch = fetch
        self._clock = LineClock()
        self._overlap: Overlap | None = None
        self._new: Source | None = None

    def feed(self, frame: bytes, received_ns: int, source: Source) -> None:
        """Takes one frame. Blocks while Kafka has no room: the socket is not read then."""
        try:
            outcomes = self._decode(frame, received_ns)
        except DecodeError as error:
            with self._lock:
                self._rejects.put(frame, error.reason, received_ns)
                self._disrupt("garbage", received_ns)
            return
        with self._lock:
            self._outlet.make_room()
            for outcome in outcomes:
                self._route(outcome, frame, received_ns, source)

    def offer(self, book: RestBook) -> None:
        """A book from the REST interface."""
        unit = self.units.get(Channel(book.ticker, topics.DIFF_DEPTH))
        if unit is not None and isinstance(unit.sync, BookSync):
            with self._lock:
                self._run(unit, unit.sync.offer(book), time.time_ns())

    def disrupted(self, cause: Cause) -> None:
        """The line's only socket is gone."""
        with self._lock:
            self._disrupt(cause, time.time_ns())

    def share(self, new: Source) -> None:
        """A second socket is about to be opened (rule 9)."""
        with self._lock:
            self._new = new
            for unit in self.units.values():
                self._run(unit, unit.sync.share(two_sockets=True), time.time_ns())

    def overlap(self, overlap: Overlap) -> None:
        """The second socket is accepted: its deliveries are compared from now on."""
        with self._lock:
            self._overlap = overlap

    def may_part(self, now_s: float) -> bool:
        """Whether the older of two sockets may close."""
        with self._lock:
            settled = all(unit.sync.settled for unit in self.units.values())
            return self._overlap is None or self._overlap.is_done(now_s, settled=settled)

    def part(self) -> None:
        """One socket is left."""
        with self._lock:
            self._new = self._overlap = None
            for unit in self.units.values():
                self._run(unit, unit.sync.share(two_sockets=False), time.time_ns())

    def tick(self, now_s: float, watermark_s: float, *, connected: bool) -> None:
        """What the clock demands; skipped while a socket's thread is at work or waits."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._clock.tick(now_s)
            self._outlet.recover()
            for unit in self.units.values():
                if unit.sync.muted and not self._outlet.lossy:
                    self._run(unit, unit.sync.speak(), time.time_ns())
                if connected:
                    self._watermark(unit, now_s, watermark_s)
        finally:
            self._lock.release()

    def _route(self, outcome: Outcome, frame: bytes, received_ns: int, source: Source) -> None:
        if isinstance(outcome, DepthUpdate):
            self._take(Channel(outcome.s, topics.DIFF_DEPTH), outcome, received_ns, source)
        elif isinstance(outcome, BookState):
            channel = Channel(outcome.message.s, outcome.type)
            self._take(channel, outcome.message, received_ns, source)
        elif isinstance(outcome, Trade):
            self._take(Channel(outcome.ticker, topics.TRADES), outcome, received_ns, source)
        elif isinstance(outcome, CandleState):
            channel = Channel(outcome.ticker, topics.CANDLE_UPDATES)
            self._take(channel, outcome, received_ns, source)
        elif isinstance(outcome, Accepted):
            source.accepted(outcome.request_id)
        elif isinstance(outcome, Refused):
            source.refused(outcome.text)
        elif isinstance(outcome, Leaving):
            source.leaving()
        else:
            self._rejects.put(frame, outcome.reason, received_ns)

    def _take(self, channel: Channel, event: object, received_ns: int, source: Source) -> None:
        unit = self.units.get(channel)
        if unit is None:
            self._rejects.put(codec.encode(event), "nobody asked for this", received_ns)
            return
        source.data_ns = received_ns
        if self._overlap is not None:
            self._overlap.delivered(channel, by_new=source is self._new)
        received_ms = received_ns // _NS_PER_MS
        sync = unit.sync
        self._run(unit, sync.take(event, received_ms), received_ns)
        self._clock.saw(sync.event_ms, received_ms, sync.clock)

    def _run(self, unit: Unit, emissions: Emissions, received_ns: int) -> None:
        for number, emission in enumerate(emissions):
            if isinstance(emission, Write):
                if not self._outlet.send(unit, emission, received_ns) and not isinstance(
                    emission.message, Gap
                ):
                    self._mute(unit, emissions[number:], received_ns)
                    return
                if isinstance(emission.message, Gap):
                    self._count_gap(emission.message, unit)
            elif isinstance(emission, Fetch):
                self._fetch(emission.ticker, self.offer)
            else:
                self._rejects.put(codec.encode(emission.event), emission.reason, received_ns)

    def _mute(self, unit: Unit, lost: Emissions, received_ns: int) -> None:
        unsent = [emission for emission in lost if isinstance(emission, Write)]
        self._run(unit, unit.sync.overflow(unsent), received_ns)
        self._run(unit, [e for e in lost if not isinstance(e, Write)], received_ns)

    def _disrupt(self, cause: Cause, received_ns: int) -> None:
        if self._outlet.waited_lately():
            cause = "backpressure"
        for unit in self.units.values():
            self._run(unit, unit.sync.disrupted(cause), received_ns)

    def _watermark(self, unit: Unit, now_s: float, watermark_s: float) -> None:
        sync = unit.sync
        if now_s < unit.watermark_due_s or not sync.settled:
            return
        complete_ms = max(sync.event_ms, self._clock.complete_ms(sync.clock, now_s))
        if complete_ms <= unit.watermark_ms:
            return
        mark = Watermark(complete_ms, unit.channel.ticker, self.exchange)
        if self._outlet.send(unit, Write(mark, complete_ms), time.time_ns()):
            sync.event_ms = unit.watermark_ms = complete_ms
            unit.watermark_due_s = now_s + watermark_s

    def _count_gap(self, gap: Gap, unit: Unit) -> None:
        self.gaps += 1
        log.event(
            "capture.gap",
            level="warning",
            exchange=self.exchange,
            ticker=unit.channel.ticker,
            type=unit.channel.type,
            cause=gap.cause,
            first=gap.first,
            last=gap.last,
        )
