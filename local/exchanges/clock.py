"""Whether a venue's time passes: it can be stopped, so that what stands still is compared."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

_LONGEST_PAUSE_S = 5.0


class Clock:
    """`pause` and `resume` are for the control; the other methods for what makes time pass."""

    def __init__(self) -> None:
        self._runs = asyncio.Event()
        self._runs.set()
        self._stands = asyncio.Event()

    @property
    def paused(self) -> bool:
        """Whether time was told to stand still."""
        return not self._runs.is_set()

    async def pause(self) -> bool:
        """Stop; whether time does stand still now (not while a client is in its way)."""
        self._runs.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_PAUSE_S):
                await self._stands.wait()
        return self._stands.is_set()

    def resume(self) -> None:
        """Go on."""
        self._runs.set()

    async def stand(self) -> float:
        """Stand still until told to go on; the seconds that it took."""
        began_s = time.monotonic()
        with self.standing():
            await self._runs.wait()
        return time.monotonic() - began_s

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """Say that time does not pass while the block lasts, for whatever reason."""
        self._stands.set()
        try:
            yield
        finally:
            self._stands.clear()
