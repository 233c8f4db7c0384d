"""What a poll of Kafka gives: records and what happened to partitions."""

from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class ConsumedRecord(NamedTuple):
    """One record as it lies in the log; `key` and `headers` may be None."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]] | None


class LogRange(NamedTuple):
    """The offsets that a partition has: `begin` is its first, `end` its next."""

    begin: int
    end: int


class Polled(NamedTuple):
    """What happened since the last poll.

    `assigned` begin anew, also when they were ours before: whatever was kept for them is
    void. `lost` are no longer ours; that may be noticed late, and nothing may depend on it
    (rule 16). `out_of_range` are at an offset that the log no longer has, or has not yet, and
    stand still until `seek` (rule 12). `uncommitted` are those whose commit without waiting was
    refused, as it is while the group shares out anew. Apply `assigned` and `lost` before
    `records`.
    """

    records: list[ConsumedRecord]
    assigned: tuple[Partition, ...] = ()
    lost: tuple[Partition, ...] = ()
    out_of_range: tuple[Partition, ...] = ()
    uncommitted: tuple[Partition, ...] = ()
