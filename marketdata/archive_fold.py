"""The archive's one function: the records of a partition, in order, become rows (rule 12).

    state, record ─► rows for objects, state

Nothing else decides what an object holds: no clock, no flush, no number of archivers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from marketdata.archive_following import NO_ROWS
from marketdata.archive_layout import main_type, object_path
from marketdata.archive_ledger import begin_counting
from marketdata.archive_readers import READERS
from marketdata.archive_state import (
    Hole,
    PartitionState,
    UnitState,
    closed_days,
    raise_floor,
    split_unit,
)
from marketdata.archive_unit import Rows, Unit, ids_of
from marketdata.codec import HeaderFields, parse_headers, split_key
from marketdata.errors import DecodeError
from marketdata.topics import UNARCHIVED

__all__ = ["ArchiveFold", "Headers", "Rows"]

Headers = Sequence[tuple[str, bytes | None]] | None

_STABLE = ("type", "queue_id", "epoch")
_CHANGING = 6
"""From here on headers are of a unit again: `ids` and `backfill`."""
_MOST_HEADERS = 8
_IDENTITIES_KEPT = 10_000


class _Sender(NamedTuple):
    unit: Unit
    queue_id: str
    epoch: int
    ours: bool
    late: bool


class ArchiveFold:
    """Folds the records of one partition of `topic`.

    `state` is taken over and always is what all records so far have made of it. The same
    state and the same records give the same rows, wherever the sequence is cut in two.
    """

    def __init__(self, topic: str, state: PartitionState) -> None:
        self.topic = topic
        self.state = state
        self.poisoned = 0
        """Records passed over because they are not what their topic says."""
        self._read = READERS[topic]
        self._units: dict[str, Unit] = {}
        self._known: dict[object, _Sender | None] = {}

    def fold(self, key: bytes | None, headers: Headers, value: bytes) -> list[Rows]:
        """What this record adds to which objects, in the order of writing.

        Stale records (rule 11), repeats, and what does not decode give no rows.
        """
        try:
            sender = self._identify(key, headers)
            if sender is None:
                return NO_ROWS
            unit, queue_id, epoch, ours, late = sender
            if not raise_floor(unit.floors, queue_id, epoch):
                return NO_ROWS
            return self._read(unit, epoch, value, ours=ours, late=late)
        except DecodeError:
            self.poisoned += 1
            return NO_ROWS

    def lose(self) -> None:
        """Retention took records before the next one (rule 12).

        Each unit gets a gap with cause `retention` when its next record shows that something
        is missing, or cannot show it.
        """
        for name, unit in self.state.units.items():
            if unit.hole is None and unit.last_time:
                sequential = isinstance(unit.last, int) and not self._skips_ids(name)
                unit.hole = Hole("retention", unit.last_time, by_ids=sequential)

    def closed(self) -> Iterator[str]:
        """The paths of the objects whose day a watermark has closed (rule 17)."""
        for name, unit in self.state.units.items():
            exchange, ticker, stream_type = split_unit(name)
            for day in closed_days(unit, exchange):
                if unit.days[day].rows:
                    yield object_path(self.topic, exchange, ticker, stream_type, day)

    def _identify(self, key: bytes | None, headers: Headers) -> _Sender | None:
        """Whose record it is, None for one that is derived; what a unit's share is cached."""
        # Our own codec puts type, queue_id and epoch first; then id, received_ns and time;
        # then, where they apply, `ids` and `backfill`.
        identity: object = None
        if headers and _CHANGING <= len(headers) <= _MOST_HEADERS:
            identity = (key, *headers[:3], *headers[_CHANGING:])
            if identity in self._known:
                return self._known[identity]
        fields = parse_headers(headers)
        found = None
        if fields.type not in UNARCHIVED:
            found = _Sender(
                self._unit(key, fields),
                fields.queue_id,
                fields.epoch,
                fields.ids == "ours",
                fields.backfill,
            )
        if headers and identity and tuple(name for name, _ in headers[:3]) == _STABLE:
            if len(self._known) >= _IDENTITIES_KEPT:
                self._known.clear()
            self._known[identity] = found
        return found

    def _unit(self, key: bytes | None, fields: HeaderFields) -> Unit:
        exchange, ticker = split_key(key)
        stream_type = fields.type or main_type(self.topic, exchange)
        name = f"{exchange}:{ticker} {stream_type}"
        unit = self._units.get(name)
        if unit is None:
            state = self.state.units.get(name)
            if state is None:
                state = UnitState()
                if self.state.truncated:
                    state.hole = Hole("retention", by_ids=True)
                self.state.units[name] = state
            begin_counting(state)
            floors = self.state.floors.setdefault(f"{exchange}:{ticker}", {})
            unit = Unit(self.topic, (exchange, ticker, stream_type), state, floors)
            self._units[name] = unit
        return unit

    def _skips_ids(self, name: str) -> bool:
        exchange, _, stream_type = split_unit(name)
        return not ids_of(self.topic, exchange, stream_type).follow
