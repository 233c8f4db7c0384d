"""The clock of the server: makes the market live, or the tape play, and publishes what happens.

market.step / tape.play ─► Hub.publish ─► Hub.flush, at the pace asked for
"""

import asyncio
import time
from dataclasses import dataclass

from local.exchanges.binance.frames import Frame
from local.exchanges.binance.hub import Hub
from local.exchanges.binance.recording import Record
from local.exchanges.binance.snapshot_gate import SnapshotGate
from local.exchanges.binance.tape import BookKnown, Tape
from local.exchanges.binance.venue import SimulatedMarket

STEP_S = 0.05
_LAG_S = 0.25
_LONGEST_IDLE_S = 60.0
_FRAMES_BETWEEN_FLUSHES = 64
_STEPS_BETWEEN_FLUSHES = 10


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


async def run_market(market: SimulatedMarket, hub: Hub, pace: Pace, *, step_s: float) -> None:
    """Make the market live until cancelled, in steps of `step_s` of its own time."""
    step_ms = round(step_s * 1000)
    last_s = time.monotonic()
    now_ms, steps = float(market.now_ms()), 0
    while True:
        if pace.waits and not hub.listened.is_set():
            await hub.listened.wait()
            last_s = time.monotonic()
        for frame in market.step(int(now_ms), hub.wanted):
            hub.publish(frame)
        if pace.speed is None:
            now_ms += step_ms
            steps += 1
            if steps % _STEPS_BETWEEN_FLUSHES == 0:
                hub.flush()
                await hub.room()
            continue
        hub.flush()
        hub.cut_slow()
        await asyncio.sleep(max(0.0, last_s + step_s / pace.speed - time.monotonic()))
        before_s, last_s = last_s, time.monotonic()
        now_ms += (last_s - before_s) * 1000 * pace.speed


class TapePlayer:
    """Plays a tape to the hub's subscribers; none that stays connected misses a frame.

    A client that does not read holds the tape up, at any speed; after a minute without its pong
    it is disconnected, and the tape goes on.
    """

    def __init__(self, tape: Tape, hub: Hub, gate: SnapshotGate, pace: Pace) -> None:
        self.done = False
        self.rounds = 0
        self._tape = tape
        self._hub = hub
        self._gate = gate
        self._pace = pace
        self._due_s = 0.0
        self._last_ns: int | None = None
        self._unflushed = 0
        self._followed: set[str] = set()

    async def run(self, *, once: bool) -> None:
        """Begin with the first subscription; then to the end, or round and round."""
        await self._hub.listened.wait()
        while True:
            await self._round()
            self.rounds += 1
            if once:
                break
            for frame in self._tape.turn():
                self._hub.publish(frame)
        self._hub.release_held()
        await self._flush(limit=0)
        self.done = True

    async def _round(self) -> None:
        self._last_ns = None
        for record in self._tape.records():
            await self._turn_of(record)
            happened = self._tape.play(record)
            if isinstance(happened, Frame):
                await self._publish(happened)
            elif isinstance(happened, BookKnown):
                await self._book_known(happened.ticker)

    async def _turn_of(self, record: Record) -> None:
        """Wait until a record may happen."""
        if self._pace.waits and not self._hub.listened.is_set():
            await self._flush()
            await self._hub.listened.wait()
            self._due_s = time.monotonic()
        if self._pace.speed is not None:
            await self._sleep_until(record.time_ns, self._pace.speed)
        if self._unflushed >= _FRAMES_BETWEEN_FLUSHES:
            await self._flush()
        self._owe_snapshots()

    async def _sleep_until(self, time_ns: int, speed: float) -> None:
        idle_s = (time_ns - self._last_ns) / 1e9 if self._last_ns is not None else 0.0
        self._last_ns = time_ns
        self._due_s += min(max(idle_s, 0.0), _LONGEST_IDLE_S) / speed
        left_s = self._due_s - time.monotonic()
        if left_s > 0.001:
            await self._flush()
            await asyncio.sleep(self._due_s - time.monotonic())
        elif left_s < -_LAG_S:
            self._due_s = time.monotonic()

    async def _flush(self, limit: int | None = None) -> None:
        self._unflushed = 0
        self._hub.flush()
        await (self._hub.room() if limit is None else self._hub.room(limit))

    def _owe_snapshots(self) -> None:
        """Who newly follows a ticker's diffs is owed a snapshot.

        At a pace of time only until the recorded snapshot: later a client keeps up by itself.
        """
        for stream in self._hub.take_newly_wanted():
            ticker = self._tape.diff_ticker(stream)
            if ticker is None:
                continue
            self._followed.discard(ticker)
            if self._pace.speed is None or self._tape.ladder(ticker) is None:
                self._gate.owed.add(ticker)

    async def _publish(self, frame: Frame) -> None:
        self._hub.publish(frame)
        self._unflushed += 1
        if not self._gate.owed or frame.ticker not in self._gate.owed:
            return
        if self._tape.diff_ticker(frame.stream):
            self._followed.add(frame.ticker)
            await self._hold(frame.ticker)

    async def _book_known(self, ticker: str) -> None:
        await self._hold(ticker)
        self._tape.settle(ticker)
        await self._gate.tell()

    async def _hold(self, ticker: str) -> None:
        """Stop for a snapshot that is owed, once there is a diff and the book is known."""
        ready = ticker in self._followed and self._tape.ladder(ticker) is not None
        if ready and ticker in self._gate.owed and self._hub.listened.is_set():
            self._hub.flush()
            await self._gate.hold(ticker)
            self._due_s = max(self._due_s, time.monotonic())
