"""What must be known of a tape before it plays: tickers, first ids, the state it starts from.

    files ─► merged by receive time ─► TapeIndex

One pass, with memory for one book a ticker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path
from typing import Any

import msgspec

from local.exchanges.binance.recording import FRAME, INFO, SNAPSHOT, Record, merged
from local.exchanges.binance.tape_wire import (
    AggTradeWire,
    BookTickerWire,
    Diff,
    KlineWire,
    OtherWire,
    Snapshot,
    TradeWire,
    Wire,
    changes,
    kind_of,
    read,
    read_snapshot,
)
from local.exchanges.fixed_point import units8
from local.exchanges.ladder import Change
from marketdata.errors import InputError

_DIFFS_KEPT = 10_000


@dataclass(slots=True)
class TickerIndex:
    """One ticker's firsts; an id is None where the tape has none of that kind."""

    diff_stream: str | None = None
    first_diff: int | None = None
    first_book_id: int | None = None
    first_trade: int | None = None
    first_agg: int | None = None
    first_fill: int | None = None
    tick: int = 1
    step: int = 1
    start: list[Change] | None = None
    _snapshot: Snapshot | None = None
    _early: list[Diff] = field(default_factory=list)

    def take(self, stream: str, wire: Wire | None) -> None:
        """Note a frame."""
        match wire:
            case Diff():
                self._take_diff(stream, wire)
            case BookTickerWire(u):
                self._least("first_book_id", u)
            case TradeWire(t=number):
                self._least("first_trade", number)
            case AggTradeWire(a=number, f=fill):
                self._least("first_agg", number)
                self._least("first_fill", fill)
            case KlineWire(k=candle) if candle.f >= 0:
                self._least("first_fill", candle.f)

    def _take_diff(self, stream: str, diff: Diff) -> None:
        # The faster of two diff streams carries the book.
        if self.diff_stream is None or (
            stream != self.diff_stream and stream.endswith("@100ms")
        ):
            self.diff_stream, self.first_diff = stream, diff.U
        if stream != self.diff_stream or self.start is not None:
            return
        self._least("first_book_id", diff.U)
        if len(self._early) < _DIFFS_KEPT:
            self._early.append(diff)
        if self._snapshot and diff.u > self._snapshot.lastUpdateId:
            self.finish()

    def _least(self, name: str, number: int) -> None:
        before = getattr(self, name)
        setattr(self, name, number if before is None else min(before, number))

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Note a snapshot; the first one counts."""
        if self._snapshot is None:
            self._snapshot = snapshot
            levels = snapshot.bids + snapshot.asks
            self.tick = gcd(*(units8(price) for price, _ in levels)) or 1
            self.step = gcd(*(units8(quantity) for _, quantity in levels)) or 1
            if self._early and self._early[-1].u > snapshot.lastUpdateId:
                self.finish()

    def finish(self) -> None:
        """Make the state before the tape's first diff.

        It is the snapshot without the levels that the diffs up to it touch: these set them
        anyway, and what they were before is not recorded. So no level is wrong and the book
        never crosses.
        """
        if self._snapshot is None or self.start is not None:
            return
        touched = {
            change[:2]
            for diff in self._early
            if self._snapshot.lastUpdateId >= diff.U
            for change in changes(diff.b, diff.a)
        }
        levels = changes(self._snapshot.bids, self._snapshot.asks)
        self.start = [change for change in levels if change[:2] not in touched]
        self._early.clear()


@dataclass(slots=True)
class TapeIndex:
    """The tape as a whole; `snapshot_tickers` names the ticker of each snapshot by its id."""

    tickers: dict[str, TickerIndex] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    snapshot_tickers: dict[int, str] = field(default_factory=dict)
    first_ms: int | None = None
    has_klines: bool = False


def index_tape(paths: Sequence[Path]) -> TapeIndex:
    """Read the whole tape once.

    Raises:
        InputError: a file is no recording, or nothing in it can be played.
    """
    index = TapeIndex()
    unnamed: list[Snapshot] = []
    symbols: list[dict[str, Any]] = []
    for record in merged(paths):
        if record.kind == FRAME:
            _take_frame(index, record)
        elif record.kind == SNAPSHOT:
            _take_snapshot(index, record, unnamed)
        elif record.kind == INFO:
            symbols += msgspec.json.decode(record.payload).get("symbols", [])
    if not index.streams:
        raise InputError(f"no frame of Binance in {', '.join(str(path) for path in paths)}")
    for snapshot in unnamed:
        owner = _nearest(index, snapshot.lastUpdateId)
        if owner:
            _own(index, owner, snapshot)
    for ticker in index.tickers.values():
        ticker.finish()
    index.symbols = {
        symbol["symbol"]: symbol for symbol in symbols if symbol.get("symbol") in index.tickers
    }
    return index


def _take_frame(index: TapeIndex, record: Record) -> None:
    kind = kind_of(record.name)
    wire = read(kind, record.payload)
    ticker = record.name.partition("@")[0].upper()
    index.streams.add(record.name)
    index.tickers.setdefault(ticker, TickerIndex()).take(record.name, wire)
    index.has_klines |= isinstance(wire, KlineWire)
    event_ms = wire.E if isinstance(wire, Diff | TradeWire | AggTradeWire | OtherWire) else 0
    if index.first_ms is None and event_ms:
        index.first_ms = event_ms


def _take_snapshot(index: TapeIndex, record: Record, unnamed: list[Snapshot]) -> None:
    try:
        snapshot = read_snapshot(record.payload)
        ticker = record.name or _nearest(index, snapshot.lastUpdateId)
        if ticker is None:
            unnamed.append(snapshot)
        else:
            _own(index, ticker, snapshot)
    except ValueError as error:
        raise InputError(f"a recorded snapshot cannot be read: {error}") from error


def _own(index: TapeIndex, ticker: str, snapshot: Snapshot) -> None:
    index.snapshot_tickers[snapshot.lastUpdateId] = ticker
    index.tickers.setdefault(ticker, TickerIndex()).take_snapshot(snapshot)


def _nearest(index: TapeIndex, update_id: int) -> str | None:
    """The ticker whose diffs have ids like this; those of two tickers are far apart."""
    firsts = [
        (abs(ticker.first_diff - update_id), name)
        for name, ticker in index.tickers.items()
        if ticker.first_diff is not None
    ]
    return min(firsts)[1] if firsts else None
