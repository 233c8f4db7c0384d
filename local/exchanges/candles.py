"""Candles from trades: series of seconds and minutes, longer intervals folded from minutes."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from local.exchanges.fixed_point import UNIT, units8
from local.exchanges.trades import Trade

MINUTE_MS = 60_000
_HOUR_MS = 60 * MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
# 1970-01-01 was a Thursday; weeks begin on Monday.
_WEEK_OFFSET_MS = 4 * _DAY_MS
LENGTHS_MS = {
    "1s": 1_000, "1m": MINUTE_MS, "3m": 3 * MINUTE_MS, "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS, "1h": _HOUR_MS, "2h": 2 * _HOUR_MS, "4h": 4 * _HOUR_MS,
    "6h": 6 * _HOUR_MS, "8h": 8 * _HOUR_MS, "12h": 12 * _HOUR_MS, "1d": _DAY_MS,
    "3d": 3 * _DAY_MS, "1w": 7 * _DAY_MS, "1M": 31 * _DAY_MS,
}  # fmt: skip
CANDLES_KEPT = 1_500


def window(interval: str, time_ms: int) -> tuple[int, int]:
    """Start and end (exclusive) of the interval's candle that `time_ms` falls into, UTC."""
    if interval == "1M":
        day = datetime.fromtimestamp(time_ms / 1000, UTC)
        start = datetime(day.year, day.month, 1, tzinfo=UTC)
        end = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        return int(start.timestamp()) * 1000, int(end.timestamp()) * 1000
    length = LENGTHS_MS[interval]
    offset = _WEEK_OFFSET_MS if interval == "1w" else 0
    start_ms = (time_ms - offset) // length * length + offset
    return start_ms, start_ms + length


@dataclass(slots=True)
class Candle:
    """Prices and volumes in units of 10^-8; `first_id` is -1 while there is no trade."""

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    first_id: int = -1
    last_id: int = -1
    count: int = 0
    volume: int = 0
    quote: int = 0
    taker_volume: int = 0
    taker_quote: int = 0

    def add(self, trade: Trade) -> None:
        """Take a trade."""
        price, quantity = units8(trade.price), units8(trade.quantity)
        quote = price * quantity // UNIT
        if not self.count:
            self.open = self.high = self.low = price
            self.first_id = trade.trade_id
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close, self.last_id = price, trade.trade_id
        self.count += 1
        self.volume += quantity
        self.quote += quote
        if not trade.buyer_maker:
            self.taker_volume += quantity
            self.taker_quote += quote


def folded(start_ms: int, parts: Iterable[Candle]) -> Candle | None:
    """One candle over `parts` in time order, None when there are none."""
    total: Candle | None = None
    for part in parts:
        if total is None or (not total.count and part.count):
            total = Candle(start_ms, part.open, part.high, part.low, part.close)
            total.first_id = part.first_id
        if part.count:
            total.high, total.low = max(total.high, part.high), min(total.low, part.low)
            total.last_id = part.last_id
        total.close = part.close
        total.count += part.count
        total.volume += part.volume
        total.quote += part.quote
        total.taker_volume += part.taker_volume
        total.taker_quote += part.taker_quote
    return total


class CandleSeries:
    """Consecutive candles of one length; minutes without a trade repeat the last price."""

    def __init__(self, length_ms: int, start_ms: int, price: int) -> None:
        self._length = length_ms
        begin = start_ms // length_ms * length_ms
        self.current = Candle(begin, price, price, price, price)
        self.closed: deque[Candle] = deque(maxlen=CANDLES_KEPT)

    def roll(self, now_ms: int) -> list[Candle]:
        """Close what ended at or before `now_ms`; the candles closed, oldest first."""
        done = []
        skipped = (now_ms - self.current.start_ms) // self._length - CANDLES_KEPT
        while now_ms >= self.current.start_ms + self._length:
            done.append(self.current)
            close = self.current.close
            start = self.current.start_ms + self._length
            if skipped > 0:
                start, skipped = start + skipped * self._length, 0
            self.current = Candle(start, close, close, close, close)
        self.closed.extend(done)
        return done

    def add(self, trade: Trade) -> None:
        """Take a trade of the current candle's time."""
        self.current.add(trade)

    def candle(self, interval: str, time_ms: int) -> Candle | None:
        """The interval's candle around `time_ms`, folded from what is kept of it."""
        start, end = window(interval, time_ms)
        parts = []
        for candle in chain((self.current,), reversed(self.closed)):
            if candle.start_ms < start:
                break
            if candle.start_ms < end:
                parts.append(candle)
        return folded(start, reversed(parts))

    def over(self, interval: str) -> list[Candle]:
        """The series folded to a longer interval, oldest first, the open candle last."""
        groups: dict[int, list[Candle]] = {}
        for candle in (*self.closed, self.current):
            groups.setdefault(window(interval, candle.start_ms)[0], []).append(candle)
        return [fold for start, parts in groups.items() if (fold := folded(start, parts))]
