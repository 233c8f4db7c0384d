"""Conflation: of all trades the latest, at several paces (design.md §4 `ticks`, rule 22).

    trades of one partition ─► Conflator ─► the latest per key when its window closes

Pure: time is an argument. A window is `event time // pace`. It closes when a trade of a later
window comes, or by the clock when its length has passed since its first unsent trade was
taken; so the last value of a burst is always sent. A later trade of a closed window opens it
again. Event times that go backwards count as the latest seen: order is by trade id, or by
arrival where ids only tell repeats, and a value is never sent after a newer one.

What an exchange's ticker says gives the ticks their 24 h volume; its price counts only while
the key has no trades. What was fetched later (header `backfill`) is no news and is passed over.

A restart reads from the oldest unsent trade, so it sees some again that were sent; `seed` tells
from `ticks` itself how far each pace had come, and none of them goes back.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

from marketdata.codec import HeaderFields
from marketdata.decimals import plain
from marketdata.errors import DecodeError
from marketdata.messages import NULL, Tick
from marketdata.tick_key import OFFSET, PACES_MS, RATES, Due, Taken, TickKey

__all__ = ["OFFSET", "PACES_MS", "RATES", "Conflator", "Due", "Taken"]

IDLE_MS = 3_600_000
"""A key without a record for so long is forgotten, its last id and epochs with it."""

QUIET_MS = 60_000
"""A ticker's price counts when it is so much later than the key's last trade."""


class Conflator:
    """The conflation of one partition of `prices`.

    `now_ms` is any clock that never goes back; it is compared only with itself.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, TickKey] = {}
        # Of each pace, the moments at which windows close by the clock, oldest first. An entry
        # whose window has closed otherwise is passed over when its turn comes.
        self._closing: tuple[deque[tuple[int, TickKey]], ...] = tuple(deque() for _ in PACES_MS)
        self.stale = 0
        self.repeated = 0
        self.late = 0

    def __len__(self) -> int:
        return len(self._keys)

    def seed(
        self, key: bytes, headers: HeaderFields, tick: Tick, event_ms: int, offset: int
    ) -> None:
        """Takes a record of `ticks`, in order, before the first trade: that much was sent.

        `offset` is its header `OFFSET`, -1 where it has none.
        """
        state = self._state(key)
        epoch = max(headers.epoch, state.epochs.get(headers.queue_id, 0))
        state.epochs[headers.queue_id] = epoch
        state.was_sent(headers, tick, event_ms, offset)

    def fresh(self, key: bytes, headers: HeaderFields, now_ms: int) -> bool:
        """Whether a record is news, of the newest epoch of its key and stream (rule 11).

        What it is not is counted.
        """
        if headers.backfill:
            self.late += 1
            return False
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

        A trade id at or below the last one is dropped (rule 7), a text only when it is the
        last one. The record must have passed `fresh`.
        """
        state = self._keys[key]
        if state.new_epoch:
            state.begin_epoch(trade.event_ms)
        trade_id = trade.update.trade_id
        if not self._is_next(state, trade_id):
            return None
        state.trade_ms = max(trade.event_ms, state.trade_ms or 0)
        return self._count(state, trade, state.paces_unsent(trade, trade_id), now_ms)

    def take_ticker(self, key: bytes, said: Taken, now_ms: int) -> Due | None:
        """Takes what the exchange's ticker says of a key; returns as `take`.

        Its price counts while the key has had no trade for `QUIET_MS` of the exchange's time,
        in the order of event times. The record must have passed `fresh`.

        Raises:
            DecodeError: its price or volume is no number; nothing was taken.
        """
        state, update = self._keys[key], said.update
        for raw in (update.price, update.volume):
            _check_number(raw)
        if state.new_epoch:
            state.begin_epoch(said.event_ms)
        state.say_volume(said)
        if state.trade_ms is not None and said.event_ms < state.trade_ms + QUIET_MS:
            return None
        latest = state.latest
        if update.price == NULL or (latest is not None and not _is_later(said, latest)):
            self.repeated += 1
            return None
        return self._count(state, said, state.paces_unsent(said, None), now_ms)

    def tick(self, now_ms: int) -> Iterator[Due]:
        """The values whose windows close by the clock."""
        paces_of: dict[bytes, tuple[TickKey, int]] = {}
        for number, closing in enumerate(self._closing):
            while closing and closing[0][0] + PACES_MS[number] <= now_ms:
                since_ms, state = closing.popleft()
                bit = 1 << number
                if state.unsent & bit and state.since_ms[number] == since_ms:
                    _, paces = paces_of.get(state.key, (state, 0))
                    paces_of[state.key] = (state, paces | bit)
        for state, paces in paces_of.values():
            due = state.due(paces)
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

    def _state(self, key: bytes) -> TickKey:
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = TickKey(key)
        return state

    def _is_next(self, state: TickKey, trade_id: int | str) -> bool:
        last = state.last
        repeated = trade_id == last
        if isinstance(trade_id, int) and isinstance(last, int):
            repeated = trade_id <= last
        if repeated:
            self.repeated += 1
            return False
        state.last = trade_id
        return True

    def _count(self, state: TickKey, taken: Taken, unsent: int, now_ms: int) -> Due | None:
        """Makes this the key's latest value, unsent at these paces."""
        event_ms = max(taken.event_ms, state.event_ms)
        closed = 0
        for number, pace in enumerate(PACES_MS):
            if event_ms // pace > state.event_ms // pace:
                closed |= 1 << number
        due = state.due(closed & state.unsent)
        for number in range(len(PACES_MS)):
            bit = 1 << number
            if unsent & bit and (closed & bit or not state.unsent & bit):
                state.since_ms[number] = now_ms
                self._closing[number].append((now_ms, state))
        state.latest, state.event_ms, state.unsent = taken, event_ms, unsent
        return due


def _is_later(said: Taken, latest: Taken) -> bool:
    """Whether a ticker's word is news: not older, and not the same again."""
    if said.event_ms != latest.event_ms:
        return said.event_ms > latest.event_ms
    return said.update != latest.update


def _check_number(raw: msgspec.Raw) -> None:
    try:
        plain("0" if raw == NULL else str(raw, "ascii"))
    except UnicodeDecodeError:
        raise DecodeError("a price or volume is not a number") from None
