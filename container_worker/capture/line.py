"""The units that share a socket: frames in, records out. Knows no exchange by name.

frame ─► decode ─► unit's core ─► outlet ─► Kafka
                          ├─────► snapshots, recovery ─► unit's core, outlet
                          └─────► source: state it anew, or end
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from container_worker.capture.book_sync import BookSync
from container_worker.capture.effects import Effects
from container_worker.capture.event_sync import EventSync
from container_worker.capture.handover import Handover
from container_worker.capture.hole import Deliver, Events
from container_worker.capture.outlet import Outlet
from container_worker.capture.overlap import Overlap
from container_worker.capture.refused_units import RefusedUnits
from container_worker.capture.rejects import Rejects
from container_worker.capture.rounds import Rounds
from container_worker.capture.source import Source, Sources, look_for_flow
from container_worker.capture.tidings import SILENT, Tidings
from container_worker.capture.trade_sync import TradeSync
from container_worker.capture.trading_statuses import TradingStatuses
from container_worker.capture.unit import Unit
from container_worker.capture.watermarks import LineClock
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    CandleState,
    ConnectionNumber,
    LastTrade,
    Leaving,
    Outcome,
    Refused,
    RestBook,
    TickerState,
    Trade,
    TradingStatus,
    Unknown,
)
from container_worker.exchanges.polling import Page
from marketdata import codec, topics
from marketdata.errors import DecodeError
from marketdata.messages import Cause, DepthUpdate

__all__ = ["Line", "Source"]

Decode = Callable[[bytes, int], Sequence[Outcome]]
Fetcher = Callable[[str, Callable[[RestBook], None]], None]
Recoverer = Callable[[Channel, int, int, Deliver], None]

_NS_PER_MS = 1_000_000
_TYPES = {
    Trade: topics.TRADES,
    CandleState: topics.CANDLE_UPDATES,
    TickerState: topics.TICKER,
}
_Event = DepthUpdate | BookState | BookDelta | Trade | CandleState | TickerState
_OF_A_TICKER = (Trade, CandleState, TickerState)


class Line:
    """Thread-safe: sockets, snapshots, recovery and the ticker call in from their threads.

    Every method that publishes raises BrokerError when Kafka refuses records for good.
    """

    def __init__(
        self,
        exchange: str,
        decode: Decode,
        *,
        units: Iterable[Unit],
        outlet: Outlet,
        rejects: Rejects,
        fetch: Fetcher | None = None,
        recover: Recoverer | None = None,
        audit_s: float = 1800.0,
        tidings: Tidings = SILENT,
    ) -> None:
        self.exchange = exchange
        self.units = {unit.channel: unit for unit in units}
        self._lock = threading.Lock()
        self._decode = decode
        self._outlet = outlet
        self._rejects = rejects
        self._fetch, self._recover = fetch, recover
        self._clock = LineClock()
        self._overlap: Overlap | None = None
        self._sources = Sources()
        self._effects = Effects(
            exchange,
            outlet,
            rejects,
            self._sources,
            fetch=self._fetch_book,
            recover=self._recover_events,
            lost=tidings.lost,
        )
        self._run = self._effects.run
        self._handover = Handover(
            self.units.values(), self._sources, self._effects, outlet.waited_lately
        )
        self._refused = RefusedUnits(self.units, tidings.refused)
        self._statuses = TradingStatuses(self.units, tidings.traded)
        self._rounds = Rounds(self._effects, outlet, self._clock, self._refused, audit_s)

    @property
    def gaps(self) -> int:
        """How many gap records were written."""
        return self._effects.gaps

    @property
    def wanted(self) -> list[Channel]:
        """What a new socket asks for."""
        return [channel for channel, unit in self.units.items() if not unit.is_refused]

    def cursor(self) -> str | None:
        """Up to where a chain's events are written; None where there are none."""
        with self._lock:
            cursors = (unit.sync.cursor for unit in self.units.values())
            return next((cursor for cursor in cursors if cursor is not None), None)

    def feed(self, frame: bytes, received_ns: int, source: Source) -> None:
        """Takes one frame. Blocks while Kafka has no room: the socket is not read then."""
        try:
            outcomes = self._decode(frame, received_ns)
        except DecodeError as error:
            with self._lock:
                self._handover.meet(source, received_ns)
                self._rejects.put(frame, error.reason, received_ns)
                self._handover.disrupt("garbage", received_ns, source)
                source.unread += 1
            return
        with self._lock:
            if source is not self._sources.current:
                self._handover.meet(source, received_ns)
            self._outlet.make_room()
            self._clock.heard_ns = received_ns
            for outcome in outcomes:
                if type(outcome) is not ConnectionNumber:
                    self._route(outcome, frame, received_ns, source)
                elif self._handover.repeats(outcome.number, received_ns, source):
                    return

    def feed_page(self, page: Page, received_ns: int, source: Source) -> None:
        """Takes one page of a poller. Blocks as `feed` does."""
        received_ms = received_ns // _NS_PER_MS
        with self._lock:
            self._handover.meet(source, received_ns)
            self._outlet.make_room()
            self._clock.heard_ns = received_ns
            for unit in self.units.values():
                sync = unit.sync
                if not isinstance(sync, EventSync):
                    continue
                for event in page.events:
                    self._run(unit, sync.take(event, received_ms), received_ns)
                found = sync.reached(page.cursor, page.window, received_ms)
                self._run(unit, found, received_ns)
                self._clock.saw(sync.event_ms, sync.clock)

    def offer(self, book: RestBook) -> None:
        """A book from the REST interface."""
        unit = self.units.get(Channel(book.ticker, topics.DIFF_DEPTH))
        if unit is not None and isinstance(unit.sync, BookSync):
            with self._lock:
                self._run(unit, unit.sync.offer(book), time.time_ns())

    def fill(self, channel: Channel, events: Events) -> int:
        """What recovery found, by rising id. Written as `backfill`; no gap says otherwise.

        Returns how many of them, from the first on, found room.
        """
        unit = self.units[channel]
        with self._lock:
            return self._effects.fill(unit, events, time.time_ns())

    def disrupted(self, cause: Cause) -> None:
        """The line's only socket is gone."""
        with self._lock:
            self._handover.lost(cause)

    def share(self, new: Source) -> None:
        """A second socket is about to be opened (rule 9)."""
        with self._lock:
            self._handover.share(new)

    def overlap(self, overlap: Overlap) -> None:
        """The second socket is accepted: its deliveries are compared from now on."""
        with self._lock:
            self._overlap = overlap

    def may_part(self, now_s: float) -> bool:
        """Whether the older of two sockets may close."""
        with self._lock:
            settled = all(one.is_refused or one.sync.settled for one in self.units.values())
            return self._overlap is None or self._overlap.is_done(now_s, settled=settled)

    def part(self) -> None:
        """One socket is left: the new one, unless it is gone."""
        with self._lock:
            self._overlap = None
            self._handover.part()

    def tick(self, now_s: float, watermark_s: float, *, connected: bool) -> None:
        """What the clock demands; skipped while a socket's thread is at work or waits."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            for unit in self.units.values():
                self._effects.pay(unit)
            self._rounds.go(self.units.values(), now_s, watermark_s, connected=connected)
            self._rejects.tick(now_s)
        finally:
            self._lock.release()

    def _route(self, outcome: Outcome, frame: bytes, received_ns: int, source: Source) -> None:
        if isinstance(outcome, DepthUpdate):
            self._take(Channel(outcome.s, topics.DIFF_DEPTH), outcome, received_ns, source)
        elif isinstance(outcome, BookState):
            channel = Channel(outcome.message.s, outcome.type)
            self._take(channel, outcome, received_ns, source)
        elif isinstance(outcome, BookDelta):
            channel = Channel(outcome.message.s, topics.DIFF_DEPTH)
            self._take(channel, outcome, received_ns, source)
        elif isinstance(outcome, _OF_A_TICKER):
            channel = Channel(outcome.ticker, _TYPES[type(outcome)])
            self._take(channel, outcome, received_ns, source)
        elif isinstance(outcome, LastTrade):
            self._name(outcome, received_ns)
        elif isinstance(outcome, Unknown):
            self._rejects.put(frame, outcome.reason, received_ns)
        else:
            self._hear(outcome, source)

    def _hear(self, outcome: Outcome, source: Source) -> None:
        """What is said of the socket, of a request or of how something is traded."""
        if isinstance(outcome, Accepted):
            source.accepted(outcome.names)
        elif isinstance(outcome, Refused):
            self._refused.refuse(outcome, source)
        elif isinstance(outcome, Leaving):
            source.leaving()
        elif isinstance(outcome, TradingStatus):
            self._statuses.take(outcome)

    def _take(self, channel: Channel, event: _Event, received_ns: int, source: Source) -> None:
        unit = self.units.get(channel)
        if unit is None:
            self._rejects.put(codec.encode(event), "nobody asked for this", received_ns)
            return
        source.data_ns = received_ns
        if not source.flows:
            look_for_flow(source, event)
        if unit.is_refused:
            self._refused.came(unit, source)
        if self._overlap is not None:
            self._overlap.delivered(channel, by_new=source is self._sources.new)
        received_ms = received_ns // _NS_PER_MS
        sync = unit.sync
        if sync.single:
            emissions = self._handover.take(unit, event, received_ms, source)
        else:
            emissions = sync.take(event, received_ms)
        if emissions:
            unit.watch.arrived_ns = received_ns
            self._run(unit, emissions, received_ns)
        elif isinstance(event, BookState):
            self._answer(unit)
        self._clock.saw(sync.event_ms, sync.clock)

    def _name(self, last: LastTrade, received_ns: int) -> None:
        """That there is no trade beyond our last is no life, but says that silence is true."""
        unit = self.units.get(Channel(last.ticker, topics.TRADES))
        if unit is None:
            return
        sync = unit.sync
        self._run(unit, sync.newest(last.id, received_ns // _NS_PER_MS), received_ns)
        if isinstance(sync, TradeSync) and last.id == sync.last and not sync.skipped:
            self._answer(unit)

    def _answer(self, unit: Unit) -> None:
        if unit.watch.is_doubted:
            unit.asked = 0
        unit.watch.answered()

    def _fetch_book(self, ticker: str) -> None:
        if self._fetch is not None:
            self._fetch(ticker, self.offer)

    def _recover_events(self, channel: Channel, first: int, last: int) -> None:
        if self._recover is not None:
            self._recover(channel, first, last, self.fill)
