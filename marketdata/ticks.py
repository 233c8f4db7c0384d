"""Conflation: of all trades the latest, at several paces (design.md §4 `ticks`, rule 22).

    trades of one partition ─► Conflator ─► the latest per key when its window closes

Pure: time is an argument. A window is `event time // pace`. It closes when a trade of a later
window comes, or by the clock when its length has passed since its first unsent trade was
taken; so the last value of a burst is always sent. A later trade of a closed window opens it
again. Event times that go backwards count as the latest seen: order is by trade id, and a value
is never sent after a newer one.

A restart reads from the oldest unsent trade, so it sees some again that were sent; `seed` tells
from `ticks` itself how far each pace had come, and none of them goes back.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from marketdata.codec import HeaderFields, Headers
from marketdata.messages import PriceUpdate, Tick

PACES_MS = (250, 1_000, 10_000)
RATES = ("250ms", "1s", "10s")
IDLE_MS = 3_600_000
"""A key without a record for so long is forgotten, its last id and epochs with it."""

NEW_TAPE_MS = 60_000
"""A new epoch whose trades are so much older is another tape (an exchange that was reset, a
replay): its ids have nothing to do with the last ones."""

_ALL = (1 << len(PACES_MS)) - 1
_RATES_OF = tuple(
    tuple(rate for number, rate in enumerate(RATES) if paces >> number & 1)
    for paces in range(_ALL + 1)
)


class Taken(NamedTuple):
    """A trade as it came: raw headers are handed on, `offset` is where it can be read again."""

    update: PriceUpdate
    event_ms: int
    headers: Headers
    offset: int


class Due(NamedTuple):
    """A value to be sent now; `offset` is that of its trade."""

    key: bytes
    tick: Tick
    headers: Headers
    offset: int


class _Key:
    """What is known of one key: its latest trade, and at which paces that is still unsent."""

    __slots__ = (
        "epochs",
        "event_ms",
        "key",
        "last",
        "latest",
        "new_epoch",
        "seed",
        "since_ms",
        "touched_ms",
        "unsent",
    )

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.latest: Taken | None = None
        self.last: int | str | None = None
        self.event_ms = 0
        self.unsent = 0
        self.since_ms = [0] * len(PACES_MS)
        self.touched_ms = 0
        self.epochs: dict[str, int] = {}
        self.new_epoch = False
        self.seed: list[int] | None = None


class Conflator:
    """The conflation of one partition of `prices`.

    `now_ms` is any clock that never goes back; it is compared only with itself.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, _Key] = {}
        # Of each pace, the moments at which windows close by the clock, oldest first. An entry
        # whose window has closed otherwise is passed over when its turn comes.
        self._closing: tuple[deque[tuple[int, _Key]], ...] = tuple(deque() for _ in PACES_MS)
        self.stale = 0
        self.repeated = 0

    def __len__(self) -> int:
        return len(self._keys)

    def seed(self, key: bytes, headers: HeaderFields, rates: Iterable[str]) -> None:
        """Takes a record of `ticks`, in order, before the first trade: that much was sent."""
        state = self._state(key)
        epoch = max(headers.epoch, state.epochs.get(headers.queue_id, 0))
        state.epochs[headers.queue_id] = epoch
        if headers.id.isdecimal():
            state.seed = state.seed or [-1] * len(PACES_MS)
            for rate in rates:
                if rate in RATES:
                    state.seed[RATES.index(rate)] = int(headers.id)

    def fresh(self, key: bytes, headers: HeaderFields, now_ms: int) -> bool:
        """Whether a record is of the newest epoch of its key and stream (rule 11); counts."""
        state = self._state(key)
        state.touched_ms = now_ms
        newest = state.epochs.get(headers.queue_id)
        if newest is not None and headers.epoch < newest:
            self.stale += 1
            return False
        if headers.epoch != newest:
            state.new_epoch = bool(state.epochs)
            state.epochs[headers.queue_id] = headers.epoch
        return True

    def take(self, key: bytes, trade: Taken, now_ms: int) -> Due | None:
        """Takes the next trade of a key; returns the value whose windows it closes, if any.

        A trade id at or below the last one is dropped (rule 7). The record must have passed
        `fresh`.
        """
        state = self._keys[key]
        if state.new_epoch:
            _begin_epoch(state, trade.event_ms)
        if not self._is_next(state, trade.update.trade_id):
            return None
        event_ms = max(trade.event_ms, state.event_ms)
        closed = 0
        for number, pace in enumerate(PACES_MS):
            if event_ms // pace > state.event_ms // pace:
                closed |= 1 << number
        due = _due(state, closed & state.unsent)
        unsent = _ALL if state.seed is None else _unsent_since(state, trade.update.trade_id)
        for number in range(len(PACES_MS)):
            bit = 1 << number
            if unsent & bit and (closed & bit or not state.unsent & bit):
                state.since_ms[number] = now_ms
                self._closing[number].append((now_ms, state))
        state.latest, state.event_ms, state.unsent = trade, event_ms, unsent
        return due

    def tick(self, now_ms: int) -> Iterator[Due]:
        """The values whose windows close by the clock."""
        paces_of: dict[bytes, tuple[_Key, int]] = {}
        for number, closing in enumerate(self._closing):
            while closing and closing[0][0] + PACES_MS[number] <= now_ms:
                since_ms, state = closing.popleft()
                bit = 1 << number
                if state.unsent & bit and state.since_ms[number] == since_ms:
                    _, paces = paces_of.get(state.key, (state, 0))
                    paces_of[state.key] = (state, paces | bit)
        for state, paces in paces_of.values():
            due = _due(state, paces)
            if due is not None:
                yield due

    def oldest_unsent(self) -> int | None:
        """The lowest offset of a trade that is still unsent at some pace."""
        return min(
            (one.latest.offset for one in self._keys.values() if one.unsent and one.latest),
            default=None,
        )

    def forget_idle(self, now_ms: int) -> None:
        """Forgets keys without a record for `IDLE_MS`; what is unsent is never forgotten."""
        for key, state in list(self._keys.items()):
            if not state.unsent and state.touched_ms + IDLE_MS <= now_ms:
                del self._keys[key]

    def _state(self, key: bytes) -> _Key:
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = _Key(key)
        return state

    def _is_next(self, state: _Key, trade_id: int | str) -> bool:
        last = state.last
        repeated = trade_id == last
        if isinstance(trade_id, int) and isinstance(last, int):
            repeated = trade_id <= last
        if repeated:
            self.repeated += 1
            return False
        state.last = trade_id
        return True


def _begin_epoch(state: _Key, event_ms: int) -> None:
    state.new_epoch = False
    if event_ms < state.event_ms - NEW_TAPE_MS or state.latest is None:
        state.last, state.seed, state.event_ms = None, None, 0


def _unsent_since(state: _Key, trade_id: int | str) -> int:
    """At which paces a trade is unsent after a restart; past all seeds, the seed is done."""
    if state.seed is None or not isinstance(trade_id, int):
        return _ALL
    unsent = 0
    for number, sent in enumerate(state.seed):
        if trade_id > sent:
            unsent |= 1 << number
    if unsent == _ALL:
        state.seed = None
    return unsent


def _due(state: _Key, paces: int) -> Due | None:
    """Marks the latest value of a key as sent at these paces, when it was not yet."""
    trade = state.latest
    if not paces or trade is None:
        return None
    state.unsent &= ~paces
    update = trade.update
    tick = Tick(
        symbol=update.symbol,
        price=update.price,
        volume=update.volume,
        timestamp=update.timestamp,
        source=update.source,
        rates=_RATES_OF[paces],
    )
    return Due(state.key, tick, trade.headers, trade.offset)
