"""Makes the time of a recorded chain pass, from the first question on."""

import asyncio
import time
from typing import Any

from local.exchanges.hub import Hub
from local.exchanges.pace import Pace
from local.exchanges.stellar.methods import Methods
from local.exchanges.stellar.tape import RecordedChain

_STEP_S = 0.05
_AHEAD = 200


class Replay:
    """One round, or round after round.

    At full speed the chain is never more than 200 ledgers ahead of what has been read.
    """

    def __init__(self, chain: RecordedChain, methods: Methods, hub: Hub, pace: Pace) -> None:
        self._chain = chain
        self._methods = methods
        self._hub = hub
        self._speed = pace.speed

    def progress(self) -> dict[str, Any]:
        """What `/_control/status` says of it: `done` when somebody has read to the end."""
        chain = self._chain
        done = chain.is_over and self._methods.read_to >= chain.last
        return {"done": done, "rounds": 1 if done else chain.rounds}

    async def run(self) -> None:
        """Ends when everything has happened, with a recording that is played once."""
        with self._hub.clock.standing():
            await self._methods.asked.wait()
        last_s = time.monotonic()
        while not self._chain.is_over:
            if self._hub.clock.paused:
                await self._hub.clock.stand()
                last_s = time.monotonic()
            await asyncio.sleep(_STEP_S)
            before_s, last_s = last_s, time.monotonic()
            self._chain.live(self._next_ms(last_s - before_s))

    def _next_ms(self, passed_s: float) -> int:
        chain = self._chain
        if self._speed is not None:
            return chain.now_ms + round(passed_s * 1000 * self._speed)
        return chain.close_ms(max(chain.first, self._methods.read_to) + _AHEAD)
