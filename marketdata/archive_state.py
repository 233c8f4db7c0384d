"""What the archive's fold remembers of one partition; it is written as JSON (rule 12).

Pure and complete: a fold that goes on from a state gives the rows that an undisturbed one
gives. Everything in it is bounded.
"""

from collections.abc import Iterator

import msgspec

from marketdata.messages import Cause
from marketdata.times import day_of
from marketdata.topics import MINUTE_MS

CLOSING_MS = 5 * MINUTE_MS
"""How long after a day's end a watermark must be to close it (rule 17)."""
DAYS_KEPT = 400
QUEUES_KEPT = 256


class DayCount(msgspec.Struct, array_like=True):
    """How many rows and mark lines a day has; not `whole` where its beginning is unknown."""

    rows: int = 0
    marks: int = 0
    whole: bool = True


class Hole(msgspec.Struct, omit_defaults=True):
    """Something is missing and the record after it has not come yet.

    `since` and `until` are times as in the rows, empty when unknown. `announced`: an `open`
    line was written. `by_ids`: only a jump in the ids makes it real. `ids` are those of the
    record, for units whose ids show no jump; `told` is the last id that the record names.
    """

    cause: Cause
    since: str = ""
    until: str = ""
    announced: bool = False
    by_ids: bool = False
    ids: tuple[int | None, int | None] = (None, None)
    told: int | None = None


class Wanted(msgspec.Struct, array_like=True):
    """Ids that were told missing and may come late, both in; `day` is that of the `gap` line.

    `series` tells candles of different lengths apart. The `cause` of what was before a series
    began is `HISTORY`, and its `day` is empty.
    """

    first: int
    last: int
    cause: str
    day: str
    series: str = ""


class LateRun(msgspec.Struct, array_like=True):
    """Late rows one after the other in a day's object, of which no line is written yet."""

    day: str
    row: int | None
    rows: int
    first: int | str
    last: int | str
    cause: str
    since: str
    until: str


class LedgerDay(msgspec.Struct, array_like=True):
    """What `marketdata.completeness` tells of one day (docs/completeness.md).

    `missing` ids were told by the day's gaps and have not come, `backfilled` ones came later;
    `unnumbered` gaps do not say how many ids. `first` and `last` are times of events, as in
    the rows. Not `whole` where the day began before anybody counted.
    """

    events: int = 0
    gaps: int = 0
    missing: int = 0
    unnumbered: int = 0
    backfilled: int = 0
    history: int = 0
    uncovered_ms: int = 0
    first: str = ""
    last: str = ""
    causes: dict[str, int] = msgspec.field(default_factory=dict)
    whole: bool = True


HISTORY = "history"


class UnitState(msgspec.Struct, omit_defaults=True):
    """One (exchange, ticker, type).

    `last` is the last id, `last_time` the time of the last row, `epoch` that of the record
    which gave it. `snapshot` is the id, time and side of the last snapshot. `candles` has the
    last start a source and interval. Of the days, the `DAYS_KEPT` last touched are known;
    what returns that is not after `forgotten` has an unknown number of rows.

    `recent` are the last ids that tell only repeats. `wanted` and `run` are of what comes late
    (`marketdata.archive_late`); `ledger`, `began`, `uncounted` and `uncovered` of
    what is counted (`marketdata.archive_ledger`).
    """

    last: int | str | None = None
    last_time: str = ""
    epoch: int = 0
    snapshot: tuple[int, int, str] | None = None
    hole: Hole | None = None
    candles: dict[str, int] = msgspec.field(default_factory=dict)
    watermark: int = 0
    days: dict[str, DayCount] = msgspec.field(default_factory=dict)
    forgotten: str = ""
    recent: list[str] = msgspec.field(default_factory=list)
    wanted: list[Wanted] = msgspec.field(default_factory=list)
    run: LateRun | None = None
    ledger: dict[str, LedgerDay] = msgspec.field(default_factory=dict)
    began: str = ""
    uncounted: str = ""
    uncovered: list[tuple[int, int]] = msgspec.field(default_factory=list)


class PartitionState(msgspec.Struct, omit_defaults=True):
    """All units of a partition by `exchange:ticker type`, and the epoch floors (rule 11).

    `floors` has the highest epoch seen by `exchange:ticker` and queue. `truncated`: the fold
    began where retention had already taken records away.
    """

    units: dict[str, UnitState] = msgspec.field(default_factory=dict)
    floors: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    truncated: bool = False


def day_count(unit: UnitState, day: str) -> DayCount:
    """The counts of a day, which becomes the last touched one."""
    count = unit.days.pop(day, None)
    if count is None:
        count = DayCount(whole=day > unit.forgotten)
    unit.days[day] = count
    while len(unit.days) > DAYS_KEPT:
        oldest = next(iter(unit.days))
        del unit.days[oldest]
        unit.forgotten = max(unit.forgotten, oldest)
    return count


def raise_floor(floors: dict[str, int], queue_id: str, epoch: int) -> bool:
    """Whether a record of this queue and epoch is not stale; remembers the highest epoch."""
    floor = floors.get(queue_id)
    if floor is not None and epoch <= floor:
        return epoch == floor
    floors.pop(queue_id, None)
    floors[queue_id] = epoch
    if len(floors) > QUEUES_KEPT:
        del floors[next(iter(floors))]
    return True


def closed_days(unit: UnitState, exchange: str) -> Iterator[str]:
    """The days that a watermark has closed (rule 17)."""
    if unit.watermark < CLOSING_MS:
        return
    running = day_of(unit.watermark - CLOSING_MS, exchange)
    yield from (day for day in unit.days if day < running)


def split_unit(name: str) -> tuple[str, str, str]:
    """The exchange, ticker and type of a unit's name in the state."""
    key, _, stream_type = name.rpartition(" ")
    exchange, _, ticker = key.partition(":")
    return exchange, ticker, stream_type


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(PartitionState)


def encode_state(state: PartitionState) -> bytes:
    """The state as it is now."""
    return _encoder.encode(state)


def decode_state(raw: bytes) -> PartitionState:
    """The inverse of `encode_state`. Raises msgspec.DecodeError."""
    return _decoder.decode(raw)
