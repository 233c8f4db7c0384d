"""One product while its recording plays: the book, the trades, how far ids have moved on."""

from collections import deque
from collections.abc import Iterator

import msgspec

from local.exchanges.candles import MINUTE_MS, CandleSeries
from local.exchanges.coinbase import payloads
from local.exchanges.coinbase.payloads import Match
from local.exchanges.coinbase.tape_index import KIND_OF_TYPE, TIMED, ProductIndex, Record, Told
from local.exchanges.fixed_point import fixed, is_zero, units8
from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID, Change, Ladder
from local.exchanges.trades import TRADES_KEPT, Trade
from marketdata.times import iso_ms, parse_iso_ms

_ALL_LEVELS = 1 << 30
_SIDES = {"buy": BID, "sell": ASK}
_NAMES = {BID: "buy", ASK: "sell"}

_any = msgspec.json.Decoder(dict[str, object])


class Track:
    """What a product's clients have been sent, so that a newcomer can be told.

    A recorded snapshot of a book that is already known is told as the l2update that leads to
    it: that is how a later round begins, and how a recorder's new connection goes on.
    """

    def __init__(self, ticker: str, index: ProductIndex) -> None:
        self.ticker = ticker
        self.ladder: Ladder | None = None
        self.matches: deque[Match] = deque(maxlen=TRADES_KEPT)
        self.minutes: CandleSeries | None = None
        self.ticker_payload: bytes | None = None
        self.sequence = 0
        self._index = index
        self._book_source: tuple[int, int] | None = None
        self._time_ms = 0
        self._trade_shift = 0
        self._sequence_shift = 0
        self._rounds = 0

    def turn(self) -> None:
        """Go back to the start: ids begin above all that were sent."""
        self._rounds += 1
        if self._index.first_match is not None and self.matches:
            self._trade_shift = self.matches[-1].trade_id + 1 - self._index.first_match
        if self._index.first_sequence is not None:
            self._sequence_shift = self.sequence + 1 - self._index.first_sequence

    def play(self, record: Record, time_shift_ms: int) -> Iterator[Frame]:
        """Let a recorded message happen, so much later than it did."""
        told = record.told
        payload = self._moved(record, time_shift_ms)
        if told.type in TIMED and told.time:
            self._time_ms = max(self._time_ms, parse_iso_ms(told.time) + time_shift_ms)
        if told.sequence:
            self.sequence = max(self.sequence, told.sequence + self._sequence_shift)
        match told.type:
            case "snapshot":
                self._book_source = record.source
                yield from self._restated(told, payload)
            case "l2update":
                if self.ladder is not None and record.source == self._book_source:
                    yield self._updated(self.ladder, told, payload)
            case "match" | "last_match":
                yield from self._traded(payload, told.type)
            case "ticker":
                if not self._is_of_earlier_round(told):
                    self.ticker_payload = payload
                    yield self._frame(told, payload, told.trade_id + self._trade_shift)
            case _:
                yield self._frame(told, payload, 0)

    def _moved(self, record: Record, time_shift_ms: int) -> bytes:
        """The message with its ids and its time moved on."""
        told = record.told
        if not (time_shift_ms or self._trade_shift or self._sequence_shift):
            return record.payload
        message = _any.decode(record.payload)
        if told.time:
            message["time"] = payloads.moved(told.time, time_shift_ms)
        for name in ("trade_id", "last_trade_id"):
            if name in message:
                message[name] = getattr(told, name) + self._trade_shift
        if told.sequence:
            message["sequence"] = told.sequence + self._sequence_shift
        return payloads.encode(message)

    def _is_of_earlier_round(self, told: Told) -> bool:
        """Whether a ticker tells a trade from before the tape, which is long past by now."""
        first = self._index.first_match
        return bool(self._rounds and first is not None and told.trade_id < first)

    def _frame(self, told: Told, payload: bytes, number: int) -> Frame:
        stream = f"{self.ticker}@{KIND_OF_TYPE[told.type]}"
        return Frame(self.ticker, stream, payload, number, number)

    def _restated(self, told: Told, payload: bytes) -> Iterator[Frame]:
        levels = [_change(BID, *level) for level in told.bids]
        levels += [_change(ASK, *level) for level in told.asks]
        if self.ladder is None:
            self.ladder = Ladder()
            self.ladder.load(1, levels)
            yield self._frame(told, payload, 1)
            return
        changes = _difference(self.ladder, levels)
        if changes:
            self.ladder.apply(self.ladder.last_id + 1, changes)
            told_changes = [_told_change(change) for change in changes]
            bridge = payloads.l2update(
                self.ticker, told_changes, f"{iso_ms(self._time_ms)[:-1]}000Z"
            )
            yield self._frame(told, bridge, self.ladder.last_id)

    def _updated(self, ladder: Ladder, told: Told, payload: bytes) -> Frame:
        changes = [_change(_SIDES[side], price, size) for side, price, size in told.changes]
        ladder.apply(ladder.last_id + 1, changes)
        return self._frame(told, payload, ladder.last_id)

    def _traded(self, payload: bytes, kind: str) -> Iterator[Frame]:
        told = _told.decode(payload)
        done = Match(
            told.trade_id,
            told.maker_order_id,
            told.taker_order_id,
            told.side,
            told.size,
            told.price,
            told.sequence,
            told.time,
        )
        known = bool(self.matches)
        if known and (kind == "last_match" or done.trade_id <= self.matches[-1].trade_id):
            return
        self.matches.append(done)
        if kind == "match":
            self._count(done)
        yield self._frame(told, payload, done.trade_id)

    def _count(self, done: Match) -> None:
        if self.minutes is None:
            self.minutes = CandleSeries(MINUTE_MS, done.time_ms, units8(done.price))
        self.minutes.roll(done.time_ms)
        bought = done.side == "buy"
        self.minutes.add(Trade(done.trade_id, done.price, done.size, done.time_ms, bought))

    def opening(self, kind: str) -> Frame | None:
        """What a subscription begins with, as far as the tape has come."""
        stream = f"{self.ticker}@{kind}"
        if kind == "level2" and self.ladder is not None:
            book = self.ladder.text(_ALL_LEVELS)
            payload = payloads.snapshot(self.ticker, book, "")
            return Frame(self.ticker, stream, payload, book.update_id, book.update_id)
        if kind == "matches" and self.matches:
            last = self.matches[-1]
            payload = payloads.match(self.ticker, last, kind="last_match")
            return Frame(self.ticker, stream, payload, last.trade_id, last.trade_id)
        if kind == "ticker" and self.ticker_payload is not None:
            return Frame(self.ticker, stream, self.ticker_payload, 0, 0)
        return None


def _change(side: int, price: str, size: str) -> Change:
    level = None if is_zero(size) else f'["{price}","{size}"]'
    return Change(side, units8(price), level)


def _told_change(change: Change) -> tuple[str, str, str]:
    if change.level is None:
        return _NAMES[change.side], fixed(change.price, None), "0"
    price, size = change.level[2:-2].split('","')
    return _NAMES[change.side], price, size


def _difference(ladder: Ladder, levels: list[Change]) -> list[Change]:
    """The changes that lead from the book to these levels; sizes are compared as numbers."""
    wanted = {(level.side, level.price) for level in levels}
    gone = [
        Change(level.side, level.price, None)
        for level in ladder.levels()
        if (level.side, level.price) not in wanted
    ]
    return gone + [
        level for level in levels if _size(ladder.level(*level[:2])) != _size(level.level)
    ]


def _size(level: str | None) -> int:
    return units8(level[2:-2].split('","')[1]) if level else 0


_told = msgspec.json.Decoder(Told)
