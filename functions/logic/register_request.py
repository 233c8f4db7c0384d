"""What a `register` asks for, and where its events begin. Pure.

Register ─ understood ─► Asked ─ beginning(…) ─► Beginning
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from marketdata import event_filters
from marketdata.client_protocol import VALIDATION_ERROR, Filters, Register, client_error
from marketdata.errors import DecodeError
from marketdata.event_filters import Wanted
from marketdata.ring_items import Cursor, Source, parse_cursor


@dataclass(frozen=True, slots=True)
class Asked:
    """A `register` that was understood; `cursors` is None where it has no `from`."""

    message: Register
    filters: Filters
    wanted: Wanted
    cursors: tuple[Cursor, ...] | None

    @property
    def stored(self) -> str:
        """The filters as they are stored."""
        return event_filters.filters_text(self.filters)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first offset of each source, and whether nothing is missing since `from`."""

    start: Mapping[Source, int]
    recovered: bool | None


def understood(message: Register) -> Asked:
    """A message whose filters and cursors can be worked with.

    Raises:
        ClientError: VALIDATION_ERROR that names what is wrong.
    """
    wanted = event_filters.wanted(message.filters)
    try:
        given = message.from_
        cursors = None if given is None else tuple(parse_cursor(text) for text in given)
    except DecodeError as error:
        raise client_error(VALIDATION_ERROR, f"`from`: {error}") from None
    return Asked(message, event_filters.completed(message.filters), wanted, cursors)


def beginning(
    start: Mapping[Source, int],
    cursors: tuple[Cursor, ...] | None,
    chains: Callable[[Cursor], bool | None],
) -> Beginning:
    """Where each source begins: behind its cursor, where that is one of what the ring is of.

    `chains` says whether the ring has all since; None: the cursor is of something else, and its
    source begins where it would without, as those do that have none. Cursors of other sources
    do not matter.
    """
    if cursors is None:
        return Beginning(start, None)
    found = {one: chains(one) for one in cursors if one.source in start}
    behind = {one.source: one.offset + 1 for one, whole in found.items() if whole is not None}
    whole = {one.source for one, is_whole in found.items() if is_whole}
    return Beginning({**start, **behind}, whole == start.keys())
