"""A socket as the line sees it, and what its frame numbers tell."""

import enum
from collections.abc import Sequence
from typing import Protocol

from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import BookState, LastTrade, TickerState
from marketdata.messages import Cause
from marketdata.topics import TICKER


class Source(Protocol):
    """The socket, or the poller, that something came from.

    `data_ns` is when its last data frame came, or 0. `number` is the last frame's, where the
    exchange numbers the frames of a connection; `unread` frames since did not decode, and may
    have had the next numbers. `is_gone`: nothing comes from it any more. `flows`: it brought
    more than what it begins with, which is noted in `openings` until then.
    """

    data_ns: int
    flows: bool
    openings: set[tuple[str, str, str]]
    number: int | None
    unread: int
    is_gone: bool

    def accepted(self, names: frozenset[str]) -> None:
        """The exchange accepted what these names stand for."""
        ...

    def refused(self, text: str) -> None:
        """The exchange refused something, and nothing can go on without it."""
        ...

    def forget(self, channels: Sequence[Channel]) -> None:
        """The exchange refused these; the others are asked for once more where they must be."""
        ...

    def ask(self, channel: Channel) -> None:
        """Have the exchange give this channel too."""
        ...

    def leaving(self) -> None:
        """It is about to end, or to be replaced: another one is wanted now."""
        ...

    def broken(self, reason: str, cause: Cause) -> None:
        """It cannot be trusted: end it, and open another one."""
        ...

    def restate(self, channel: Channel) -> None:
        """Have the exchange state this channel anew."""
        ...


def look_for_flow(source: Source, event: object) -> None:
    """Notes an event: the first book, side and ticker of each is how a socket begins."""
    if isinstance(event, BookState):
        part = (event.message.s, event.type, event.message.side or "")
    elif isinstance(event, TickerState):
        part = (event.ticker, TICKER, "")
    elif isinstance(event, LastTrade):
        return
    else:
        part = None
    if part is not None and part not in source.openings:
        source.openings.add(part)
        return
    source.flows = True
    source.openings.clear()


class Place(enum.Enum):
    """Where a numbered frame stands on its connection."""

    NEXT = "next"
    REPEAT = "repeat"
    HOLE = "hole"


def place(source: Source, number: int) -> Place:
    """Follows the numbers of a connection, which begin with 0 (`ConnectionNumber`).

    A repeated frame must be dropped whole; after a hole anything may be missing. What was not
    readable is no hole once more: its loss was told when it came.
    """
    expected = 0 if source.number is None else source.number + 1
    if number < expected:
        return Place.REPEAT
    unread, source.unread, source.number = source.unread, 0, number
    return Place.NEXT if number <= expected + unread else Place.HOLE


class Role(enum.Enum):
    """What a source is to the units that take from one at a time."""

    CURRENT = "current"
    NEW = "new"
    STALE = "stale"


class Sources:
    """Which of a line's sockets counts, while one takes over from the other (rule 9)."""

    def __init__(self) -> None:
        self.current: Source | None = None
        self.new: Source | None = None

    @property
    def shared(self) -> bool:
        """Whether there are two."""
        return self.new is not None

    def role(self, source: Source) -> Role:
        """The role of the source that a frame came from."""
        if source is self.new:
            return Role.NEW
        return Role.CURRENT if source is self.current else Role.STALE

    def is_stranger(self, source: Source) -> bool:
        """Whether it takes the place of one that never was the line's, or is gone."""
        if source is self.current or source is self.new:
            return False
        return self.current is None or self.current.is_gone

    def adopt(self, source: Source) -> bool:
        """Makes a stranger the current one; whether there was one before it."""
        before, self.current = self.current, source
        return before is not None

    def part(self) -> bool:
        """One is left; whether it is the new one."""
        new, self.new = self.new, None
        if new is None or new.is_gone:
            return False
        self.current = new
        return True
