"""Which minutes or days a fold of candles keeps, and how far it is done (rule 27). Pure.

records ─► find, heard ─► settle: what is old and sent is final ─► done_below, mark

A fold that begins again reads from `done_below` and is given `mark`. Of each exchange the mark
has the time from which on periods are kept: one that starts before it is final and is never
written again; one that does not has all its records from `done_below` on. So a candle is
never made of a part of its records.
"""

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

import msgspec

from marketdata.codec import HeaderFields, Headers
from marketdata.messages import Candle, Watermark

LATE_MS = 3_600_000
"""How long after its end, by the exchange's time, what comes late still corrects a candle."""

QUIET_MS = 60_000
"""A period is kept while something came to it within so much of our time: a long backfill."""

HISTORY_MS = 120_000
"""Of our time: so long after an exchange was first heard of, its past may still come."""


class Taken(NamedTuple):
    """A record of a partition; `fields` are its headers, `now_ms` is when it was taken."""

    key: bytes
    fields: HeaderFields
    value: bytes
    offset: int
    now_ms: int
    headers: Headers


class Said(NamedTuple):
    """A record to be written now; `acked` is to be called once it is durable."""

    key: bytes
    message: Candle | Watermark
    id: int
    received_ns: int
    acked: Callable[[], None]


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


P = TypeVar("P", bound=Period)


class _Exchange(Generic[P]):
    """What is known of one exchange in this partition."""

    def __init__(self, kept_from_ms: int | None, *, is_cut: bool) -> None:
        self.kept_from_ms = kept_from_ms
        self.is_cut = is_cut and kept_from_ms is None
        self.newest_ms: int | None = None
        self.heard_ms = 0
        self.periods: dict[tuple[bytes, int], P] = {}
        # Another tape has begun at this offset; before it the mark was this.
        self.tape: tuple[int, int | None] | None = None

    def drop_other_tape(self) -> None:
        """What is older than the tape, once it is written."""
        if self.tape is not None:
            began = self.tape[0]
            self._drop(lambda p: p.first_offset < began and not p.unsaid and not p.pending)

    def drop_silent(self, now_ms: int, silent_ms: int) -> None:
        """Nobody speaks of the exchange any more: an open candle stays as it was written."""
        if any(p.pending or p.touched_ms + silent_ms > now_ms for p in self.periods.values()):
            return
        ends = [p.end_ms for p in self.periods.values()]
        if ends:
            self.kept_from_ms = max(*ends, self.kept_from_ms or 0)
            self.periods.clear()

    def drop_before(self, until_ms: int, now_ms: int) -> None:
        """What starts before this, or before the first period that is still busy."""
        busy = [p.start_ms for p in self.periods.values() if _is_busy(p, now_ms)]
        until_ms = min([until_ms, *busy])
        self._drop(lambda p: p.start_ms < until_ms)
        if self.kept_from_ms is None or until_ms > self.kept_from_ms:
            self.kept_from_ms = until_ms

    def _drop(self, is_final: Callable[[P], bool]) -> None:
        for place in [place for place, p in self.periods.items() if is_final(p)]:
            del self.periods[place]


class Periods(Generic[P]):
    """The periods of one partition.

    `mark` is what `Periods.mark` gave with the offset that is begun from. `is_cut`: records
    before that offset are gone, so that the first minute heard of is not whole.
    """

    def __init__(self, length_ms: int, mark: str = "", *, is_cut: bool = False) -> None:
        self._length_ms = length_ms
        self._is_cut = is_cut
        self._exchanges: dict[str, _Exchange[P]] = {}
        for name, kept_from_ms in _read_mark(mark).items():
            self._exchanges[name] = _Exchange(kept_from_ms, is_cut=is_cut)

    def __len__(self) -> int:
        return sum(len(one.periods) for one in self._exchanges.values())

    def heard(self, name: str, time_ms: int, now_ms: int) -> None:
        """The exchange's time is at least this."""
        one = self._exchange(name)
        if one.newest_ms is None:
            one.newest_ms, one.heard_ms = time_ms, now_ms
            if one.is_cut:
                one.kept_from_ms = time_ms // 60_000 * 60_000 + 60_000
        one.newest_ms = max(one.newest_ms, time_ms)

    def is_another_tape(self, name: str, time_ms: int) -> bool:
        """Whether what a new process says now is older than anything that may come late."""
        one = self._exchange(name)
        known_ms = one.kept_from_ms if one.newest_ms is None else one.newest_ms
        return known_ms is not None and time_ms < known_ms - LATE_MS

    def begin_tape(self, name: str, time_ms: int, offset: int) -> list[P]:
        """Time has gone back (a replay): all that is kept is as it will be, and returned."""
        one = self._exchange(name)
        if one.tape is None:
            one.tape = offset, one.kept_from_ms
        else:
            one.tape = offset, one.tape[1]
        one.kept_from_ms = time_ms // self._length_ms * self._length_ms
        one.newest_ms = time_ms
        return list(one.periods.values())

    def kept_from_ms(self, name: str) -> int:
        """What starts before is final, or cannot be whole."""
        return self._exchange(name).kept_from_ms or 0

    def accepts(self, name: str, start_ms: int) -> bool:
        """Whether a candle that starts then is not final and can be whole."""
        return start_ms >= self.kept_from_ms(name)

    def find(self, name: str, key: bytes, time_ms: int) -> P | None:
        """The key's period at this time, where it is kept."""
        return self._exchange(name).periods.get((key, self._start(time_ms)))

    def keep(self, name: str, key: bytes, period: P) -> None:
        """Keeps a new period."""
        self._exchange(name).periods[key, period.start_ms] = period

    def over(self) -> Iterator[P]:
        """Open periods whose end is so long past that nobody will say so any more."""
        for one in self._exchanges.values():
            if one.newest_ms is None:
                continue
            limit_ms = one.newest_ms - LATE_MS
            yield from (p for p in one.periods.values() if p.open and p.end_ms <= limit_ms)

    def settle(self, now_ms: int) -> None:
        """Gives up what is old, written and quiet; it is final from now on."""
        for one in self._exchanges.values():
            if one.newest_ms is None:
                continue
            one.drop_other_tape()
            one.drop_silent(now_ms, self._length_ms + LATE_MS)
            if now_ms - one.heard_ms >= HISTORY_MS:
                one.drop_before(self._start(one.newest_ms - LATE_MS), now_ms)

    def done_below(self, next_offset: int) -> int:
        """Everything below this offset is written and durable, or final."""
        return min(
            (p.first_offset for one in self._exchanges.values() for p in one.periods.values()),
            default=next_offset,
        )

    def mark(self) -> str:
        """What a fold that begins at `done_below` must be given."""
        told = {}
        for name, one in self._exchanges.items():
            kept_from_ms = one.kept_from_ms
            if one.tape is not None:
                began, before_ms = one.tape
                if any(p.first_offset < began for p in one.periods.values()):
                    kept_from_ms = before_ms
                else:
                    one.tape = None
            if kept_from_ms is not None:
                told[name] = kept_from_ms
        return msgspec.json.encode(told).decode()

    def _exchange(self, name: str) -> "_Exchange[P]":
        one = self._exchanges.get(name)
        if one is None:
            one = self._exchanges[name] = _Exchange(None, is_cut=self._is_cut)
        return one

    def _start(self, time_ms: int) -> int:
        return time_ms // self._length_ms * self._length_ms


def _is_busy(period: Period, now_ms: int) -> bool:
    return bool(
        period.unsaid or period.pending or period.open or period.touched_ms + QUIET_MS > now_ms
    )


def _read_mark(mark: str) -> dict[str, int]:
    try:
        return msgspec.json.decode(mark, type=dict[str, int]) if mark else {}
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
