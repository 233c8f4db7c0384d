"""A recording as a venue: what has been played so far is what the exchange is.

line ─► play ─► Frame (times and trade ids moved on in later rounds) and the book, the ticker
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from local.exchanges.blockchain import payloads
from local.exchanges.blockchain.eras import later, stamp_of
from local.exchanges.blockchain.instruments import instrument, symbol_object
from local.exchanges.blockchain.payloads import Book, Row
from local.exchanges.blockchain.tape_book import TapeBook, Told
from local.exchanges.blockchain.tape_index import (
    Message,
    index_tape,
    not_a_message,
    read_message,
)
from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID, Ladder
from local.exchanges.recordings import FRAME, RecordedLine, merged
from marketdata.errors import InputError

_MINUTE_MS = 60_000
_PAUSE_MS = 1_000
_NUMBER = re.compile(rb'^\{"seqnum":\d+,')
_ID = re.compile(rb'"trade_id":"(\d+)"')


class _Level(msgspec.Struct, frozen=True, gc=False):
    px: msgspec.Raw
    qty: msgspec.Raw
    num: int = 1


class _BookMessage(msgspec.Struct, frozen=True, gc=False):
    bids: list[_Level] = []
    asks: list[_Level] = []


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_book_message = msgspec.json.Decoder(_BookMessage)


@dataclass(slots=True)
class _Track:
    """One pair while it plays."""

    book: TapeBook = field(default_factory=TapeBook)
    stamp: str = ""
    state: dict[str, str] = field(default_factory=dict)
    trade_id: str | None = None


class Tape:
    """Every pair of the recordings; see `Venue` for what may be asked.

    With `start_ms` every time is moved so that the tape begins then (to the minute where it has
    candles); without, the first round has the recorded times. Updates of a book before its
    first snapshot are passed over; a later snapshot is told as the updates that lead to it.
    `l3` is passed on as it was recorded: who comes late gets no snapshot of it.
    """

    mode = "replay"
    has_orders = False

    def __init__(self, paths: Sequence[Path], *, start_ms: int | None = None) -> None:
        self._paths = paths
        self._index = index_tape(paths)
        self.streams = frozenset(self._index.streams)
        self.tickers = tuple(sorted(self._index.tickers))
        self._tracks = {ticker: _Track() for ticker in self.tickers}
        self._symbols = _listed(self.tickers, self._index.symbols)
        self._shift_ms = 0
        self._id_shift = 0
        if start_ms is not None:
            self._shift_ms = self._whole(start_ms - self._index.first_ms, 0)
        self._now_ms = self._index.first_ms + self._shift_ms

    def _whole(self, span_ms: int, spare_ms: int) -> int:
        if not any("@prices" in one for one in self.streams):
            return span_ms
        return (span_ms + spare_ms) // _MINUTE_MS * _MINUTE_MS

    def records(self) -> Iterable[RecordedLine]:
        """One round: the frames."""
        return (line for line in merged(self._paths) if line.kind == FRAME)

    def turn(self) -> Iterable[Frame]:
        """Later times and ids for the next round; its snapshots say how the books get there."""
        round_ms = self._index.last_ms - self._index.first_ms + _PAUSE_MS
        self._shift_ms += self._whole(round_ms, _MINUTE_MS - 1)
        self._id_shift += self._index.most_id - self._index.least_id + 1
        return ()

    def play(self, record: RecordedLine) -> Iterable[Frame]:
        """Let a line happen; what it is to the subscribers."""
        message = read_message(record)
        if not message.has_data:
            return ()
        self._now_ms = record.time_ns // 1_000_000 + self._shift_ms
        name = self._index.stream(message)
        try:
            payload = later(_unnumbered(record.payload), self._shift_ms)
            return list(self._played(message, name, payload))
        except (msgspec.MsgspecError, ValueError, InvalidOperation) as error:
            raise not_a_message(record, error) from error

    def _played(self, message: Message, name: str, payload: bytes) -> Iterable[Frame]:
        track = self._tracks.get(message.symbol)
        if track is None:
            return (Frame("", name, payload, 0, 0),)
        if message.channel == "l2":
            return self._book(track, message, name, payload)
        if message.channel == "trades":
            payload = self._trade(track, payload)
        elif message.channel == "ticker":
            members = {key: bytes(raw).decode() for key, raw in _object.decode(payload).items()}
            track.state |= {key: text for key, text in members.items() if _is_number(text)}
        return (Frame(message.symbol, name, payload, 0, 0),)

    def _book(
        self, track: _Track, message: Message, name: str, payload: bytes
    ) -> Iterator[Frame]:
        book, levels = track.book, list(_levels(payload))
        track.stamp = stamp_of(payload)
        if message.event == "updated" and book.known:
            ids = [book.apply(told) for told in levels] or [book.ladder.last_id]
            yield Frame(message.symbol, name, payload, ids[0], ids[-1])
        elif message.event == "snapshot" and not book.known:
            number = book.load(levels)
            yield Frame(message.symbol, name, payload, number, number)
        elif message.event == "snapshot":
            for told in book.differences(levels):
                rows = Book([told.row], []) if told.side == BID else Book([], [told.row])
                update = payloads.l2("updated", message.symbol, rows, track.stamp)
                number = book.apply(told)
                yield Frame(message.symbol, name, update, number, number)

    def _trade(self, track: _Track, payload: bytes) -> bytes:
        found = _ID.search(payload)
        if found is None:
            return payload
        track.trade_id = str(int(found[1]) + self._id_shift)
        return payload[: found.start(1)] + track.trade_id.encode() + payload[found.end(1) :]

    def ladder(self, ticker: str) -> Ladder | None:
        """See `Venue`."""
        book = self._tracks[ticker].book
        return book.ladder if book.known else None

    def last_ids(self, ticker: str) -> Mapping[str, int | str | None]:
        """See `Venue`."""
        track = self._tracks[ticker]
        return {
            "update_id": track.book.ladder.last_id if track.book.known else None,
            "trade_id": track.trade_id,
        }

    def now_ms(self) -> int:
        """See `Venue`."""
        return self._now_ms

    def symbols(self) -> Mapping[str, Mapping[str, Any]]:
        """See `Venue`."""
        return self._symbols

    def book(self, ticker: str) -> Book | None:
        """See `Venue`."""
        track = self._tracks.get(ticker)
        return track.book.book() if track and track.book.known else None

    def stamp(self, ticker: str) -> str:
        """See `Venue`."""
        return self._tracks[ticker].stamp

    def state(self, ticker: str) -> Mapping[str, str]:
        """See `Venue`."""
        track = self._tracks.get(ticker)
        return track.state if track else {}


def _unnumbered(frame: bytes) -> bytes:
    """The frame without its number, which was that of the recorder's connection."""
    found = _NUMBER.match(frame)
    if found:
        return b"{" + frame[found.end() :]
    members = _object.decode(frame)
    members.pop("seqnum", None)
    return msgspec.json.encode(members)


def _levels(payload: bytes) -> Iterator[Told]:
    message = _book_message.decode(payload)
    for side, levels in ((BID, message.bids), (ASK, message.asks)):
        for level in levels:
            texts = bytes(level.px).decode(), bytes(level.qty).decode()
            yield Told(side, Row(*texts, level.num))


def _is_number(text: str) -> bool:
    return text[:1].isdigit()


def _listed(
    tickers: Iterable[str], recorded: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The recorded list, and what it does not have of the recorded pairs."""
    listed = dict(recorded)
    for number, ticker in enumerate(tickers, len(listed) + 1):
        if ticker not in listed:
            try:
                listed[ticker] = symbol_object(instrument(ticker), number)
            except InputError:
                listed[ticker] = {"base_currency": ticker, "counter_currency": ""}
    return listed
