"""Where a tape and the clients' snapshot requests meet.

A client buffers diffs, asks for a snapshot and checks one against the other. A tape that runs
on at full speed meanwhile would be over before the answer came. So whoever newly follows the
diffs of a ticker is owed a snapshot, and the tape stops once for it, when the client has a diff
and the book is known; what comes after the snapshot is then complete.
"""

import asyncio
import time
from collections.abc import Callable

_OTHER_WAITS_S = 1.0


class SnapshotGate:
    """Requests that wait for a book, a tape that waits for one; both waits are bounded."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.owed: set[str] = set()
        self._moved = asyncio.Condition()
        self._waiting: dict[str, int] = {}

    async def tell(self) -> None:
        """Wake who waits: a book has become known, or a snapshot was given."""
        async with self._moved:
            self._moved.notify_all()

    async def given(self, ticker: str) -> None:
        """A snapshot of the ticker has been answered."""
        self.owed.discard(ticker)
        await self.tell()

    async def until_known(self, ticker: str, is_known: Callable[[], bool]) -> bool:
        """Wait for a ticker's book; False when the wait is over first."""
        self._waiting[ticker] = self._waiting.get(ticker, 0) + 1
        try:
            async with asyncio.timeout(self.wait_s), self._moved:
                self._moved.notify_all()
                await self._moved.wait_for(is_known)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiting[ticker] -= 1

    async def hold(self, ticker: str) -> None:
        """Stop the tape until the ticker's snapshot is given.

        It goes on after the bounded wait, or after one second while a request for another
        ticker waits: that client asks one after the other, and each would wait for the other.
        """
        await self.tell()
        started_s = time.monotonic()
        while ticker in self.owed:
            others = any(count for name, count in self._waiting.items() if name != ticker)
            patience_s = min(self.wait_s, _OTHER_WAITS_S) if others else self.wait_s
            left_s = started_s + patience_s - time.monotonic()
            if left_s <= 0:
                break
            try:
                async with asyncio.timeout(left_s), self._moved:
                    await self._moved.wait()
            except TimeoutError:
                continue
        self.owed.discard(ticker)
