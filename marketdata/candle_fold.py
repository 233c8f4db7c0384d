"""Candles of one minute from trades, for exchanges that send none (rule 27). Pure.

    trades and watermarks of one partition of `prices` ─► TradeFold ─► candles of `1m`

Time is an argument. A minute closes when a trade or a watermark of its key passes its end; what
comes later still corrects it (`candle_periods`). A trade id counts once in its minute, the
prices at its ends are those of the lowest and the highest id. A minute without trades has no
candle.
"""

from collections.abc import Container, Iterator

from marketdata import codec
from marketdata.archive_state import raise_floor
from marketdata.candle_kept import LATE_MS
from marketdata.candle_minute import TradeMinute
from marketdata.candle_periods import Periods, Said, Taken
from marketdata.candle_values import MINUTE_MS
from marketdata.errors import DecodeError
from marketdata.messages import Candle, PriceUpdate, Watermark
from marketdata.times import parse_iso_ms
from marketdata.topics import TRADES

OPEN_PACE_MS = 1_000
"""An open candle, or one that is corrected, is written again after so long at the earliest."""

IDLE_MS = 2 * LATE_MS


class _Key:
    """What is known of one key beside its minutes."""

    __slots__ = ("floors", "mark", "newest_ms", "open", "ticker", "touched_ms")

    def __init__(self, ticker: str) -> None:
        self.ticker = ticker
        self.floors: dict[str, int] = {}
        self.newest_ms = 0
        self.open: list[TradeMinute] = []
        self.mark: Watermark | None = None
        self.touched_ms = 0


class TradeFold:
    """The fold of one partition; `mark` and `is_cut` as of `Periods`.

    `sources` are the exchanges whose candles are made here. `now_ms` is any clock that never
    goes back; it decides when a candle is written, never what it holds.
    """

    def __init__(
        self, sources: Container[str], mark: str = "", *, is_cut: bool = False
    ) -> None:
        self._sources = sources
        self._periods: Periods[TradeMinute] = Periods(MINUTE_MS, mark, is_cut=is_cut)
        self._keys: dict[bytes, _Key] = {}
        self._unsaid: dict[TradeMinute, None] = {}
        self._sent: dict[tuple[bytes, int], Candle] = {}
        self._next_early_ms = 0
        self.trades = self.repeated = self.stale = self.late = self.corrected = 0

    def __len__(self) -> int:
        return len(self._keys)

    def seed(self, key: bytes, candle: Candle) -> None:
        """Takes a candle that an earlier life wrote, in order, before the first record.

        What comes out equal is not written again.
        """
        self._sent[key, candle.timestamp] = candle

    def take(self, taken: Taken) -> None:
        """Takes the partition's next record.

        Raises:
            DecodeError: it is not what its topic says; nothing was taken.
        """
        key, fields = taken.key, taken.fields
        self._periods.read(taken.offset)
        exchange, ticker = codec.split_key(key)
        if exchange not in self._sources or (fields.type or TRADES) != TRADES:
            return
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = _Key(ticker)
        state.touched_ms = taken.now_ms
        is_new = state.floors.get(fields.queue_id) != fields.epoch
        if not raise_floor(state.floors, fields.queue_id, fields.epoch):
            self.stale += 1
        elif not codec.is_mark(taken.value):
            self._take_trade(exchange, state, taken, is_new=is_new)
        elif isinstance(mark := codec.decode_mark(taken.value), Watermark):
            self._periods.heard(exchange, mark.E, taken.now_ms)
            self._reach(state, mark.E)
            state.mark = mark

    def due(self, now_ms: int, *, is_live: bool = True) -> Iterator[Said]:
        """The records to be written now, of the oldest minutes first.

        Before `is_live` only what is over for an hour and quiet, and never what an earlier life
        has closed otherwise: that had read on.
        """
        for minute in list(self._periods.over()):
            self._close(minute)
        unsaid = self._unsaid if is_live else self._early(now_ms)
        for minute in sorted(unsaid, key=lambda one: one.start_ms):
            if minute.is_due(now_ms, OPEN_PACE_MS):
                del self._unsaid[minute]
                yield from minute.say(now_ms)
        if is_live:
            yield from self._marks()

    def settle(self, now_ms: int) -> None:
        """Gives up what is final and keys that are silent."""
        self._periods.settle(now_ms)
        for key, state in list(self._keys.items()):
            state.open = [minute for minute in state.open if minute.open]
            if not state.open and state.touched_ms + IDLE_MS <= now_ms:
                del self._keys[key]

    def done_below(self, next_offset: int) -> int:
        """As of `Periods`."""
        return self._periods.done_below(next_offset)

    def mark(self) -> str:
        """As of `Periods`."""
        return self._periods.mark()

    def counts(self) -> dict[str, int]:
        """What it has seen."""
        return {
            "keys": len(self._keys),
            "minutes": len(self._periods),
            "trades": self.trades,
            "repeated": self.repeated,
            "stale": self.stale,
            "late": self.late,
            "corrected": self.corrected,
        }

    def _take_trade(self, exchange: str, state: _Key, taken: Taken, *, is_new: bool) -> None:
        trade = codec.decode_price(taken.value)
        event_ms = _event_ms(trade)
        if not taken.fields.backfill:
            if is_new and self._periods.is_another_tape(exchange, event_ms, taken.offset):
                self._begin_tape(exchange, event_ms)
            self._periods.heard(exchange, event_ms, taken.now_ms)
        self._reach(state, event_ms)
        minute = self._minute(exchange, taken.key, event_ms, taken.offset)
        if minute is None:
            self.late += 1
            return
        if not minute.add(trade, event_ms, taken.offset, taken.fields.received_ns):
            self.repeated += 1
            return
        self.trades += 1
        self.corrected += not minute.open
        minute.touched_ms = taken.now_ms
        minute.unsaid = 1
        self._unsaid[minute] = None
        if minute.end_ms <= state.newest_ms:
            self._close(minute)
        elif minute.open and minute not in state.open:
            state.open.append(minute)

    def _minute(
        self, exchange: str, key: bytes, event_ms: int, offset: int
    ) -> TradeMinute | None:
        minute = self._periods.find(exchange, key, event_ms)
        if minute is None:
            start_ms = event_ms // MINUTE_MS * MINUTE_MS
            if not self._periods.accepts(exchange, start_ms):
                return None
            minute = TradeMinute(key, start_ms, offset)
            minute.told = self._sent.pop((key, start_ms), None)
            self._periods.keep(exchange, key, minute)
        return minute

    def _reach(self, state: _Key, time_ms: int) -> None:
        """The key's time is at least this: minutes that end before it close."""
        if time_ms <= state.newest_ms:
            return
        state.newest_ms = time_ms
        if state.open:
            for minute in state.open:
                if minute.end_ms <= time_ms:
                    self._close(minute)
            state.open = [minute for minute in state.open if minute.open]

    def _early(self, now_ms: int) -> list[TradeMinute]:
        if now_ms < self._next_early_ms:
            return []
        self._next_early_ms = now_ms + OPEN_PACE_MS
        return [
            minute
            for minute in self._unsaid
            if self._periods.is_settled(codec.split_key(minute.key)[0], minute, now_ms)
            and not minute.contradicts()
        ]

    def _close(self, minute: TradeMinute) -> None:
        if minute.open:
            minute.open = False
            minute.unsaid = 1
            self._unsaid[minute] = None

    def _begin_tape(self, exchange: str, event_ms: int) -> None:
        for minute in self._periods.begin_tape(exchange, event_ms):
            if minute.open:
                self._unsaid.pop(minute, None)
                minute.open, minute.unsaid = False, 0
        prefix = f"{exchange}:".encode()
        for place in [place for place in self._sent if place[0].startswith(prefix)]:
            del self._sent[place]
        for key, state in self._keys.items():
            if key.startswith(prefix):
                state.newest_ms, state.open, state.mark = 0, [], None

    def _marks(self) -> Iterator[Said]:
        """A watermark of the trades is one of their candles, once those are on their way."""
        for key, state in self._keys.items():
            mark, state.mark = state.mark, None
            if mark is not None:
                yield Said(key, mark, mark.E, 0, _nothing)


def _event_ms(trade: PriceUpdate) -> int:
    try:
        return parse_iso_ms(trade.timestamp)
    except ValueError:
        raise DecodeError("a timestamp is not ISO 8601 with an offset") from None


def _nothing() -> None:
    """A watermark that is lost comes again within a minute."""
