"""One capture unit while it is folded: its state, and what is computed from it often."""

from typing import NamedTuple

from marketdata.archive_layout import main_type, object_path
from marketdata.archive_ledger import Ids
from marketdata.archive_marks import MarkLine
from marketdata.archive_state import UnitState, day_count
from marketdata.times import day_bounds_ms, day_of
from marketdata.topics import CANDLES, DEPTH_SNAPSHOTS, EVENTS, MINUTE_MS, PRICES, TICKER

NO_IDS = Ids(follow=False, step=0)
OWN_IDS = Ids(follow=True, step=0)
"""Numbers of capture's own: one of them stands for whatever was lost (rule 7)."""
_BOOK_IDS = Ids(follow=True, step=1)
_TRADE_IDS = Ids(follow=True, step=1, late=True)
_CANDLE_STARTS = Ids(follow=False, step=MINUTE_MS, late=True)
_LEDGERS = Ids(follow=False, step=1, at_once=True)


class Rows(NamedTuple):
    """What one record adds to one object: `lines` lines in `data`.

    `before` is how many such lines the object has before them, None when that is unknown.
    """

    path: str
    data: bytes
    lines: int
    before: int | None


class Unit:
    """A unit, its state, and the epoch floors of its key."""

    def __init__(
        self, topic: str, name: tuple[str, str, str], state: UnitState, floors: dict[str, int]
    ) -> None:
        self.topic = topic
        self.exchange, self.ticker, self.type = name
        self.state = state
        self.floors = floors
        self.ids = ids_of(topic, self.exchange, self.type)
        self._day = ""
        self._from_ms = self._until_ms = 0
        self._paths: dict[tuple[str, bool], str] = {}

    def day_at(self, time_ms: int) -> str:
        """The exchange's own day of an event (design.md §6)."""
        if not self._from_ms <= time_ms < self._until_ms:
            self._day = day_of(time_ms, self.exchange)
            self._from_ms, self._until_ms = day_bounds_ms(self._day, self.exchange)
        return self._day

    def rows(self, day: str, data: bytes, lines: int) -> Rows:
        """Rows for the object of `day`, counted."""
        known = day_count(self.state, day)
        before = known.rows if known.whole else None
        known.rows += lines
        return Rows(self._path(day, marks=False), data, lines, before)

    def marks(self, told: list[MarkLine]) -> list[Rows]:
        """Lines for the companions, counted."""
        return [self._mark(mark) for mark in told]

    def _mark(self, mark: MarkLine) -> Rows:
        known = day_count(self.state, mark.day)
        before = known.marks if known.whole else None
        known.marks += 1
        return Rows(self._path(mark.day, marks=True), mark.data, 1, before)

    def _path(self, day: str, *, marks: bool) -> str:
        path = self._paths.get((day, marks))
        if path is None:
            if len(self._paths) > 64:
                self._paths.clear()
            path = object_path(
                self.topic, self.exchange, self.ticker, self.type, day, marks=marks
            )
            self._paths[day, marks] = path
        return path


def ids_of(topic: str, exchange: str, stream_type: str) -> Ids:
    """What the exchange's own ids of a unit show.

    A stream of snapshots skips ids by its nature, except where it is the exchange's only book.
    """
    if topic == EVENTS.name:
        return _LEDGERS
    if topic == CANDLES.name:
        return _CANDLE_STARTS
    if stream_type == DEPTH_SNAPSHOTS:
        return _BOOK_IDS if main_type(topic, exchange) == DEPTH_SNAPSHOTS else NO_IDS
    if stream_type == TICKER:
        return NO_IDS
    return _TRADE_IDS if topic == PRICES.name else _BOOK_IDS
