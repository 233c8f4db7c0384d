"""A recording as a venue: what has been played so far is what the exchange is.

recorded frame ─► Frame, as it is or with times and numbers moved on ─► the books' sides
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from container_worker.exchanges.outcomes import BookState
from container_worker.exchanges.stockbit.decode import (
    OrderBookMessage,
    decode_flat,
    decode_orderbook_message,
)
from local.exchanges.fixed_point import units8
from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID, Change, Ladder
from local.exchanges.recordings import BINARY, merged
from local.exchanges.stockbit.connection import stream_of
from local.exchanges.stockbit.messages import is_wrapped, wrapped
from local.exchanges.stockbit.moving import moved
from local.exchanges.stockbit.requests import Layout
from marketdata.errors import DecodeError, InputError

_BETWEEN_ROUNDS_MS = 100

Levels = dict[int, str]


class Record(NamedTuple):
    """A recorded order book; `event_ms` is the time that it says."""

    time_ns: int
    payload: bytes
    event_ms: int
    told: OrderBookMessage
    levels: Levels


@dataclass(slots=True)
class _Track:
    """One ticker while it plays: its sides as last stated, and the last number, moved on."""

    first_number: int
    shift: int = 0
    number: int = 0
    ladder: Ladder = field(default_factory=Ladder)
    stated: dict[int, bytes] = field(default_factory=dict)
    levels: tuple[Levels, Levels] = field(default_factory=lambda: ({}, {}))

    def state(self, side: int, number: int, payload: bytes, levels: Levels) -> None:
        """Take a statement; one whose number is not new changes nothing."""
        if number <= self.number:
            return
        before = self.levels[side]
        gone = [Change(side, price, None) for price in before.keys() - levels.keys()]
        changes = [Change(side, price, text) for price, text in levels.items()]
        if self.ladder.last_id:
            self.ladder.apply(number, gone + changes)
        else:
            self.ladder.load(number, changes)
        before.clear()
        before.update(levels)
        self.number = number
        # The side that was stated last comes last.
        self.stated.pop(side, None)
        self.stated[side] = payload


class Tape:
    """Every ticker of the recordings.

    With `start_ms` every time is moved so that the tape begins then; without, the first round
    has the recorded times and numbers.

    Raises:
        InputError: no order book in the recordings, or a file that cannot be read.
    """

    mode = "replay"

    def __init__(self, paths: Sequence[Path], *, start_ms: int | None = None) -> None:
        self._paths = paths
        self._tracks: dict[str, _Track] = {}
        times = []
        for record in self.records():
            track = _Track(record.told.sequence_number)
            self._tracks.setdefault(record.told.ticker, track)
            times.append(record.event_ms)
        if not times:
            names = ", ".join(str(path) for path in paths)
            raise InputError(f"no order book of Stockbit in {names}")
        self._first_ms, self._last_ms = min(times), max(times)
        self.tickers = tuple(sorted(self._tracks))
        self._shift_ms = 0 if start_ms is None else start_ms - self._first_ms
        self._now_ms = self._first_ms + self._shift_ms

    def has(self, stream: str) -> bool:
        """Whether a stream is one of these tickers'."""
        return stream.partition("@")[0] in self._tracks and stream == stream_of(
            stream.partition("@")[0]
        )

    def records(self) -> Iterator[Record]:
        """One round of the tape: its order books; other frames are not played."""
        for line in merged(self._paths):
            if line.kind != BINARY:
                continue
            try:
                told = decode_orderbook_message(line.payload)
                if not isinstance(told, OrderBookMessage):
                    continue
                [state] = decode_flat(line.payload, line.time_ns)
                levels = _levels(told)
            except (DecodeError, ValueError):
                continue
            if isinstance(state, BookState):
                yield Record(line.time_ns, line.payload, state.message.E, told, levels)

    def play(self, record: Record) -> Iterator[Frame]:
        """Let a recorded statement happen."""
        told = record.told
        track = self._tracks[told.ticker]
        payload = record.payload
        if self._shift_ms or track.shift:
            payload = moved(payload, self._shift_ms, track.shift)
        self._now_ms = max(self._now_ms, record.event_ms + self._shift_ms)
        number = (
            told.sequence_number + track.shift if told.sequence_number else track.number + 1
        )
        side = BID if told.side == "BUY" else ASK
        track.state(side, number, payload, record.levels)
        yield Frame(told.ticker, stream_of(told.ticker), payload, number, number)

    def turn(self) -> tuple[Frame, ...]:
        """Go back to the start with times and numbers moved on; each side is stated again."""
        self._shift_ms += self._last_ms - self._first_ms + _BETWEEN_ROUNDS_MS
        for track in self._tracks.values():
            if track.first_number:
                track.shift = track.number + 1 - track.first_number
        return ()

    def opening(self, tickers: Sequence[str], connection: int) -> Iterator[Frame]:
        """What is known of each book, to that connection; the numbers end with the last one.

        So nothing is missing before what comes next, and who has it all drops it.
        """
        for ticker in tickers:
            track = self._tracks[ticker]
            number = track.number - len(track.stated)
            for stated in track.stated.values():
                number += 1
                payload = _renumbered(stated, number)
                stream = stream_of(ticker)
                yield Frame(ticker, stream, payload, number, number, only=connection)

    def content(self, frame: Frame, layout: Layout) -> bytes:
        """The recorded bytes; who wants numbers gets those without in a wrapper."""
        if layout == "flat" or is_wrapped(frame.payload):
            return frame.payload
        return wrapped(frame.payload, frame.last_id)

    def ladder(self, ticker: str) -> Ladder | None:
        """The true book, its levels as recorded; None before its first statement."""
        track = self._tracks[ticker]
        return track.ladder if track.stated else None

    def last_ids(self, ticker: str) -> dict[str, int | str | None]:
        """The last sequence number; of a flat recording the count of its messages."""
        return {"sequence_number": self._tracks[ticker].number or None}

    def now_ms(self) -> int:
        """The time of what was played last."""
        return self._now_ms


def _levels(told: OrderBookMessage) -> Levels:
    """Levels by price in 10^-8, each as the JSON text of the ladder."""
    return {
        units8(level[0]): "[" + ",".join(f'"{number}"' for number in level) + "]"
        for level in told.levels
    }


def _renumbered(payload: bytes, number: int) -> bytes:
    told = decode_orderbook_message(payload)
    if not (isinstance(told, OrderBookMessage) and told.sequence_number):
        return payload
    return moved(payload, 0, number - told.sequence_number)
