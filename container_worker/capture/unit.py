"""One capture unit: what is captured, where it goes, and its pure core (rule 18)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from container_worker.capture.book_sync import BookSync
from container_worker.capture.emissions import Emissions, Write
from container_worker.capture.state_sync import CandleSync, SnapshotSync
from container_worker.capture.trade_sync import TradeSync
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import Clock
from marketdata import codec, topics
from marketdata.instruments import Instrument
from marketdata.messages import Cause


class Core(Protocol):
    """A unit's pure core, whatever the kind of its events (`unit_sync.UnitSync`)."""

    clock: Clock
    event_ms: int
    muted: bool

    @property
    def settled(self) -> bool:
        """Whether all that was received has been written."""
        ...

    def take(self, event: Any, received_ms: int) -> Emissions:
        """What an event leads to."""
        ...

    def disrupted(self, cause: Cause) -> Emissions:
        """Something may be missing from now on."""
        ...

    def share(self, *, two_sockets: bool) -> Emissions:
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
    """A unit while it runs; `wrote` is called once for each data record that is durable."""

    channel: Channel
    sync: Core
    topic: str
    key: bytes
    headers: codec.Headers
    wrote: Callable[[], None]
    watermark_ms: int = 0
    watermark_due_s: float = 0.0


def make_sync(stream_type: str, instrument: Instrument) -> Core:
    """The core for a type; `ws_depth` has no event time on the wire (rule 10)."""
    exchange, ticker = instrument.exchange, instrument.ticker
    if stream_type == topics.DIFF_DEPTH:
        return BookSync(exchange, ticker)
    if stream_type == topics.DEPTH_SNAPSHOTS:
        return SnapshotSync(exchange, ticker, "received")
    if stream_type == topics.TRADES:
        return TradeSync(exchange, ticker, instrument.symbol)
    return CandleSync(exchange, ticker, instrument.symbol)
