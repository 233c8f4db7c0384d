"""One minute of one key while trades are put into it. Pure.

trade ─► seen already? ─► TradeMinute ─► its candle, open or closed
"""

from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal

from marketdata.candle_kept import Period
from marketdata.candle_periods import Said
from marketdata.candle_values import MINUTE, MINUTE_MS, Values, add, candle_of, number
from marketdata.errors import DecodeError
from marketdata.messages import Candle, PriceUpdate

MOST_IDS = 100_000
"""Texts, or ranges of numbers, that are remembered of a minute; what more comes is refused."""


class SeenIds:
    """The trade ids of one minute: numbers as ranges, texts one by one."""

    __slots__ = ("_firsts", "_lasts", "_texts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._texts: set[str] = set()

    def add(self, id_: int | str) -> bool:
        """Whether this id is new.

        Raises:
            DecodeError: there are `MOST_IDS` already.
        """
        if len(self._texts) + len(self._firsts) >= MOST_IDS:
            raise DecodeError(f"more than {MOST_IDS} trades that cannot be told apart a minute")
        if isinstance(id_, str):
            before = len(self._texts)
            self._texts.add(id_)
            return len(self._texts) > before
        return self._add_number(id_)

    def _add_number(self, id_: int) -> bool:
        firsts, lasts = self._firsts, self._lasts
        at = bisect_right(firsts, id_)
        if at and id_ <= lasts[at - 1]:
            return False
        joins_left = at > 0 and lasts[at - 1] == id_ - 1
        joins_right = at < len(firsts) and firsts[at] == id_ + 1
        if joins_left and joins_right:
            lasts[at - 1] = lasts.pop(at)
            del firsts[at]
        elif joins_left:
            lasts[at - 1] = id_
        elif joins_right:
            firsts[at] = id_
        else:
            firsts.insert(at, id_)
            lasts.insert(at, id_)
        return True


class TradeMinute(Period):
    """The trades of one minute, and what was last written of it (`told`)."""

    __slots__ = (
        "_first",
        "_high",
        "_ids",
        "_last",
        "_low",
        "_pair",
        "_received_ns",
        "_source",
        "_told_ms",
        "_values",
        "key",
        "told",
    )

    def __init__(self, key: bytes, start_ms: int, offset: int) -> None:
        super().__init__(start_ms, start_ms + MINUTE_MS, offset)
        self.key = key
        self.told: Candle | None = None
        self._ids = SeenIds()
        self._values: Values | None = None
        self._first = self._last = (0, 0)
        self._high = self._low = Decimal(0)
        self._pair = self._source = ""
        self._received_ns = 0
        self._told_ms: int | None = None

    def add(self, trade: PriceUpdate, event_ms: int, offset: int, received_ns: int) -> bool:
        """Whether the trade was not there yet.

        Raises:
            DecodeError: its price or quantity is no number; nothing was taken.
        """
        text, price = number(trade.price)
        quantity = number(trade.quantity)[1]
        id_ = trade.trade_id
        if not self._ids.add(id_):
            return False
        place = (id_, 0) if isinstance(id_, int) else (event_ms, offset)
        self._pair, self._source = trade.symbol, trade.source
        self._received_ns = max(received_ns, self._received_ns)
        self._count(place, text, price, quantity)
        return True

    def is_due(self, now_ms: int, pace_ms: int) -> bool:
        """Whether it may be written now: at its close at once, else at this pace."""
        if self.told is None or self._told_ms is None:
            return True
        closes = not self.open and not self.told.closed
        return closes or self._told_ms + pace_ms <= now_ms

    def contradicts(self) -> bool:
        """Whether an earlier life closed it otherwise."""
        return self._was_closed() and self.told != self._candle()

    def say(self, now_ms: int) -> Iterator[Said]:
        """Its candle, unless that was written as it is."""
        self.unsaid = 0
        if self._was_closed():
            self.open = False  # an earlier life has heard what passed its end
        candle = self._candle()
        if candle is None or candle == self.told:
            return
        self.told, self._told_ms = candle, now_ms
        self.pending += 1
        yield Said(self.key, candle, self.start_ms, self._received_ns, self.acked)

    def _count(
        self, place: tuple[int, int], text: str, price: Decimal, quantity: Decimal
    ) -> None:
        now = self._values
        if now is None:
            self._values = Values(text, text, text, text, quantity)
            self._first = self._last = place
            self._high = self._low = price
            return
        opened, high, low, close, volume = now
        if place < self._first:
            self._first, opened = place, text
        if place > self._last:
            self._last, close = place, text
        if price > self._high:
            self._high, high = price, text
        if price < self._low:
            self._low, low = price, text
        self._values = Values(opened, high, low, close, add(volume, quantity))

    def _was_closed(self) -> bool:
        """Whether an earlier life closed it, and this one has written nothing of it."""
        return self._told_ms is None and self.told is not None and self.told.closed

    def _candle(self) -> Candle | None:
        if self._values is None:
            return None
        return candle_of(
            self._values,
            pair=self._pair,
            source=self._source,
            interval=MINUTE,
            start_ms=self.start_ms,
            closed=not self.open,
        )
