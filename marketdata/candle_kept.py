"""The minutes or days that are kept of one exchange, and which of them are final. Pure.

Period, Period, … ─► Kept ─► dropped once old, written and quiet; let go of in a silence
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

from marketdata.times import DAY_MS

LATE_MS = 3_600_000
"""How long after its end, by the exchange's time, what comes late still corrects a candle."""

QUIET_MS = 60_000
"""A period is kept while something came to it within so much of our time: a long backfill."""

HISTORY_MS = 120_000
"""Of our time: so long after an exchange is heard of, at first or after `LATE_MS` of its own
time in which it was not, its past may still come."""

SILENT_MS = DAY_MS + LATE_MS
"""Of our time: a period to which nothing came for so long may be let go of."""


class Period:
    """A minute or a day of one key while it is kept.

    `unsaid` counts its candles that have changed since they were written; `open` says that one
    of them is not closed.
    """

    __slots__ = (
        "end_ms",
        "first_offset",
        "open",
        "pending",
        "start_ms",
        "touched_ms",
        "unsaid",
    )

    def __init__(self, start_ms: int, end_ms: int, offset: int) -> None:
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.first_offset = offset
        self.pending = self.unsaid = 0
        self.touched_ms = 0
        self.open = True

    def acked(self) -> None:
        """One of its records is durable."""
        self.pending -= 1

    def is_written(self) -> bool:
        """Whether all that came to it is said and durable."""
        return not self.unsaid and not self.pending

    def is_quiet(self, now_ms: int, for_ms: int = QUIET_MS) -> bool:
        """Whether nothing has come to it for so long."""
        return self.touched_ms + for_ms <= now_ms

    def is_busy(self, now_ms: int) -> bool:
        """Whether it has to be kept however old it is."""
        return self.open or not self.is_written() or not self.is_quiet(now_ms)


P = TypeVar("P", bound=Period)


class Kept(Generic[P]):
    """What is known of one exchange in a partition, and the periods by key and start.

    What starts before `kept_from_ms` is final; before `let_go_ms` it still takes what comes
    late, but is final for a fold that begins again.
    """

    def __init__(self, kept_from_ms: int | None, *, is_cut: bool) -> None:
        self.kept_from_ms = kept_from_ms
        self.is_cut = is_cut and kept_from_ms is None
        self.newest_ms: int | None = None
        self.heard_ms = self.let_go_ms = 0
        self.periods: dict[tuple[bytes, int], P] = {}
        # Of the tape before this one, until it is written; what was final when it ended.
        self.before: list[P] = []
        self.before_ms: int | None = None

    def hear(self, time_ms: int, now_ms: int) -> None:
        """Its time is at least this."""
        if self.newest_ms is None:
            self.newest_ms, self.heard_ms = time_ms, now_ms
            if self.is_cut:
                self.kept_from_ms = time_ms // 60_000 * 60_000 + 60_000
        if time_ms > self.newest_ms + LATE_MS:
            self.heard_ms = now_ms
        self.newest_ms = max(self.newest_ms, time_ms)

    def accepts(self, start_ms: int) -> bool:
        """Whether what starts then is not final and can be whole."""
        if self.kept_from_ms is None:
            return not self.is_cut
        return start_ms >= self.kept_from_ms

    def is_over(self, end_ms: int) -> bool:
        """Whether this is past for so long that nothing follows any more."""
        return self.newest_ms is not None and end_ms <= self.newest_ms - LATE_MS

    def held(self) -> Iterator[P]:
        """What a fold that begins again makes anew."""
        yield from self.before
        yield from (p for p in self.periods.values() if p.start_ms >= self.let_go_ms)

    def final_ms(self) -> int | None:
        """What starts before is final for a fold that begins again."""
        if self.before:
            return self.before_ms
        return max(self.kept_from_ms or 0, self.let_go_ms) or None

    def begin_tape(self, start_ms: int, time_ms: int) -> list[P]:
        """Time begins anew; gives what is kept of the tape before."""
        ended = list(self.periods.values())
        self.before_ms, self.before = self.final_ms(), list(self.held())
        self.periods.clear()
        self.kept_from_ms, self.let_go_ms = start_ms, 0
        self.newest_ms = time_ms
        return ended

    def settle(self, until_ms: int | None, now_ms: int) -> None:
        """Gives up what is written of the tape before, and what starts before `until_ms`."""
        self.before = [p for p in self.before if not p.is_written()]
        if all(p.is_written() and p.is_quiet(now_ms, SILENT_MS) for p in self.periods.values()):
            ends = [p.end_ms for p in self.periods.values()]
            self.let_go_ms = max([self.let_go_ms, *ends])
        if until_ms is not None and now_ms - self.heard_ms >= HISTORY_MS:
            self._drop_before(until_ms, now_ms)

    def _drop_before(self, until_ms: int, now_ms: int) -> None:
        """Or before the first period that is still busy."""
        busy = [p.start_ms for p in self.periods.values() if p.is_busy(now_ms)]
        until_ms = min([until_ms, *busy])
        for place in [place for place, p in self.periods.items() if p.start_ms < until_ms]:
            del self.periods[place]
        if self.kept_from_ms is None or until_ms > self.kept_from_ms:
            self.kept_from_ms = until_ms
