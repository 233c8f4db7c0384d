"""What the topic says that a unit wrote last, before this capture began (rule 17).

the partitions' ends, backwards ─► records of the wanted units ─► LastKnown of each
"""

import time
from collections.abc import Iterable, Mapping

from container_worker import log
from container_worker.capture.known_records import (
    NOTHING,
    LastKnown,
    Wanted,
    advanced,
    is_fetched_later,
    is_whole,
    joined,
)
from container_worker.kafka import partition_counts
from container_worker.kafka_consumer import ConsumedRecord, KafkaConsumer, Partition
from container_worker.log_ranges import log_ranges
from container_worker.settings import KafkaSettings
from marketdata import codec, topics
from marketdata.errors import DecodeError
from marketdata.partitions import partition_of

__all__ = ["LastKnown", "Wanted", "read_last_known"]

STEPS = (1_000, 10_000, 100_000)
"""So many records of a partition are read from its end, then so many, then no more: a unit that
wrote nothing within the last of these counts as new. Of what can be fetched later the second is
read in any case, as it may tell of holes."""
_FAR = frozenset({topics.TRADES, topics.CONTRACT_EVENTS})
"""What may be rare beside a busy neighbour; the others are not looked for in the last step."""
GROUP = "capture-last-known"
"""The consumer group that is named; nothing is committed to it."""
_MOST_NAMED = 20
MOST_SECONDS = 5.0
"""After this what has been found is returned."""


class _Tail:
    """The end of one partition, read in stretches from the end backwards."""

    def __init__(self, begin: int, end: int) -> None:
        self.known: dict[Wanted, LastKnown] = {}
        self._begin = begin
        self._log_end = self._first = self._end = self._read_from = end
        self._missing: dict[tuple[bytes, str], Wanted] = {}
        self._stretch: dict[Wanted, LastKnown] = {}
        self._epochs: dict[tuple[bytes, str], int] = {}

    def needs(self, records: int) -> bool:
        """Whether a stretch that begins so many records before the end may find more."""
        is_last = records == STEPS[-1]
        looks = any(not is_last or stream_type in _FAR for _, stream_type in self._missing)
        return looks and self._first > self._begin

    def look_for(self, unit: Wanted) -> None:
        """Adds a unit whose key lies in this partition."""
        self._missing[_key(unit), unit.type] = unit

    def open(self, records: int) -> int:
        """Begins the stretch before what was read; the offset at which it starts."""
        self._end = self._first
        self._first = max(self._begin, min(self._end, self._log_end - records))
        self._stretch, self._epochs = {}, {}
        return self._first

    def take(self, record: ConsumedRecord) -> bool:
        """Takes the stretch's next record; whether it is the last one."""
        if record.offset < self._end:
            self._read(record)
        return record.offset + 1 >= self._end

    def close(self) -> None:
        """The stretch is complete: what it says counts."""
        self._read_from = self._first
        for unit, older in self._stretch.items():
            self.known[unit] = joined(older, self.known.get(unit, NOTHING))
        is_far = self._log_end - self._read_from >= STEPS[1]
        for unit in list(self._missing.values()):
            is_done = is_far or not is_fetched_later(unit.type)
            if is_done and is_whole(unit, self.known.get(unit, NOTHING)):
                del self._missing[_key(unit), unit.type]

    def unfound(self) -> list[Wanted]:
        """What was not found, and may lie further back than was read."""
        if self._read_from <= self._begin:
            return []
        return [unit for unit in self._missing.values() if unit not in self.known]

    def _read(self, record: ConsumedRecord) -> None:
        key, headers = record.key or b"", record.headers or ()
        raw = next((raw for name, raw in headers if name == "type"), None) or b""
        unit = self._missing.get((key, raw.decode("utf-8", "replace")))
        if unit is None:
            return
        try:
            fields = codec.parse_headers(headers)
            if fields.epoch < self._epochs.get((key, fields.queue_id), 0):
                return
            before = self._stretch.get(unit, NOTHING)
            self._stretch[unit] = advanced(before, unit.type, fields, record.value)
        except DecodeError:
            return  # whoever wrote it, it says nothing about what we wrote
        self._epochs[key, fields.queue_id] = fields.epoch


def read_last_known(
    kafka: KafkaSettings, wanted: Iterable[Wanted], *, seconds: float = MOST_SECONDS
) -> dict[Wanted, LastKnown]:
    """What is known of each unit; one of which nothing was found is absent.

    Reads `STEPS` records a partition at the most, for at most `seconds`. A topic that does not
    exist or is empty costs nothing.

    Raises:
        BrokerUnavailable: no broker answered.
        BrokerError: the topics may not be read.
    """
    units = list(dict.fromkeys(wanted))
    counts = partition_counts(kafka) if units else {}
    places = [
        (unit, Partition(unit.topic, partition_of(_key(unit), counts[unit.topic])))
        for unit in units
        if unit.topic in counts
    ]
    if not places:
        return {}
    until_s = time.monotonic() + seconds
    consumer = KafkaConsumer(kafka, group=GROUP)
    try:
        ranges = log_ranges(kafka, GROUP, {place for _, place in places})
        tails = {place: _Tail(begin, end) for place, (begin, end) in ranges.items()}
        for unit, place in places:
            tails[place].look_for(unit)
        for records in STEPS:
            if not _read_stretches(consumer, tails, records, until_s):
                break
    finally:
        consumer.close()
    _say_unfound([unit for tail in tails.values() for unit in tail.unfound()])
    return {unit: known for tail in tails.values() for unit, known in tail.known.items()}


def _say_unfound(units: list[Wanted]) -> None:
    """They are taken for new: if they are not, only the archive tells what was missed."""
    if units:
        log.event(
            "capture.last_known_not_found",
            level="warning",
            units=len(units),
            first=[f"{one.exchange}:{one.ticker} {one.type}" for one in units[:_MOST_NAMED]],
        )


def _key(unit: Wanted) -> bytes:
    return codec.key(unit.exchange, unit.ticker)


def _read_stretches(
    consumer: KafkaConsumer, tails: Mapping[Partition, _Tail], records: int, until_s: float
) -> bool:
    """Reads the next stretch of every tail that needs one; whether there was time for it.

    A stretch that was not read to its end does not count: its newest records are missing.
    """
    open_tails = {place: tail for place, tail in tails.items() if tail.needs(records)}
    for place, tail in open_tails.items():
        consumer.seek(place, tail.open(records))
    while open_tails and time.monotonic() < until_s:
        polled = consumer.poll()
        for record in polled.records:
            place = Partition(record.topic, record.partition)
            if place in open_tails and open_tails[place].take(record):
                open_tails.pop(place).close()
                consumer.pause([place])
        for place in polled.out_of_range:
            open_tails.pop(place, None)
    if open_tails:
        log.event("capture.last_known_incomplete", level="warning", partitions=len(open_tails))
    return not open_tails
