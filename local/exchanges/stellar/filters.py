"""The filters of `getEvents`: what is a filter, and which events it lets through. Pure.

The texts of the errors are the server's own (protocols 4.2, 4.5).
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from local.exchanges.stellar.chain import ChainEvent
from local.exchanges.stellar.strkeys import CONTRACT, BadKeyError, raw_key
from marketdata.errors import LocalError

_MOST = 5
_MOST_SEGMENTS = 4
_ONE, _REST = "*", "**"
_KINDS = frozenset({"system", "contract"})

INVALID_PARAMS, INVALID_REQUEST = -32602, -32600


class RpcError(LocalError):
    """What a request is answered with in place of a result."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class Filter:
    """One filter: an event must match its type, contracts and topics."""

    def __init__(self, given: Any) -> None:
        members = _object(given)
        kinds = _text(members.get("type"))
        self._kinds = frozenset(kinds.split(",")) if kinds else frozenset()
        if not self._kinds <= _KINDS:
            raise _invalid(
                "filter type invalid: if set, type must be either 'system' or 'contract'"
            )
        self._contracts = [_text(each) for each in _list(members.get("contractIds"))]
        topics = [_list(each) for each in _list(members.get("topics"))]
        if len(self._contracts) > _MOST:
            raise _invalid("maximum 5 contract IDs per filter")
        if len(topics) > _MOST:
            raise _invalid("maximum 5 topics per filter")
        for number, contract in enumerate(self._contracts, 1):
            try:
                raw_key(CONTRACT, contract)
            except BadKeyError as error:
                raise _invalid(f"contract ID {number} invalid") from error
        self._topics = [
            _segments(segments, f"topic {number} invalid: ")
            for number, segments in enumerate(topics, 1)
        ]

    def matches(self, event: ChainEvent) -> bool:
        """Whether the event passes."""
        what = event.what
        if self._kinds and what.kind not in self._kinds:
            return False
        if self._contracts and what.contract_id not in self._contracts:
            return False
        told = [topic.xdr for topic in what.topics]
        return not self._topics or any(_fits(segments, told) for segments in self._topics)


def read_filters(given: Any) -> list[Filter]:
    """The filters of a request.

    Raises:
        RpcError: one is not as it must be.
    """
    filters = _list(given)
    if len(filters) > _MOST:
        raise _invalid("maximum 5 filters per request")
    read = []
    for number, each in enumerate(filters, 1):
        try:
            read.append(Filter(each))
        except RpcError as error:
            raise _invalid(f"filter {number} invalid: {error}") from error
    return read


def _fits(segments: Sequence[str | bytes], told: Sequence[bytes]) -> bool:
    if segments[-1] == _REST:
        segments = segments[:-1]
        if len(told) < len(segments):
            return False
    elif len(told) != len(segments):
        return False
    return all(each in (_ONE, said) for each, said in zip(segments, told, strict=False))


def _segments(given: list[Any], place: str) -> list[str | bytes]:
    if not given:
        raise _invalid(f"{place}topic must have at least 1 segment")
    fixed = given[:-1] if given[-1] == _REST else given
    if _REST in fixed:
        number = fixed.index(_REST) + 1
        rule = "wildcard '**' is only allowed as the last segment"
        raise _invalid(f"{place}segment {number} invalid: {rule}")
    if len(fixed) > _MOST_SEGMENTS:
        raise _invalid(f"{place}topic cannot have more than 4 segments")
    return [each if each in (_ONE, _REST) else _xdr(each) for each in given]


def _xdr(given: Any) -> bytes:
    try:
        raw = base64.b64decode(_text(given), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("invalid parameters") from error
    if len(raw) < 4 or len(raw) % 4:
        raise _invalid("invalid parameters")
    return raw


def _object(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _invalid("invalid parameters")
    return given


def _list(given: Any) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise _invalid("invalid parameters")
    return given


def _text(given: Any) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise _invalid("invalid parameters")
    return given


def _invalid(text: str) -> RpcError:
    return RpcError(INVALID_PARAMS, text)
