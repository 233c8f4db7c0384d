"""The longer candles, folded from those of one minute (rule 27). Pure.

    candles of one partition of `candles` ─► RollUp ─► candles of 5m, 15m, 1h, 1d

It makes no difference whether an exchange said the minutes or `candle_fold` made them. A longer
candle is made of the closed minutes in it and, while it is open, of the open minute; it closes
when its key's minutes or watermarks pass its end. Its own candles come by as well: what they
say is not written again.
"""

from collections.abc import Iterator

from marketdata import codec
from marketdata.archive_state import raise_floor
from marketdata.candle_day import Day, Long
from marketdata.candle_kept import LATE_MS
from marketdata.candle_periods import Periods, Said, Taken
from marketdata.candle_values import LONGER_MS, MINUTE, MINUTE_MS, Values, values_of
from marketdata.messages import Candle, Watermark
from marketdata.times import DAY_MS
from marketdata.topics import CANDLE_UPDATES, DERIVED_CANDLES

OPEN_PACE_MS = 5_000
"""An open candle, or one that is corrected, is written again after so long at the earliest."""

SETTLE_MS = 2_000
"""A watermark may be so much earlier than the last word on a candle that ends at it."""

TAPE_MS = 2 * DAY_MS
"""Minutes so much older are of another tape: derive itself writes those of some hours again."""

LATE_TAPE_MS = 8 * DAY_MS
"""So much older for a closed minute of derive: what was missed is corrected after any silence,
as far back as the log of trades goes. One that is open is never a correction."""

IDLE_MS = DAY_MS + 2 * LATE_MS


class _Key:
    """What is known of one key beside its days."""

    __slots__ = ("floors", "newest_ms", "open", "touched_ms")

    def __init__(self) -> None:
        self.floors: dict[str, int] = {}
        self.newest_ms = 0
        self.open: dict[Long, None] = {}
        self.touched_ms = 0


class RollUp:
    """The fold of one partition; `mark` and `is_cut` as of `Periods`.

    `now_ms` is any clock that never goes back; it decides when a candle is written, never what
    it holds.
    """

    def __init__(self, mark: str = "", *, is_cut: bool = False) -> None:
        self._periods: Periods[Day] = Periods(DAY_MS, mark, is_cut=is_cut)
        self._keys: dict[bytes, _Key] = {}
        self._unsaid: dict[Long, None] = {}
        self._next_early_ms = 0
        self.minutes = self.stale = self.late = 0

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, taken: Taken) -> None:
        """Takes the partition's next record.

        Raises:
            DecodeError: it is not what its topic says; nothing was taken.
        """
        fields = taken.fields
        self._periods.read(taken.offset)
        exchange, _ = codec.split_key(taken.key)
        if (fields.type or CANDLE_UPDATES) not in (CANDLE_UPDATES, DERIVED_CANDLES):
            return
        state = self._keys.get(taken.key)
        if state is None:
            state = self._keys[taken.key] = _Key()
        state.touched_ms = taken.now_ms
        is_new = state.floors.get(fields.queue_id) != fields.epoch
        if not raise_floor(state.floors, fields.queue_id, fields.epoch):
            self.stale += 1
            return
        if codec.is_mark(taken.value):
            mark = codec.decode_mark(taken.value)
            if isinstance(mark, Watermark):
                self._pass(exchange, state, mark.E - SETTLE_MS, taken.now_ms)
            return
        candle = codec.decode_candle(taken.value)
        if candle.interval == MINUTE and candle.timestamp % MINUTE_MS == 0:
            self._take_minute(exchange, state, taken, candle, is_new=is_new)
        elif fields.type == DERIVED_CANDLES:
            self._hear(exchange, taken.key, candle)

    def due(self, now_ms: int, *, is_live: bool = True) -> Iterator[Said]:
        """The records to be written now; before `is_live` as of `TradeFold`."""
        for day in list(self._periods.over()):
            for long in day.longs():
                self._close(long)
            day.closed_one()
        for long in list(self._unsaid) if is_live else self._early(now_ms):
            if long.is_due(now_ms, OPEN_PACE_MS):
                del self._unsaid[long]
                yield from long.say(now_ms)

    def settle(self, now_ms: int) -> None:
        """Closes what nobody else will, gives up what is final and keys that are silent."""
        self._periods.settle(now_ms)
        for key, state in list(self._keys.items()):
            exchange, _ = codec.split_key(key)
            for long in list(state.open):
                if self._periods.is_over(exchange, long.end_ms):
                    self._close(long)
                    del state.open[long]
            if state.touched_ms + IDLE_MS <= now_ms:
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
            "days": len(self._periods),
            "minutes": self.minutes,
            "stale": self.stale,
            "late": self.late,
        }

    def _take_minute(
        self, exchange: str, state: _Key, taken: Taken, candle: Candle, *, is_new: bool
    ) -> None:
        values, start_ms, fields = values_of(candle), candle.timestamp, taken.fields
        if not fields.backfill:
            if self._is_another_tape(exchange, taken, candle, is_new=is_new):
                self._begin_tape(exchange, start_ms)
            passed_ms = start_ms + (MINUTE_MS if candle.closed else 0)
            self._pass(exchange, state, passed_ms, taken.now_ms)
        day = self._day(exchange, taken, candle)
        if day is None:
            self.late += 1
            return
        day.touched_ms = taken.now_ms
        if self._put(day, candle, values):
            day.received_ns = max(day.received_ns, fields.received_ns)
            self._note(exchange, state, day, start_ms)

    def _is_another_tape(
        self, exchange: str, taken: Taken, candle: Candle, *, is_new: bool
    ) -> bool:
        is_ours = taken.fields.type == DERIVED_CANDLES
        slack_ms = LATE_TAPE_MS if is_ours and candle.closed else TAPE_MS
        time_ms = candle.timestamp + slack_ms
        may_be = is_new or (is_ours and not candle.closed)
        return may_be and self._periods.is_another_tape(exchange, time_ms, taken.offset)

    def _put(self, day: Day, candle: Candle, values: Values) -> bool:
        if not candle.closed:
            return day.put_open(candle.timestamp, values)
        self.minutes += 1
        return day.put(candle.timestamp, values)

    def _note(self, exchange: str, state: _Key, day: Day, start_ms: int) -> None:
        """The longer candles that this minute lies in have changed."""
        for interval in LONGER_MS:
            long = day.long(interval, start_ms)
            self._change(long)
            is_over = self._periods.is_over(exchange, long.end_ms)
            if is_over or long.end_ms <= state.newest_ms:
                self._close(long)
            elif long.open:
                state.open[long] = None

    def _day(self, exchange: str, taken: Taken, candle: Candle) -> Day | None:
        start_ms = candle.timestamp
        day = self._periods.find(exchange, taken.key, start_ms)
        if not self._periods.accepts(exchange, start_ms):
            return None
        if day is None:
            first_ms = start_ms // DAY_MS * DAY_MS
            whole_from_ms = self._periods.kept_from_ms(exchange)
            day = Day(taken, first_ms, candle, whole_from_ms)
            self._periods.keep(exchange, taken.key, day)
        return day

    def _hear(self, exchange: str, key: bytes, candle: Candle) -> None:
        """One of our own, or of an earlier life."""
        day = self._periods.find(exchange, key, candle.timestamp)
        if day is not None and candle.interval in LONGER_MS:
            day.long(candle.interval, candle.timestamp).hear(candle)

    def _pass(self, exchange: str, state: _Key, time_ms: int, now_ms: int) -> None:
        self._periods.heard(exchange, time_ms, now_ms)
        if time_ms <= state.newest_ms:
            return
        state.newest_ms = time_ms
        for long in [long for long in state.open if long.end_ms <= time_ms]:
            self._close(long)
            del state.open[long]

    def _early(self, now_ms: int) -> list[Long]:
        if now_ms < self._next_early_ms:
            return []
        self._next_early_ms = now_ms + OPEN_PACE_MS
        return [
            long
            for long in self._unsaid
            if self._periods.is_settled(codec.split_key(long.day.key)[0], long.day, now_ms)
            and not long.contradicts()
        ]

    def _close(self, long: Long) -> None:
        if long.open:
            long.close()
            self._change(long)

    def _change(self, long: Long) -> None:
        long.changed()
        self._unsaid[long] = None

    def _begin_tape(self, exchange: str, start_ms: int) -> None:
        for day in self._periods.begin_tape(exchange, start_ms):
            for long in day.give_up():
                self._unsaid.pop(long, None)
        prefix = f"{exchange}:".encode()
        for key, state in self._keys.items():
            if key.startswith(prefix):
                state.newest_ms = 0
                state.open.clear()
