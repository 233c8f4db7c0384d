"""What the conflation knows of one key (marketdata/ticks.py). Pure.

seeds of `ticks` ─► TickKey ◄─ trades and ticker's words
"""

from typing import NamedTuple

from marketdata.codec import HeaderFields, Headers
from marketdata.messages import NULL, PriceUpdate, Tick
from marketdata.topics import TICKER

PACES_MS = (250, 1_000, 10_000)
RATES = ("250ms", "1s", "10s")
ALL_PACES = (1 << len(PACES_MS)) - 1

OFFSET = "offset"
"""The header of a tick that says which record of `prices` it was made from."""

NEW_TAPE_MS = 60_000
"""A new epoch whose trades are so much older is another tape (an exchange that was reset, a
replay): its ids have nothing to do with the last ones."""

VOLUME_MS = 600_000
"""A 24 h volume that is so much older than the trade is known no more."""

_RATES_OF = tuple(
    tuple(rate for number, rate in enumerate(RATES) if paces >> number & 1)
    for paces in range(ALL_PACES + 1)
)


class Taken(NamedTuple):
    """A trade as it came: raw headers are handed on, `offset` is where it can be read again.

    `received_ns` is the header of that name.
    """

    update: PriceUpdate
    event_ms: int
    headers: Headers
    offset: int
    received_ns: int = 0


class Due(NamedTuple):
    """A value to be sent now; `offset` is that of its trade."""

    key: bytes
    tick: Tick
    headers: Headers
    offset: int


class _Seed(NamedTuple):
    """The newest value that an earlier life sent at one pace; `id` is None for a ticker's."""

    id: str | None
    offset: int
    received_ns: int

    def covers(self, taken: Taken, id_: int | str | None) -> bool:
        """Whether this value or a later one was sent then.

        Where ids do not count up both its place and its time must say so: offsets begin anew
        with a topic that is made anew, and a clock may go back.
        """
        if isinstance(id_, int) and self.id is not None and self.id.isdecimal():
            return id_ <= int(self.id)
        return taken.offset <= self.offset and taken.received_ns <= self.received_ns


class TickKey:
    """One key: its latest value, and at which paces that is still unsent (a bit each).

    `last` is the last trade's id, `trade_ms` its event time; `event_ms` the highest of all
    values; `since_ms` when the first unsent value of each pace was taken.
    """

    __slots__ = (
        "_seed",
        "_volume",
        "_volume_ms",
        "epochs",
        "event_ms",
        "key",
        "last",
        "latest",
        "new_epoch",
        "since_ms",
        "touched_ms",
        "trade_ms",
        "unsent",
    )

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.latest: Taken | None = None
        self.last: int | str | None = None
        self.event_ms = 0
        self.trade_ms: int | None = None
        self.unsent = 0
        self.since_ms = [0] * len(PACES_MS)
        self.touched_ms = 0
        self.epochs: dict[str, int] = {}
        self.new_epoch = False
        self._seed: list[_Seed | None] | None = None
        self._volume = NULL
        self._volume_ms = 0

    def was_sent(self, headers: HeaderFields, tick: Tick, event_ms: int, offset: int) -> None:
        """Takes what an earlier life sent, in order."""
        self._seed = self._seed or [None] * len(PACES_MS)
        id_ = None if headers.type == TICKER else headers.id
        for rate in tick.rates:
            if rate in RATES:
                self._seed[RATES.index(rate)] = _Seed(id_, offset, headers.received_ns)
        if id_ is not None:
            self.trade_ms = max(event_ms, self.trade_ms or 0)
        if tick.volume != NULL:
            self._volume, self._volume_ms = tick.volume, event_ms

    def begin_epoch(self, event_ms: int) -> None:
        """Sees whether a new epoch is another tape; then nothing of the old one counts."""
        self.new_epoch = False
        if event_ms < self.event_ms - NEW_TAPE_MS or self.latest is None:
            self.last, self._seed, self.event_ms = None, None, 0
            self.trade_ms, self._volume, self._volume_ms = None, NULL, 0

    def say_volume(self, said: Taken) -> None:
        """Takes the 24 h volume of a ticker's word, where it is not older than the last."""
        if said.update.volume != NULL and said.event_ms >= self._volume_ms:
            self._volume, self._volume_ms = said.update.volume, said.event_ms

    def paces_unsent(self, taken: Taken, id_: int | str | None) -> int:
        """At which paces a value is news; past all seeds, the seeds are done."""
        if self._seed is None:
            return ALL_PACES
        unsent = ALL_PACES
        for number, sent in enumerate(self._seed):
            if sent is not None and sent.covers(taken, id_):
                unsent &= ~(1 << number)
        if unsent == ALL_PACES:
            self._seed = None
        return unsent

    def due(self, paces: int) -> Due | None:
        """Marks the latest value as sent at these paces, when it was not yet."""
        taken = self.latest
        if not paces or taken is None:
            return None
        self.unsent &= ~paces
        update = taken.update
        volume = update.volume
        if volume == NULL and taken.event_ms < self._volume_ms + VOLUME_MS:
            volume = self._volume
        tick = Tick(
            symbol=update.symbol,
            price=update.price,
            volume=volume,
            timestamp=update.timestamp,
            source=update.source,
            rates=_RATES_OF[paces],
        )
        headers = [*taken.headers, (OFFSET, b"%d" % taken.offset)]
        return Due(self.key, tick, headers, taken.offset)
