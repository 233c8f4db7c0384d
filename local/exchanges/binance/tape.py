"""A recording as a venue: what has been played so far is what the exchange is.

Record ─► play ─► Frame (ids and times moved on in later rounds) and the book, trades, candles
end    ─► turn ─► one diff a ticker from the end's book to the start's, and the next round
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from container_worker.exchanges.binance.subscribe import STREAMS
from local.exchanges.binance import payloads
from local.exchanges.binance.day import Day
from local.exchanges.binance.instruments import symbol_object
from local.exchanges.binance.recording import FRAME, SNAPSHOT, Record, merged
from local.exchanges.binance.tape_book import TapeBook, difference
from local.exchanges.binance.tape_index import TickerIndex, index_tape
from local.exchanges.binance.tape_wire import (
    AggTradeWire,
    BookTickerWire,
    Diff,
    KlineWire,
    Shift,
    Snapshot,
    TradeWire,
    Wire,
    kind_of,
    read,
    read_snapshot,
)
from local.exchanges.binance.venue import last_ids
from local.exchanges.fixed_point import fixed8
from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID, Change, Ladder
from local.exchanges.trades import AggTrade, Trade, TradeLog

_MINUTE_MS = 60_000
_CANDLES_KEPT = 1_000


class BookKnown(NamedTuple):
    """A ticker's recorded snapshot has been reached; `Tape.settle` goes on from it."""

    ticker: str


@dataclass(slots=True)
class _Track:
    """One ticker while it plays; the ids are the last ones sent, moved on."""

    index: TickerIndex
    book: TapeBook = field(default_factory=TapeBook)
    log: TradeLog = field(default_factory=TradeLog)
    candles: dict[str, OrderedDict[int, list[Any]]] = field(default_factory=dict)
    shift: Shift = field(default_factory=Shift)
    diff_id: int = 0
    book_id: int = 0
    trade_id: int = 0
    agg_id: int = 0
    fill_id: int = 0


class Tape:
    """Every ticker of the recordings; see `Venue` for what may be asked.

    With `start_ms` every time is moved so that the tape begins then (to the minute where it has
    candles, which must stay on whole minutes); without, the first round has the recorded times.
    """

    mode = "replay"

    def __init__(self, paths: Sequence[Path], *, start_ms: int | None = None) -> None:
        self._paths = paths
        self._index = index_tape(paths)
        self._tracks = {name: _Track(index) for name, index in self._index.tickers.items()}
        self.tickers = tuple(sorted(self._tracks))
        first_ms = self._index.first_ms or 0
        self._last_ms = self._now_ms = first_ms
        self._time_shift = 0
        if start_ms is not None:
            self._time_shift = self._on_minutes(start_ms - first_ms, up=False)
            self._shift_all()

    def _on_minutes(self, span_ms: int, *, up: bool) -> int:
        if not self._index.has_klines:
            return span_ms
        return (span_ms + (_MINUTE_MS - 1 if up else 0)) // _MINUTE_MS * _MINUTE_MS

    def _shift_all(self) -> None:
        for track in self._tracks.values():
            shift = track.shift
            track.shift = Shift(shift.book, shift.trade, shift.agg, self._time_shift)

    def has(self, stream: str) -> bool:
        """Whether the tape has frames of a stream."""
        return stream in self._index.streams

    def types(self) -> tuple[str, ...]:
        """The types of capture whose streams the tape has."""
        kinds = {stream.partition("@")[2] for stream in self._index.streams}
        return tuple(type_ for type_, kind in STREAMS.items() if kind in kinds)

    def diff_ticker(self, stream: str) -> str | None:
        """The ticker whose book this stream's diffs carry, None for any other stream."""
        track = self._tracks.get(stream.partition("@")[0].upper())
        return (
            stream.partition("@")[0].upper()
            if track and track.index.diff_stream == stream
            else None
        )

    def records(self) -> Iterator[Record]:
        """One round of the tape."""
        return merged(self._paths)

    def play(self, record: Record) -> Frame | BookKnown | None:
        """Let a record happen."""
        if record.kind == FRAME:
            return self._play_frame(record)
        if record.kind == SNAPSHOT:
            return self._play_snapshot(record)
        return None

    def _play_frame(self, record: Record) -> Frame:
        kind = kind_of(record.name)
        ticker = record.name.partition("@")[0].upper()
        track = self._tracks[ticker]
        payload = track.shift.moved(kind, record.payload)
        wire = read(kind, payload)
        first, last = self._follow(track, record.name, wire)
        event_ms = getattr(wire, "E", 0)
        if event_ms:
            self._now_ms = event_ms
            self._last_ms = max(self._last_ms, event_ms - self._time_shift)
        return Frame(ticker, record.name, payload, first, last)

    def _follow(self, track: _Track, stream: str, wire: Wire | None) -> tuple[int, int]:
        """Keep the exchange's state in step with a frame; the frame's ids."""
        match wire:
            case Diff():
                if stream == track.index.diff_stream:
                    track.book.diff(wire)
                    track.diff_id = wire.u
                track.book_id = max(track.book_id, wire.u)
                return wire.U, wire.u
            case BookTickerWire(u=number) | Snapshot(lastUpdateId=number):
                track.book_id = max(track.book_id, number)
                return number, number
            case TradeWire():
                track.trade_id = wire.t
                track.log.trades.append(Trade(wire.t, wire.p, wire.q, wire.T, wire.m))
                return wire.t, wire.t
            case AggTradeWire():
                track.agg_id, track.fill_id = wire.a, max(track.fill_id, wire.l)
                track.log.agg_trades.append(
                    AggTrade(wire.a, wire.p, wire.q, wire.f, wire.l, wire.T, wire.m)
                )
                return wire.a, wire.a
            case KlineWire(k=candle):
                track.fill_id = max(track.fill_id, candle.L)
                self._keep_candle(track, wire)
                return candle.f, candle.L
        return 0, 0

    def _keep_candle(self, track: _Track, wire: KlineWire) -> None:
        k = wire.k
        rows = track.candles.setdefault(k.i, OrderedDict())
        rows[k.t] = [k.t, k.o, k.h, k.l, k.c, k.v, k.T, k.q, k.n, k.V, k.Q, "0"]
        if len(rows) > _CANDLES_KEPT:
            rows.popitem(last=False)

    def _play_snapshot(self, record: Record) -> BookKnown | None:
        snapshot = read_snapshot(record.payload)
        ticker = record.name or self._index.snapshot_tickers.get(snapshot.lastUpdateId)
        if ticker is None:
            return None
        track = self._tracks[ticker]
        snapshot.lastUpdateId += track.shift.book
        return BookKnown(ticker) if track.book.snapshot(snapshot) else None

    def settle(self, ticker: str) -> None:
        """Go on from a recorded snapshot: apply the earlier diffs that reach beyond it."""
        self._tracks[ticker].book.settle()

    def turn(self) -> list[Frame]:
        """Go back to the start with ids and times moved on; the diffs that lead there."""
        first_ms = self._index.first_ms or 0
        self._time_shift += self._on_minutes(self._last_ms - first_ms + 100, up=True)
        self._shift_all()
        frames = []
        for ticker, track in self._tracks.items():
            frame = self._turn_book(ticker, track)
            if frame:
                frames.append(frame)
            self._turn_trades(track)
        return frames

    def _turn_book(self, ticker: str, track: _Track) -> Frame | None:
        """The next round's ids begin above all that were sent; a diff moves the book."""
        index, shift = track.index, track.shift
        if index.first_diff is None:
            if index.first_book_id is not None:
                moved = track.book_id + 1 - index.first_book_id
                track.shift = Shift(moved, shift.trade, shift.agg, shift.time_ms)
            return None
        first = track.diff_id + 1
        early = index.first_diff - (index.first_book_id or index.first_diff)
        last = max(track.book_id, track.diff_id) + 1 + early
        track.shift = Shift(last + 1 - index.first_diff, shift.trade, shift.agg, shift.time_ms)
        if index.start is None:
            track.book = TapeBook()
            return None
        if not track.book.known:
            # Its clients have no book either: they see a hole and ask again.
            track.book.start(last, index.start)
            return None
        event_ms = (self._index.first_ms or 0) + self._time_shift
        return self._bridge(ticker, track, Diff(event_ms, first, last, [], []), index.start)

    def _bridge(self, ticker: str, track: _Track, diff: Diff, start: list[Change]) -> Frame:
        changes = difference(track.book.ladder, start)
        sides: tuple[list[str], list[str]] = ([], [])
        for side, price, level in changes:
            sides[side].append(level or f'["{fixed8(price)}","0.00000000"]')
        track.book.ladder.apply(diff.u, changes)
        track.diff_id = track.book_id = diff.u
        payload = payloads.depth_update(
            ticker,
            diff.E,
            (diff.U, diff.u),
            bids=",".join(sides[BID]),
            asks=",".join(sides[ASK]),
        )
        return Frame(ticker, track.index.diff_stream or "", payload, diff.U, diff.u)

    def _turn_trades(self, track: _Track) -> None:
        index, shift = track.index, track.shift
        trade, agg = shift.trade, shift.agg
        if index.first_trade is not None:
            trade = track.trade_id + 1 - index.first_trade
        elif index.first_fill is not None:
            trade = track.fill_id + 1 - index.first_fill
        if index.first_agg is not None:
            agg = track.agg_id + 1 - index.first_agg
        track.shift = Shift(shift.book, trade, agg, shift.time_ms)

    def symbol(self, ticker: str) -> dict[str, Any]:
        """See `Venue`; the recorded one where `exchangeInfo` was recorded."""
        index: TickerIndex = self._tracks[ticker].index
        recorded = self._index.symbols.get(ticker)
        return recorded or symbol_object(ticker, tick=index.tick, step=index.step)

    def last_ids(self, ticker: str) -> dict[str, int | str | None]:
        """See `Venue`."""
        return last_ids(self, ticker)

    def ladder(self, ticker: str) -> Ladder | None:
        """See `Venue`."""
        book = self._tracks[ticker].book
        return book.ladder if book.known else None

    def trades(self, ticker: str) -> TradeLog:
        """See `Venue`."""
        return self._tracks[ticker].log

    def klines(self, ticker: str, interval: str) -> list[list[Any]]:
        """See `Venue`; only what was recorded."""
        rows: Mapping[int, list[Any]] = self._tracks[ticker].candles.get(interval, {})
        return list(rows.values())

    def day(self, ticker: str) -> Day:
        """See `Venue`; of the recorded trades that are kept."""
        return Day.of_trades(self.trades(ticker), self.ladder(ticker), self._now_ms)

    def now_ms(self) -> int:
        """See `Venue`."""
        return self._now_ms
