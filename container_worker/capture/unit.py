"""One capture unit: what is captured, where it goes, and its pure core (rule 18)."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from container_worker.capture.book_sync import BookSync
from container_worker.capture.candle_sync import CandleSync
from container_worker.capture.emissions import Emissions, Write
from container_worker.capture.event_sync import EventSync
from container_worker.capture.numbered_side_sync import NumberedSideSync
from container_worker.capture.opaque_sync import OpaqueTradeSync, TickerSync
from container_worker.capture.side_sync import SideSync
from container_worker.capture.state_sync import SnapshotSync
from container_worker.capture.stream_book_sync import StreamBookSync
from container_worker.capture.timing import PRODUCTION, Timing
from container_worker.capture.trade_sync import TradeSync
from container_worker.capture.watch import Watch
from container_worker.exchanges.adapter import Channel, Numbering
from container_worker.exchanges.outcomes import Clock
from marketdata import codec, topics
from marketdata.instruments import Instrument
from marketdata.messages import Cause

if TYPE_CHECKING:
    from container_worker.capture.last_known import LastKnown

LEAST_SILENCE_S = 10.0
MOST_OWED = 64


class Core(Protocol):
    """A unit's pure core, whatever the kind of its events (`unit_sync.UnitSync`)."""

    clock: Clock
    ours: bool
    single: bool
    on_new: bool
    event_ms: int
    proved_ms: int
    marked_ms: int
    muted: bool

    @property
    def settled(self) -> bool:
        """Whether all that was received has been written."""
        ...

    @property
    def cursor(self) -> str | None:
        """A chain's place, for the watermark."""
        ...

    def take(self, event: Any, received_ms: int) -> Emissions:
        """What an event leads to."""
        ...

    def take_new(self, event: Any, received_ms: int) -> Emissions:
        """What an event of the second socket leads to, in a `single` unit."""
        ...

    def newest(self, id_: int, received_ms: int) -> Emissions:
        """The exchange names its newest event."""
        ...

    def fill(self, events: Sequence[Any]) -> list[Write]:
        """The records of what was recovered and is not there."""
        ...

    def lost_new(self) -> None:
        """The second socket may have lost something."""
        ...

    def disrupted(self, cause: Cause) -> Emissions:
        """Something may be missing from now on."""
        ...

    def stalled(self) -> Emissions:
        """It is silent for too long."""
        ...

    def audit(self, now_s: float, audit_s: float) -> Emissions:
        """What the clock demands."""
        ...

    def share(self, *, two_sockets: bool, new_stays: bool = True, now_ms: int = 0) -> Emissions:
        """Two sockets feed it, or one again."""
        ...

    def overflow(self, unsent: Sequence[Write]) -> Emissions:
        """There was no room for these."""
        ...

    def speak(self) -> Emissions:
        """There is room again."""
        ...


@dataclass(slots=True)
class Unit:
    """A unit while it runs; `wrote` is called once for each data record that is durable.

    `headers` are those that all its records share. `asked` counts requests to have it stated
    anew that came to nothing since `asked_ns`. `is_refused`: see `RefusedUnits`. `owed` has gap
    records that found no room, with the time of receipt in ns: they come before any other
    record. Without room a unit falls silent, so that they are few; of more than `MOST_OWED` the
    oldest would be given up.
    """

    channel: Channel
    sync: Core
    topic: str
    key: bytes
    headers: codec.Headers
    wrote: Callable[[], None]
    watermark_due_s: float = 0.0
    watch: Watch = field(default_factory=lambda: Watch(LEAST_SILENCE_S))
    asked: int = 0
    asked_ns: int = 0
    is_refused: bool = False
    owed: deque[tuple[Write, int]] = field(default_factory=lambda: deque(maxlen=MOST_OWED))

    def __post_init__(self) -> None:
        if self.sync.ours and codec.OURS not in self.headers:
            self.headers = [*self.headers, codec.OURS]

    def of_backfill(self) -> "Unit":
        """The same unit, as it writes what was fetched later."""
        return replace(self, headers=[*self.headers, codec.BACKFILL])


def make_sync(
    stream_type: str,
    numbering: Numbering,
    instrument: Instrument,
    last: "LastKnown | None" = None,
    *,
    recovers: bool = False,
    timing: Timing = PRODUCTION,
) -> Core:
    """The core for a type as the exchange numbers it.

    `last` is what the topic has of the unit from before this process. `recovers` says that
    the exchange's REST interface has past events of this type.
    """
    exchange, ticker, symbol = instrument.exchange, instrument.ticker, instrument.symbol
    if stream_type == topics.TRADES and numbering == "exchange":
        return TradeSync(exchange, ticker, symbol, last, recovers=recovers)
    if stream_type == topics.TRADES:
        return OpaqueTradeSync(exchange, ticker, symbol, last)
    if stream_type == topics.TICKER:
        return TickerSync(exchange, ticker, symbol, last)
    if stream_type == topics.CANDLE_UPDATES:
        return CandleSync(exchange, ticker, symbol, last, recovers=recovers)
    if stream_type == topics.CONTRACT_EVENTS:
        return EventSync(exchange, ticker, last)
    return _make_book(stream_type, numbering, instrument, last, timing)


def _make_book(
    stream_type: str,
    numbering: Numbering,
    instrument: Instrument,
    last: "LastKnown | None",
    timing: Timing,
) -> Core:
    exchange, ticker = instrument.exchange, instrument.ticker
    if stream_type == topics.DIFF_DEPTH:
        if numbering == "ours":
            return StreamBookSync(exchange, ticker, last, timing)
        return BookSync(exchange, ticker)
    if numbering == "ours":
        return SideSync(exchange, ticker, last, timing)
    if numbering == "exchange":
        return NumberedSideSync(exchange, ticker, last)
    return SnapshotSync(exchange, ticker, last)
