"""The event of an MSK event source mapping, member by member (aws.md §1).

Key and value are base64, a header's value is a list of Java's bytes, from -128 to 127.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

EVENT_SOURCE_ARN = "arn:aws:kafka:us-east-1:000000000000:cluster/local/00000000"
TIMESTAMP_TYPES = {0: "CREATE_TIME", 1: "LOG_APPEND_TIME"}


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of a partition, ready for an event, and its size there."""

    partition: int
    offset: int
    member: Mapping[str, Any]
    bytes: int


def source_record(
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp: int,
    timestamp_type: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
) -> SourceRecord:
    """A Kafka record as a member of an event."""
    member: dict[str, Any] = {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "timestampType": TIMESTAMP_TYPES.get(timestamp_type, "NO_TIMESTAMP_TYPE"),
        "headers": [{name: _java_bytes(raw or b"")} for name, raw in headers],
    }
    if key is not None:
        member["key"] = b64encode(key).decode()
    if value is not None:
        member["value"] = b64encode(value).decode()
    return SourceRecord(partition, offset, member, len(msgspec.json.encode(member)) + 1)


def kafka_event(topic: str, bootstrap: str, records: Sequence[SourceRecord]) -> dict[str, Any]:
    """The event of one invocation; records of a partition keep their order."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        grouped.setdefault(f"{topic}-{record.partition}", []).append(record.member)
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": EVENT_SOURCE_ARN,
        "bootstrapServers": bootstrap,
        "records": grouped,
    }


def _java_bytes(raw: bytes) -> list[int]:
    return [byte - 256 if byte > 127 else byte for byte in raw]
