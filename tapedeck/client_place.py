"""How far a client has come: what a new connection gives back as `from`.

cursor of an update ─┬─► Place ─ lowest ─► `from`
                     └─► Seen ─► whether it has come before
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from marketdata.errors import DecodeError
from marketdata.ring_items import Cursor, Source, parse_cursor

_Life = tuple[Source, str]
"""A source, and the id of its topic."""


class Kind(NamedTuple):
    """Updates of which a record of a source has one at most: of a channel, or `events`."""

    channel: str
    interval: str
    name: str


class Place:
    """The newest cursor of each source, for what one answer of the server has begun.

    The server sends that in the order of the source: what lies before the newest cursor has
    come. From `settled_s` on the same order holds for all that is settled.
    """

    def __init__(self, cursors: Iterable[Cursor], settled_s: float) -> None:
        self._newest = {one.source: one for one in cursors}
        self.settled_s = settled_s

    def __iter__(self) -> Iterator[Cursor]:
        return iter(self._newest.values())

    def move(self, cursor: Cursor) -> None:
        """An update has come; what is older than another of the same topic id moves nothing."""
        last = self._newest.get(cursor.source)
        if last is None or last.topic_id != cursor.topic_id or last.offset < cursor.offset:
            self._newest[cursor.source] = cursor


class Seen:
    """Tells second copies of updates apart, by `Kind`.

    What has come before (over another connection, for a registration too, by a replay from
    another name's place, or in a batch that the server delivered again) has a cursor that is
    not above the last one of its kind.
    """

    def __init__(self) -> None:
        self._newest: dict[Kind, dict[_Life, int]] = {}

    def begin(self, kind: Kind, place: Place, known: Collection[str]) -> None:
        """A kind's updates go on from a place; behind `known` cursors more may have come."""
        newest = self._newest.setdefault(kind, {})
        for cursor in place:
            life = (cursor.source, cursor.topic_id)
            if str(cursor) in known:
                newest.setdefault(life, cursor.offset)
            else:
                newest[life] = cursor.offset

    def takes(self, kind: Kind, cursor: Cursor) -> bool:
        """Whether an update has not come before; remembers it."""
        newest = self._newest.setdefault(kind, {})
        life = (cursor.source, cursor.topic_id)
        if cursor.offset <= newest.get(life, -1):
            return False
        newest[life] = cursor.offset
        return True


def lowest(places: Iterable[Place]) -> list[Cursor]:
    """The cursors behind which nothing is missing in any of the places.

    A source whose topic has different ids in them is left out, so that the server cannot say
    that it is whole.
    """
    found: dict[Source, Cursor] = {}
    unclear: set[Source] = set()
    for cursor in (one for place in places for one in place):
        other = found.setdefault(cursor.source, cursor)
        if other.topic_id != cursor.topic_id:
            unclear.add(cursor.source)
        elif cursor.offset < other.offset:
            found[cursor.source] = cursor
    return [cursor for source, cursor in found.items() if source not in unclear]


def cursor_of(text: str) -> Cursor | None:
    """The cursor that a text is; None for none."""
    try:
        return parse_cursor(text)
    except DecodeError:
        return None
