"""What makes a simulated market live: steps at the pace asked for, published as they happen.

market.step ─► Hub.publish ─► Hub.flush
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from local.exchanges.frames import Frame
from local.exchanges.hub import Hub

STEP_S = 0.05
IDLE_STEP_S = 1.0
_STEPS_BETWEEN_FLUSHES = 10

Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Pace:
    """`speed` times real time; None is as fast as the slowest subscriber takes it.

    With `wait_for_subscriber` time stands still while nobody is subscribed; at full speed it
    always does.
    """

    speed: float | None = 1.0
    wait_for_subscriber: bool = False

    @property
    def waits(self) -> bool:
        """Whether time stands still while nobody listens."""
        return self.speed is None or self.wait_for_subscriber


class Market(Protocol):
    """What lives: pure, time is an argument."""

    def now_ms(self) -> int:
        """The exchange's own time."""
        ...

    def step(self, now_ms: int, wanted: Wanted) -> Iterable[Frame]:
        """Live until `now_ms`; the frames that became due, of the streams that are wanted."""
        ...

    def settle(self, wanted: Wanted) -> Iterable[Frame]:
        """What is batched and not sent yet, so that what was sent is all that happened."""
        ...


async def run_market(
    market: Market,
    hub: Hub,
    pace: Pace,
    *,
    step_s: float = STEP_S,
    idle_step_s: float = IDLE_STEP_S,
) -> None:
    """Make the market live until cancelled, in steps of `step_s` of its own time.

    While nobody is subscribed the steps are `idle_step_s`, the first subscription ends one. A
    paused market (`hub.clock`) has sent everything; when it goes on, its time has passed.
    """
    time_is = _Passing(float(market.now_ms()), pace.speed)
    steps = 0
    while True:
        await _let_pass(market, hub, pace, time_is)
        for frame in market.step(int(time_is.now_ms), hub.wanted):
            hub.publish(frame)
        if pace.speed is None:
            time_is.now_ms += round(step_s * 1000)
            steps += 1
            if steps % _STEPS_BETWEEN_FLUSHES == 0:
                hub.flush()
                await hub.room()
            continue
        hub.flush()
        hub.cut_slow()
        if hub.listened.is_set() or idle_step_s <= step_s:
            await asyncio.sleep(time_is.left_s(step_s / pace.speed))
        else:
            await _idle(hub, time_is.left_s(idle_step_s / pace.speed))
        time_is.go_on()


class _Passing:
    """A market's time, as real time passes; at full speed it is moved by hand."""

    def __init__(self, now_ms: float, speed: float | None) -> None:
        self.now_ms = now_ms
        self._speed = speed or 0.0
        self._last_s = time.monotonic()

    def go_on(self) -> None:
        """The time that has passed since the last call has passed here too."""
        before_s, self._last_s = self._last_s, time.monotonic()
        self.now_ms += (self._last_s - before_s) * 1000 * self._speed

    def skip(self) -> None:
        """The time that has passed since the last call has not passed here."""
        self._last_s = time.monotonic()

    def left_s(self, span_s: float) -> float:
        """The rest of a span that began with the last call."""
        return max(0.0, self._last_s + span_s - time.monotonic())


async def _let_pass(market: Market, hub: Hub, pace: Pace, time_is: _Passing) -> None:
    """Wait while time stands still: for a subscriber, or because it was told to."""
    if pace.waits and not hub.listened.is_set():
        with hub.clock.standing():
            await hub.listened.wait()
        time_is.skip()
    if hub.clock.paused:
        await _stand(market, hub)
        time_is.go_on()


async def _idle(hub: Hub, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await hub.listened.wait()


async def _stand(market: Market, hub: Hub) -> None:
    for frame in market.settle(hub.wanted):
        hub.publish(frame)
    hub.release_held()
    hub.flush()
    await hub.clock.stand()
