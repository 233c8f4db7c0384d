"""Faults at work: what each does to the frames that it matches, and what it hit. Pure.

frame ─► FaultRun.take ─► what is sent instead (nothing, twice, later, garbage), or a cut
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any

from local.exchanges.binance.faults import (
    Cut,
    Delay,
    Drop,
    Duplicate,
    Fault,
    FrameFault,
    Garbage,
    Reorder,
    Stall,
)
from local.exchanges.binance.frames import BINARY, Frame, combined, websocket_frame

HITS_KEPT = 10_000
FRAMES_HELD = 20_000


@dataclass(slots=True)
class Hit:
    """Neighbouring frames of one stream that one fault hit; ids are None for a request."""

    ticker: str | None
    stream: str | None
    connections: tuple[int, ...]
    first_id: int | None
    last_id: int | None
    frames: int
    lost: bool
    time_ms: int
    turn: int

    def listed(self) -> dict[str, Any]:
        """The hit as `GET /_control/faults` tells it."""
        names = ("ticker", "stream", "connections", "first_id", "last_id", "frames", "lost")
        return {name: getattr(self, name) for name in (*names, "time_ms")}


@dataclass(slots=True)
class Outcome:
    """What the affected connections get: frames, and bytes ready for the wire."""

    send: list[Frame | bytes] = field(default_factory=list)
    cut: bool = False
    hold: bool = False


class FaultRun:
    """One fault from its post to its end; `hits` is bounded at 10,000, then only counted."""

    def __init__(self, number: int, spec: Fault) -> None:
        self.number = number
        self.spec = spec
        self.active = True
        self.hits: list[Hit] = []
        self.unlisted = 0
        self._last_hit: dict[tuple[str | None, str | None, tuple[int, ...]], Hit] = {}

    def record(
        self,
        now_ms: int,
        connections: Collection[int],
        *,
        ticker: str | None = None,
        frame: Frame | None = None,
        turn: int = 0,
        lost: bool = False,
    ) -> None:
        """Note a hit; a frame that follows the last one hit on its stream extends that hit."""
        stream = _kind(frame.stream) if frame else None
        key = (frame.ticker if frame else ticker, stream, tuple(connections))
        before = self._last_hit.get(key)
        if before and frame and before.turn == turn - 1 and before.lost == lost:
            before.last_id, before.turn = frame.last_id, turn
            before.frames += 1
            return
        if len(self.hits) >= HITS_KEPT:
            self.unlisted += 1
            return
        first, last = (frame.first_id, frame.last_id) if frame else (None, None)
        hit = Hit(*key, first, last, int(frame is not None), lost, now_ms, turn)
        self._last_hit[key] = hit
        self.hits.append(hit)


class FrameFaultRun(FaultRun):
    """A fault that looks at frames."""

    spec: FrameFault

    def __init__(self, number: int, spec: FrameFault) -> None:
        super().__init__(number, spec)
        seed = spec.seed if isinstance(spec, Drop | Duplicate | Reorder | Garbage) else 0
        self._random = Random(seed)  # noqa: S311 - repeatable on purpose
        self._passed = 0
        self._looked_at = 0
        self._turns: Counter[str] = Counter()
        self._ends_s: float | None = None
        self.held: list[Frame] = []

    def matches(self, frame: Frame, connections: Collection[int]) -> bool:
        """Whether the fault looks at this frame, which goes to these connections."""
        spec = self.spec
        if isinstance(spec, Reorder) and self.held and self.held[0].stream != frame.stream:
            return False
        return (
            spec.ticker in (None, frame.ticker)
            and spec.stream in (None, _kind(frame.stream))
            and (spec.connection is None or spec.connection in connections)
        )

    def affected(self, connections: Collection[int]) -> tuple[int, ...]:
        """Those of the connections that the fault is for."""
        only = self.spec.connection
        return tuple(each for each in connections if only in (None, each))

    def take(
        self, frame: Frame, connections: Collection[int], now_s: float, now_ms: int
    ) -> Outcome:
        """What happens with a frame that matches."""
        self._turns[frame.stream] += 1
        if self._passed < (self.spec.after or 0):
            self._passed += 1
            return Outcome([frame])
        if isinstance(self.spec, Stall | Delay):
            return self._in_window(self.spec, frame, connections, now_s, now_ms)
        if isinstance(self.spec, Cut):
            self.active = False
            self._note(frame, connections, now_ms, lost=True)
            return Outcome(cut=True)
        return self._counted(self.spec, frame, connections, now_ms)

    def _in_window(
        self,
        spec: Stall | Delay,
        frame: Frame,
        connections: Collection[int],
        now_s: float,
        now_ms: int,
    ) -> Outcome:
        opens = self._ends_s is None
        if self._ends_s is None:
            self._ends_s = now_s + spec.seconds
        if isinstance(spec, Stall):
            if now_s >= self._ends_s and not opens:
                self.active = False
                return Outcome([frame])
            self._note(frame, connections, now_ms, lost=True)
            return Outcome(hold=opens)
        self._note(frame, connections, now_ms, lost=False)
        self.held.append(frame)
        if len(self.held) > FRAMES_HELD:
            return Outcome(list(self.end()))
        return Outcome(hold=opens)

    def _counted(
        self,
        spec: Drop | Duplicate | Reorder | Garbage,
        frame: Frame,
        connections: Collection[int],
        now_ms: int,
    ) -> Outcome:
        held, self.held = self.held, []
        if self._looked_at >= spec.frames:
            self.active = False
            return Outcome([frame, *held])
        self._looked_at += 1
        hit = self._random.random() < spec.probability and not held
        self.active = self._looked_at < spec.frames
        if not hit:
            return Outcome([frame, *held])
        lost = isinstance(spec, Drop) or (isinstance(spec, Garbage) and spec.replace)
        self._note(frame, connections, now_ms, lost=lost)
        match spec:
            case Drop():
                return Outcome()
            case Duplicate():
                return Outcome([frame, frame])
            case Reorder():
                self.held, self.active = [frame], True
                return Outcome()
            case Garbage():
                return Outcome([_garbage(spec, frame), *([] if spec.replace else [frame])])

    def _note(
        self, frame: Frame, connections: Collection[int], now_ms: int, *, lost: bool
    ) -> None:
        affected = self.affected(connections)
        self.record(now_ms, affected, frame=frame, turn=self._turns[frame.stream], lost=lost)

    def end(self) -> list[Frame]:
        """Stop; the frames that were held and must be sent now."""
        self.active = False
        held, self.held = self.held, []
        return held


def _kind(stream: str) -> str:
    return stream.partition("@")[2]


def _garbage(spec: Garbage, frame: Frame) -> bytes:
    match spec.form:
        case "text":
            return websocket_frame(b"this is not JSON")
        case "truncated":
            whole = combined(frame.stream, frame.payload)
            return websocket_frame(whole[: len(whole) // 2])
        case "binary":
            return websocket_frame(bytes(range(64)), BINARY)
