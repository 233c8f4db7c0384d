"""Which minutes or days a fold of candles keeps, and how far it is done (rule 27). Pure.

records ─► find, heard ─► settle: what is old and sent is final ─► done_below, mark

A fold that begins again reads from `done_below` and is given `mark`. Of each exchange the mark
has the time from which on periods are kept: one that starts before it is final and is never
written again; one that does not has all its records from `done_below` on. So a candle is
never made of a part of its records.

An exchange that falls silent does not hold `done_below` back for ever: what is kept of it is
let go of after `SILENT_MS` (`candle_kept`).
"""

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple

import msgspec

from marketdata.candle_kept import LATE_MS, Kept, P
from marketdata.codec import HeaderFields, Headers
from marketdata.messages import Candle, Watermark

_READ = ""
"""In a mark, where the exchanges have their names: all below this offset has been read."""


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


class Periods(Generic[P]):
    """The periods of one partition.

    `mark` is what `Periods.mark` gave with the offset that is begun from. `is_cut`: records
    before that offset are gone, so that the first minute heard of is not whole.
    """

    def __init__(self, length_ms: int, mark: str = "", *, is_cut: bool = False) -> None:
        self._length_ms = length_ms
        self._is_cut = is_cut
        self._exchanges: dict[str, Kept[P]] = {}
        told = _read_mark(mark)
        self._read_before = self._read = told.pop(_READ, 0)
        for name, kept_from_ms in told.items():
            self._exchanges[name] = Kept(kept_from_ms, is_cut=is_cut)

    def __len__(self) -> int:
        return sum(len(one.periods) for one in self._exchanges.values())

    def read(self, offset: int) -> None:
        """The record at this offset is taken."""
        self._read = max(self._read, offset + 1)

    def heard(self, name: str, time_ms: int, now_ms: int) -> None:
        """The exchange's time is at least this."""
        self._exchange(name).hear(time_ms, now_ms)

    def is_another_tape(self, name: str, time_ms: int, offset: int) -> bool:
        """Whether what a new process says now is older than anything that may come late."""
        one = self._exchange(name)
        known_ms = one.newest_ms
        if known_ms is None and offset >= self._read_before:
            known_ms = one.kept_from_ms
        return known_ms is not None and time_ms < known_ms - LATE_MS

    def begin_tape(self, name: str, time_ms: int) -> list[P]:
        """Time has gone back (a replay): all that is kept is as it will be, and returned."""
        return self._exchange(name).begin_tape(self._start(time_ms), time_ms)

    def kept_from_ms(self, name: str) -> int:
        """What starts before is final, or cannot be whole."""
        return self._exchange(name).kept_from_ms or 0

    def accepts(self, name: str, start_ms: int) -> bool:
        """Whether a candle that starts then is not final and can be whole."""
        return self._exchange(name).accepts(start_ms)

    def find(self, name: str, key: bytes, time_ms: int) -> P | None:
        """The key's period at this time, where it is kept."""
        return self._exchange(name).periods.get((key, self._start(time_ms)))

    def keep(self, name: str, key: bytes, period: P) -> None:
        """Keeps a new period."""
        self._exchange(name).periods[key, period.start_ms] = period

    def over(self) -> Iterator[P]:
        """Open periods whose end is so long past that nobody will say so any more."""
        for one in self._exchanges.values():
            yield from (p for p in one.periods.values() if p.open and one.is_over(p.end_ms))

    def is_over(self, name: str, end_ms: int) -> bool:
        """Whether this end is so long past, by the exchange's time."""
        return self._exchange(name).is_over(end_ms)

    def is_settled(self, name: str, period: P, now_ms: int) -> bool:
        """Whether it is over and quiet: all that there is of it has been read, it seems."""
        return period.is_quiet(now_ms) and self.is_over(name, period.end_ms)

    def settle(self, now_ms: int) -> None:
        """Gives up what is old, written and quiet; it is final from now on."""
        for one in self._exchanges.values():
            newest_ms = one.newest_ms
            until_ms = None if newest_ms is None else self._start(newest_ms - LATE_MS)
            one.settle(until_ms, now_ms)

    def done_below(self, next_offset: int) -> int:
        """Everything below this offset is written and durable, or final."""
        return min(
            (p.first_offset for one in self._exchanges.values() for p in one.held()),
            default=next_offset,
        )

    def mark(self) -> str:
        """What a fold that begins at `done_below` must be given."""
        told = {_READ: self._read}
        for name, one in self._exchanges.items():
            final_ms = one.final_ms()
            if final_ms is not None:
                told[name] = final_ms
        return msgspec.json.encode(told).decode()

    def _exchange(self, name: str) -> Kept[P]:
        one = self._exchanges.get(name)
        if one is None:
            one = self._exchanges[name] = Kept(None, is_cut=self._is_cut)
        return one

    def _start(self, time_ms: int) -> int:
        return time_ms // self._length_ms * self._length_ms


def _read_mark(mark: str) -> dict[str, int]:
    try:
        return msgspec.json.decode(mark, type=dict[str, int]) if mark else {}
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
