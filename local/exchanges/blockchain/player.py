"""Plays the tape once its listeners are there: one pair is subscribed to after the other."""

import asyncio
import time

from local.exchanges.blockchain.tape import Tape
from local.exchanges.hub import Hub
from local.exchanges.pace import Pace
from local.exchanges.player import TapePlayer
from local.exchanges.recordings import RecordedLine

_POLL_S = 0.02


class PatientPlayer(TapePlayer[RecordedLine]):
    """Begins when all that is recorded is subscribed to, or nothing more has been for a while.

    Who comes later begins with the book as of that moment.
    """

    def __init__(self, tape: Tape, hub: Hub, pace: Pace, patience_s: float) -> None:
        super().__init__(tape, hub, pace)
        self._streams = tape.streams
        self._patience_s = patience_s

    async def run(self, *, once: bool) -> None:
        """See `TapePlayer`."""
        with self.hub.clock.standing():
            await self.hub.listened.wait()
            await self._gather()
        await super().run(once=once)

    async def _gather(self) -> None:
        last_s = time.monotonic()
        while time.monotonic() - last_s < self._patience_s:
            if all(map(self.hub.wanted, self._streams)):
                return
            if self.hub.take_newly_wanted():
                last_s = time.monotonic()
            await asyncio.sleep(_POLL_S)
