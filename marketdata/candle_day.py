"""One UTC day of one key: its minutes, and the longer candles that are made of them. Pure.

closed minutes, the open one ─► Day ─► Long, one an interval and start ─► its candle
"""

from collections.abc import Iterable, Iterator

from marketdata.candle_kept import Period
from marketdata.candle_periods import Said, Taken
from marketdata.candle_values import LONGER_MS, MINUTE_MS, Values, candle_of, joined
from marketdata.messages import Candle
from marketdata.times import DAY_MS


class Day(Period):
    """The minutes of one day, at most 1,440.

    A longer candle that starts before `whole_from_ms` would lack minutes and is never said.
    """

    __slots__ = (
        "_longs",
        "key",
        "minutes",
        "open_minute",
        "pair",
        "received_ns",
        "source",
        "whole_from_ms",
    )

    def __init__(self, taken: Taken, start_ms: int, first: Candle, whole_from_ms: int) -> None:
        super().__init__(start_ms, start_ms + DAY_MS, taken.offset)
        self.key = taken.key
        self.pair = first.pair
        self.source = first.source
        self.whole_from_ms = whole_from_ms
        self.minutes: dict[int, Values] = {}
        self.open_minute: tuple[int, Values] | None = None
        self.received_ns = 0
        self._longs: dict[tuple[str, int], Long] = {}

    def put(self, start_ms: int, values: Values) -> bool:
        """A closed minute; whether that changes anything."""
        before = self.minutes.get(start_ms)
        if before == values:
            return False
        self.minutes[start_ms] = values
        for interval in LONGER_MS:
            self.long(interval, start_ms).put(start_ms, values, is_first=before is None)
        return True

    def put_open(self, start_ms: int, values: Values) -> bool:
        """The minute that is still open; whether that changes anything."""
        if start_ms in self.minutes or (self.open_minute or (0,))[0] > start_ms:
            return False
        before, self.open_minute = self.open_minute, (start_ms, values)
        return before != self.open_minute

    def long(self, interval: str, time_ms: int) -> "Long":
        """The longer candle that this time lies in."""
        length_ms = LONGER_MS[interval]
        start_ms = time_ms // length_ms * length_ms
        long = self._longs.get((interval, start_ms))
        if long is None:
            long = self._longs[interval, start_ms] = Long(self, interval, start_ms, length_ms)
        return long

    def longs(self) -> Iterable["Long"]:
        """All of them."""
        return list(self._longs.values())

    def closed_one(self) -> None:
        """One of them has closed."""
        self.open = any(long.open for long in self._longs.values())

    def give_up(self) -> list["Long"]:
        """Leaves what is open as it was written; gives these."""
        left = [long for long in self._longs.values() if long.open]
        for long in left:
            long.give_up()
        self.open = False
        return left


class Long:
    """A longer candle while its day is kept, and what was last written of it."""

    __slots__ = (
        "_closed",
        "_is_unsaid",
        "_last_ms",
        "_told",
        "_told_ms",
        "day",
        "end_ms",
        "interval",
        "open",
        "start_ms",
    )

    def __init__(self, day: Day, interval: str, start_ms: int, length_ms: int) -> None:
        self.day = day
        self.interval = interval
        self.start_ms = start_ms
        self.end_ms = start_ms + length_ms
        self.open = True
        # What the minutes up to `_last_ms` make; None: to be made anew.
        self._closed: Values | None = None
        self._last_ms = -1
        self._is_unsaid = False
        self._told: Candle | None = None
        self._told_ms: int | None = None

    def put(self, start_ms: int, values: Values, *, is_first: bool) -> None:
        """One of its minutes has closed, or was corrected."""
        if self._last_ms < 0:
            self._closed, self._last_ms = values, start_ms
        elif is_first and start_ms > self._last_ms and self._closed is not None:
            self._closed, self._last_ms = joined(self._closed, values), start_ms
        else:
            self._closed, self._last_ms = None, max(self._last_ms, start_ms)

    def close(self) -> None:
        """Its end has passed."""
        self.open = False
        self.day.closed_one()

    def give_up(self) -> None:
        """It will not be written any more."""
        self.open = False
        self.day.unsaid -= self._is_unsaid
        self._is_unsaid = False

    def changed(self) -> None:
        """It has to be written."""
        if not self._is_unsaid:
            self._is_unsaid = True
            self.day.unsaid += 1

    def hear(self, candle: Candle) -> None:
        """An earlier life wrote this of it."""
        if self._told_ms is None:
            self._told = candle

    def is_due(self, now_ms: int, pace_ms: int) -> bool:
        """Whether it may be written now: at its close at once, else at this pace."""
        if self._told_ms is None or self._told is None:
            return True
        closes = not self.open and not self._told.closed
        return closes or self._told_ms + pace_ms <= now_ms

    def contradicts(self) -> bool:
        """Whether an earlier life closed it otherwise."""
        return self._was_closed() and self._told != self._candle()

    def say(self, now_ms: int) -> Iterator[Said]:
        """Its candle, unless that was written as it is or has no minute."""
        self._is_unsaid = False
        self.day.unsaid -= 1
        if self._was_closed():
            self.close()  # an earlier life has heard what passed its end
        candle = self._candle()
        if candle is None or candle == self._told:
            return
        self._told, self._told_ms = candle, now_ms
        self.day.pending += 1
        yield Said(self.day.key, candle, self.start_ms, self.day.received_ns, self.day.acked)

    def _was_closed(self) -> bool:
        """Whether an earlier life closed it, and this one has written nothing of it."""
        return self._told_ms is None and self._told is not None and self._told.closed

    def _candle(self) -> Candle | None:
        values, day = self._values(), self.day
        if values is None or self.start_ms < day.whole_from_ms:
            return None
        return candle_of(
            values,
            pair=day.pair,
            source=day.source,
            interval=self.interval,
            start_ms=self.start_ms,
            closed=not self.open,
        )

    def _values(self) -> Values | None:
        if self._closed is None and self._last_ms >= 0:
            self._closed = self._made_anew()
        minute = self.day.open_minute
        is_growing = minute is not None and self.open and self._has(minute[0])
        if minute is None or not is_growing or minute[0] <= self._last_ms:
            return self._closed
        return minute[1] if self._closed is None else joined(self._closed, minute[1])

    def _has(self, start_ms: int) -> bool:
        return self.start_ms <= start_ms < self.end_ms

    def _made_anew(self) -> Values | None:
        made: Values | None = None
        for start_ms in range(self.start_ms, self.end_ms, MINUTE_MS):
            values = self.day.minutes.get(start_ms)
            if values is not None:
                made = values if made is None else joined(made, values)
        return made
