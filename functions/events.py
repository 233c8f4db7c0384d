"""What we read of the events of API Gateway and of the event source (aws.md §1, 3).

Names on the wire are theirs, in camel case.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class WebSocketContext(msgspec.Struct, frozen=True, rename="camel"):
    """`requestContext` of a WebSocket event; `event_type` tells what happened (rule 24)."""

    event_type: str
    stage: str
    connection_id: str
    connected_at: int
    route_key: str = ""
    authorizer: Mapping[str, Any] = {}


class WebSocketEvent(msgspec.Struct, frozen=True, rename="camel"):
    """A connection, a message (`body`) or a disconnection."""

    request_context: WebSocketContext
    headers: Mapping[str, str] | None = None
    body: str | None = None


class HttpEvent(msgspec.Struct, frozen=True, rename="camel"):
    """A request to the HTTP API, format 2.0."""

    query_string_parameters: Mapping[str, str] | None = None


class KafkaRecord(msgspec.Struct, frozen=True):
    """One record of an event source's batch; key and value are base64.

    A header is a mapping of its one name to its bytes, each from -128 to 127 (aws.md §1).
    """

    offset: int
    key: str | None = None
    value: str | None = None
    timestamp: int = 0
    headers: Sequence[Mapping[str, Sequence[int]]] = ()


class KafkaEvent(msgspec.Struct, frozen=True):
    """A batch: records by `topic-partition`, each list in the order of its offsets."""

    records: Mapping[str, list[Any]]


def read(event: Mapping[str, Any], kind: type[T]) -> T:
    """An event as the struct of its kind; members that we do not know are passed over."""
    return msgspec.convert(event, kind)


def header(headers: Mapping[str, str] | None, name: str) -> str | None:
    """A header by its name in any case: API Gateway passes on what the client wrote."""
    for given, value in (headers or {}).items():
        if given.lower() == name:
            return value
    return None
