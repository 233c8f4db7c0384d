"""A slot for a new connection of a key, out of as many as the key may have (rule 25).

    a slot at random ─► one that is free ─► one whose holder is gone ─► none

A holder is gone when the management API says so and it is older than 30 s: 410 on a younger
one is not a goodbye (rule 23). So a client that crashed shuts nobody out for longer.
"""

import random
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from functions.limits import Holder, Slot
from functions.logic.attempts import attempts
from marketdata.errors import StoreUnavailable

YOUNG_MS = 30_000
MAX_ASKED = 100
"""Of a key with more connections, these many at random are asked for at a time."""
MAX_TRIED = 10

Gone = Callable[[str, Collection[str]], set[str]]
"""`gone(stage, connection_ids)`: those that the stage says it does not have."""


class Slots(Protocol):
    """What is needed of `LimitsTable`."""

    def held(self, key_id: str, now_s: int) -> list[Slot]:
        """The slots that are taken."""

    def claim(self, key_id: str, number: int, holder: Holder, instead_of: str = "") -> bool:
        """Whether the slot was free or its holder's, and is taken now."""

    def release(self, key_id: str, number: int, connection_id: str) -> bool:
        """Whether the slot was this connection's, and is free now."""


def take_slot(table: Slots, key_id: str, holder: Holder, most: int, gone: Gone) -> bool:
    """Whether the connection has one of the key's `most` slots now.

    Raises:
        StoreError: the slots cannot be read or changed, or change all the time.
    """
    if table.claim(key_id, _any_below(most), holder):
        return True
    for _ in attempts():
        held = table.held(key_id, holder.since_ms // 1000)
        free = list(set(range(most)) - {slot.number for slot in held})
        if not free:
            return _replace(table, key_id, holder, _old(held, most, holder.since_ms), gone)
        random.shuffle(free)
        if any(table.claim(key_id, number, holder) for number in free[:MAX_TRIED]):
            return True
    raise StoreUnavailable("taking a connection of a key failed: its slots keep changing")


def free_slots(table: Slots, key_id: str, connection_id: str, now_s: int) -> None:
    """Free what a connection has; harmless when it has nothing. Raises StoreError."""
    for slot in table.held(key_id, now_s):
        if slot.holder.connection_id == connection_id:
            table.release(key_id, slot.number, connection_id)


def _any_below(most: int) -> int:
    return random.randrange(most)  # noqa: S311  (only so that two try different ones)


def _old(held: Sequence[Slot], most: int, now_ms: int) -> list[Slot]:
    old = [
        slot
        for slot in held
        if slot.number < most and slot.holder.since_ms <= now_ms - YOUNG_MS
    ]
    return random.sample(old, min(len(old), MAX_ASKED))


def _replace(
    table: Slots, key_id: str, holder: Holder, old: Sequence[Slot], gone: Gone
) -> bool:
    """Take one slot of those that are gone, and free the others for whoever comes next."""
    taken = False
    for stage in {slot.holder.stage for slot in old}:
        mine = {slot.holder.connection_id: slot for slot in old if slot.holder.stage == stage}
        for connection_id in gone(stage, mine):
            number = mine[connection_id].number
            if taken:
                table.release(key_id, number, connection_id)
            else:
                taken = table.claim(key_id, number, holder, connection_id)
    return taken
