"""One book while its top is made: its sides, how far it is, and whether it can be believed.

snapshot, delta, gap ─► DepthBook ─► DepthTop, when it differs from the last one
"""

from collections.abc import Callable

from marketdata.archive_state import raise_floor
from marketdata.codec import HeaderFields, Headers
from marketdata.depth_top import LEVELS, Side, top_hash
from marketdata.messages import DepthSnapshot, DepthTop, Gap, Level
from marketdata.times import iso_ms
from marketdata.topics import DEPTH_SNAPSHOTS

BOTH = frozenset({"b", "a"})

NEW_TAPE_MS = 60_000
"""A new process whose snapshot is so much older speaks of another tape: ids begin anew."""


class DepthBook:
    """`last` is the id up to which it goes, None while it is not known.

    `stated_at` is the offset from which on both sides are stated; `said_ms` when its top was
    last written.
    """

    __slots__ = (
        "_floors",
        "_hole",
        "_said",
        "_stated",
        "_stated_at",
        "asks",
        "bids",
        "epoch",
        "event_ms",
        "exchange",
        "headers",
        "key",
        "last",
        "offset",
        "said_ms",
        "touched_ms",
        "type",
    )

    def __init__(self, key: bytes, exchange: str, stream_type: str) -> None:
        self.key = key
        self.exchange = exchange
        self.type = stream_type
        self.bids, self.asks = Side(), Side()
        self.last: int | None = None
        self.epoch = self.event_ms = self.offset = self.touched_ms = 0
        self.headers: Headers = []
        self.said_ms: int | None = None
        self._floors: dict[str, int] = {}
        self._stated: frozenset[str] = frozenset()
        self._stated_at: dict[str, int] = {}
        self._hole: tuple[int | None, int] | None = None
        self._said: tuple[list[Level], list[Level], bool] | None = None

    @property
    def stated_at(self) -> int | None:
        """None where no side was stated yet."""
        return min(self._stated_at.values(), default=None)

    @property
    def is_provisional(self) -> bool:
        """Whether something was lost, or never said, that is not stated since."""
        return self._hole is not None or self._stated < BOTH

    def is_fresh(self, fields: HeaderFields) -> bool:
        """Whether a record is not stale (rule 11)."""
        return raise_floor(self._floors, fields.queue_id, fields.epoch)

    def hear_gap(self, gap: Gap) -> None:
        """A hole is told, told again or closed; the book is stated after it is closed."""
        hole = (gap.first, gap.from_)
        if hole != self._hole:
            self.doubt()
        self._hole = hole if gap.to is None else None

    def doubt(self) -> None:
        """What is known may be wrong until it is stated again."""
        self._stated = frozenset()

    def begin_again(self) -> None:
        """Ids count from their beginning: the old book stays until one is stated."""
        self.last = None
        self.doubt()

    def state(self, sides: frozenset[str], offset: int) -> None:
        """These sides are stated."""
        self._stated |= sides
        self._stated_at.update(dict.fromkeys(sides, offset))
        if sides == BOTH:
            self._hole = None

    def is_renumbered(self, fields: HeaderFields, stated: DepthSnapshot) -> bool:
        """Whether a snapshot with a lower id begins a new count."""
        if self.last is None:
            return False
        is_new = fields.epoch > self.epoch
        if fields.ids == "ours":
            return is_new
        if stated.u >= self.last:
            return False
        is_other_tape = self.event_ms - stated.E > NEW_TAPE_MS
        is_lost = is_new or self._hole is not None
        return (is_lost and self.event_ms < stated.E) or (is_new and is_other_tape)

    def has_jumped(self, stated: DepthSnapshot) -> bool:
        """Whether a higher id means a loss: one side's statement has a number of its own."""
        if self.last is None or stated.side is None:
            return False
        return self.type == DEPTH_SNAPSHOTS and stated.u > self.last + 1

    def top(self, symbol_of: Callable[[bytes], str]) -> DepthTop | None:
        """The best levels, when they are known and not as they were told."""
        if not self._stated_at:
            return None
        bids = self.bids.best(LEVELS, highest=True)
        asks = self.asks.best(LEVELS, highest=False)
        said = (bids, asks, self.is_provisional)
        if said == self._said:
            return None
        self._said = said
        return DepthTop(
            symbol=symbol_of(self.key),
            timestamp=iso_ms(self.event_ms),
            source=self.exchange,
            bids=bids,
            asks=asks,
            id=self.last or 0,
            hash=top_hash(bids, asks),
            provisional=self.is_provisional,
        )
