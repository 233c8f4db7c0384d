"""Plays a tape of any exchange to the hub's subscribers, at the pace asked for.

tape.records ─► its turn has come ─► tape.play ─► Hub.publish ─► Hub.flush
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

from local.exchanges.frames import Frame
from local.exchanges.hub import Hub
from local.exchanges.pace import Pace

_LAG_S = 0.25
_LONGEST_IDLE_S = 60.0
_FRAMES_BETWEEN_FLUSHES = 64


class Timed(Protocol):
    """A recorded thing; `time_ns` is when it was received."""

    @property
    def time_ns(self) -> int:
        """Unix time in nanoseconds."""
        ...


R = TypeVar("R", bound=Timed)


class RecordedTape(Protocol[R]):
    """A recording as a venue: what has been played so far is what the exchange is."""

    def records(self) -> Iterable[R]:
        """One round, by receive time."""
        ...

    def play(self, record: R) -> Any:
        """Let a record happen; the frames that it is, unless a player knows more."""
        ...

    def turn(self) -> Iterable[Frame]:
        """Go back to the start with ids and times moved on; the frames that lead there."""
        ...


class TapePlayer(Generic[R]):
    """Plays a tape to the hub's subscribers; none that stays connected misses a frame.

    A client that does not read holds the tape up, at any speed; after a minute without its pong
    it is disconnected, and the tape goes on. An exchange whose clients need more than frames
    (snapshots by REST) overrides `before` and `happen`.
    """

    def __init__(self, tape: RecordedTape[R], hub: Hub, pace: Pace) -> None:
        self.done = False
        self.rounds = 0
        self.hub = hub
        self.pace = pace
        self._tape = tape
        self._due_s = 0.0
        self._last_ns: int | None = None
        self._unflushed = 0

    def progress(self) -> dict[str, Any]:
        """What `/_control/status` says of it."""
        return {"done": self.done, "rounds": self.rounds}

    async def run(self, *, once: bool) -> None:
        """Begin with the first subscription; then to the end, or round and round."""
        with self.hub.clock.standing():
            await self.hub.listened.wait()
        while True:
            await self._round()
            self.rounds += 1
            if once:
                break
            for frame in self._tape.turn():
                self.hub.publish(frame)
        self.hub.release_held()
        await self.flush(limit=0)
        self.done = True

    def before(self) -> None:
        """Called before each record."""

    async def happen(self, record: R) -> None:
        """Let a record happen."""
        for frame in self._tape.play(record):
            self.publish(frame)

    def publish(self, frame: Frame) -> None:
        """Line a frame up; what is lined up is flushed now and then."""
        self.hub.publish(frame)
        self._unflushed += 1

    async def flush(self, limit: int | None = None) -> None:
        """Write what is lined up and wait until the readers have taken most of it."""
        self._unflushed = 0
        self.hub.flush()
        await (self.hub.room() if limit is None else self.hub.room(limit))

    def go_on_from_now(self) -> None:
        """The tape was held up: what comes next is not late."""
        self._due_s = max(self._due_s, time.monotonic())

    async def _round(self) -> None:
        self._last_ns = None
        for record in self._tape.records():
            await self._turn_of(record)
            await self.happen(record)

    async def _turn_of(self, record: R) -> None:
        """Wait until a record may happen."""
        if self.pace.waits and not self.hub.listened.is_set():
            await self.flush()
            with self.hub.clock.standing():
                await self.hub.listened.wait()
            self._due_s = time.monotonic()
        if self.hub.clock.paused:
            self.hub.release_held()
            await self.flush(limit=0)
            await self.hub.clock.stand()
            self._due_s = time.monotonic()
        if self.pace.speed is not None:
            await self._sleep_until(record.time_ns, self.pace.speed)
        if self._unflushed >= _FRAMES_BETWEEN_FLUSHES:
            await self.flush()
        self.before()

    async def _sleep_until(self, time_ns: int, speed: float) -> None:
        idle_s = (time_ns - self._last_ns) / 1e9 if self._last_ns is not None else 0.0
        self._last_ns = time_ns
        self._due_s += min(max(idle_s, 0.0), _LONGEST_IDLE_S) / speed
        left_s = self._due_s - time.monotonic()
        if left_s > 0.001:
            await self.flush()
            await asyncio.sleep(self._due_s - time.monotonic())
        elif left_s < -_LAG_S:
            self._due_s = time.monotonic()
