"""A lock for each key: many readers or one writer, in the order in which they came.

key, shared or exclusive ─► turn
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turns:
    """Who has one key, and who waits for it."""

    readers: int = 0
    writing: bool = False
    waiting: deque[tuple[bool, asyncio.Future[None]]] = field(default_factory=deque)

    def can_enter(self, *, exclusive: bool) -> bool:
        if self.writing:
            return False
        return self.readers == 0 if exclusive else True

    def enter(self, *, exclusive: bool) -> None:
        if exclusive:
            self.writing = True
        else:
            self.readers += 1

    def leave(self, *, exclusive: bool) -> None:
        if exclusive:
            self.writing = False
        else:
            self.readers -= 1
        self.call_next()

    def call_next(self) -> None:
        while self.waiting:
            exclusive, turn = self.waiting[0]
            if turn.cancelled():
                self.waiting.popleft()
            elif self.can_enter(exclusive=exclusive):
                self.waiting.popleft()
                self.enter(exclusive=exclusive)
                turn.set_result(None)
            else:
                return

    @property
    def idle(self) -> bool:
        return not (self.readers or self.writing or self.waiting)


class KeyLocks:
    """Locks that exist only while somebody has or wants them."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turns] = {}

    def __len__(self) -> int:
        return len(self._turns)

    @asynccontextmanager
    async def hold(self, wanted: Mapping[str, bool]) -> AsyncIterator[None]:
        """Hold several keys (True: exclusively); taken in one order, so that none deadlocks."""
        held: list[str] = []
        try:
            for key in sorted(wanted):
                await self._acquire(key, exclusive=wanted[key])
                held.append(key)
            yield
        finally:
            for key in reversed(held):
                self._release(key, exclusive=wanted[key])

    async def _acquire(self, key: str, *, exclusive: bool) -> None:
        turns = self._turns.setdefault(key, _Turns())
        if not turns.waiting and turns.can_enter(exclusive=exclusive):
            turns.enter(exclusive=exclusive)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turns.waiting.append((exclusive, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the turn came in the same moment
                self._release(key, exclusive=exclusive)
            else:
                turn.cancel()
                turns.call_next()
                self._forget(key)
            raise

    def _release(self, key: str, *, exclusive: bool) -> None:
        self._turns[key].leave(exclusive=exclusive)
        self._forget(key)

    def _forget(self, key: str) -> None:
        if self._turns[key].idle:
            del self._turns[key]
