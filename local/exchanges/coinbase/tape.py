"""A recording as a venue: what has been played so far is what the exchange is.

Record ─► Track.play ─► Frames, with ids and times moved on in later rounds
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from local.exchanges.candles import MINUTE_MS, CandleSeries
from local.exchanges.coinbase.payloads import Match
from local.exchanges.coinbase.tape_index import TIMED, Record, index_tape, records
from local.exchanges.coinbase.tape_track import Track
from local.exchanges.frames import Frame
from local.exchanges.ladder import Ladder
from marketdata.times import parse_iso_ms

_BETWEEN_ROUNDS_MS = 100


class Tape:
    """Every product of the recordings (see `FeedVenue`).

    With `start_ms` every time is moved so that the tape begins then; without, the first round
    has the recorded times. A product's updates before its first snapshot are left out: a client
    could make nothing of them.
    """

    mode = "replay"

    def __init__(self, paths: Sequence[Path], *, start_ms: int | None = None) -> None:
        self._paths = paths
        self._index = index_tape(paths)
        self._tracks = {
            ticker: Track(ticker, index) for ticker, index in self._index.products.items()
        }
        self.tickers = tuple(sorted(self._tracks))
        first_ms = self._index.first_ms or 0
        self._shift_ms = 0 if start_ms is None else start_ms - first_ms
        self._now_ms = first_ms + self._shift_ms

    def has(self, stream: str) -> bool:
        """Whether the tape has frames of a stream."""
        return stream in self._index.streams

    def records(self) -> Iterator[Record]:
        """One round of the tape."""
        return records(self._paths)

    def play(self, record: Record) -> Iterator[Frame]:
        """Let a recorded message happen."""
        told = record.told
        if told.type in TIMED and told.time:
            self._now_ms = max(self._now_ms, parse_iso_ms(told.time) + self._shift_ms)
        return self._tracks[told.product_id].play(record, self._shift_ms)

    def turn(self) -> tuple[Frame, ...]:
        """Go back to the start; the recorded snapshots lead the books there."""
        first_ms = self._index.first_ms or 0
        self._shift_ms += self._index.last_ms - first_ms + _BETWEEN_ROUNDS_MS
        for track in self._tracks.values():
            track.turn()
        return ()

    def opening(self, ticker: str, kind: str) -> Frame | None:
        """See `FeedVenue`."""
        return self._tracks[ticker].opening(kind) if ticker else None

    def product(self, ticker: str) -> dict[str, Any]:
        """See `FeedVenue`."""
        return self._index.product(ticker)

    def ladder(self, ticker: str) -> Ladder | None:
        """See `Venue`."""
        return self._tracks[ticker].ladder

    def matches(self, ticker: str) -> Sequence[Match]:
        """See `FeedVenue`."""
        return self._tracks[ticker].matches

    def minutes(self, ticker: str) -> CandleSeries:
        """See `FeedVenue`."""
        return self._tracks[ticker].minutes or CandleSeries(MINUTE_MS, self._now_ms, 0)

    def sequence(self, ticker: str) -> int:
        """See `FeedVenue`."""
        return self._tracks[ticker].sequence

    def last_ids(self, ticker: str) -> dict[str, int | str | None]:
        """See `Venue`."""
        track = self._tracks[ticker]
        return {
            "update_id": track.ladder.last_id if track.ladder else None,
            "trade_id": track.matches[-1].trade_id if track.matches else None,
            "sequence": track.sequence,
        }

    def now_ms(self) -> int:
        """See `Venue`."""
        return self._now_ms
