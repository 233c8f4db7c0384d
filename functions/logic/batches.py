"""From an event source's event to the records of each source, in their order.

event ─► records ─► poison | passed over | Batch of each source: [first, next) and RingRecords
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from functions.events import KafkaEvent, KafkaRecord, read
from functions.ring_blobs import RingRecord
from marketdata import codec
from marketdata.errors import DecodeError
from marketdata.ring_items import Source

KEPT_HEADERS = frozenset({"type", "time"})


@dataclass(slots=True)
class Batch:
    """What came of one source: everything from offset `first` up to `next`.

    `records` are what clients may have of it; marks and what fills a gap later are passed over.
    """

    source: Source
    first: int = -1
    next: int = -1
    records: list[RingRecord] = field(default_factory=list)


@dataclass(slots=True)
class Delivered:
    """One event. `oldest_ms` is the time at which its oldest record came to Kafka."""

    records: int = 0
    poison: int = 0
    passed_over: int = 0
    oldest_ms: int | None = None
    batches: list[Batch] = field(default_factory=list)


def read_batches(event: Mapping[str, Any]) -> Delivered:
    """Understand an event; what cannot be understood is counted and passed over."""
    delivered = Delivered()
    for name, records in read(event, KafkaEvent).records.items():
        topic, _, partition = name.rpartition("-")
        batch = Batch(Source(topic, int(partition)))
        for raw in records:
            _take(delivered, batch, raw)
        if batch.next > batch.first:
            delivered.batches.append(batch)
    return delivered


def _take(delivered: Delivered, batch: Batch, raw: object) -> None:
    delivered.records += 1
    try:
        record = msgspec.convert(raw, KafkaRecord)
    except msgspec.ValidationError:
        delivered.poison += 1
        return
    # Whatever a record holds: its place is taken, or readers of the ring would see a hole.
    batch.first = record.offset if batch.first < 0 else batch.first
    batch.next = record.offset + 1
    try:
        key, value = _bytes(record.key), _bytes(record.value)
    except DecodeError:
        delivered.poison += 1
        return
    headers = _headers(record.headers)
    if codec.is_mark(value) or "backfill" in headers:
        delivered.passed_over += 1
        return
    kept = {name: headers[name] for name in KEPT_HEADERS & headers.keys()}
    batch.records.append(RingRecord(record.offset, key, value, record.timestamp, kept))
    oldest = delivered.oldest_ms
    delivered.oldest_ms = record.timestamp if oldest is None else min(oldest, record.timestamp)


def _bytes(text: str | None) -> bytes:
    if text is None:
        raise DecodeError("a record without key or value")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError("a record that is not base64") from None


def _headers(given: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, str]:
    """The headers by name; an event has Java's bytes, from -128 to 127."""
    return {
        name: bytes(byte & 0xFF for byte in raw).decode("utf-8", "replace")
        for one in given
        for name, raw in one.items()
    }
