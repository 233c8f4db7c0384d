"""Faults at work: what each does to the frames that it matches. Pure.

frame ─► FaultRun.take ─► what is sent instead (nothing, twice, later, garbage), or a cut
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random

from local.exchanges.fault_hits import FaultRun, HitRoom, kind_of
from local.exchanges.faults import (
    Clock,
    Cut,
    Delay,
    Drop,
    Duplicate,
    FrameFault,
    Garbage,
    Reorder,
    Stall,
)
from local.exchanges.frames import BINARY, TEXT, Frame

FRAMES_HELD = 20_000

ShiftTime = Callable[[bytes, int], bytes]
"""A payload, and by how many milliseconds its times shall be later."""


@dataclass(frozen=True, slots=True)
class Garbled:
    """Bytes that are no message, or the first half of a frame; opcode None is the usual one."""

    payload: bytes = b""
    half_of: Frame | None = None
    opcode: int | None = None


@dataclass(slots=True)
class Outcome:
    """What the affected connections get: frames, and what is no message."""

    send: list[Frame | Garbled] = field(default_factory=list)
    cut: bool = False
    hold: bool = False


class FrameFaultRun(FaultRun):
    """A fault that looks at frames."""

    spec: FrameFault

    def __init__(
        self,
        number: int,
        spec: FrameFault,
        room: HitRoom | None = None,
        shift_time: ShiftTime | None = None,
    ) -> None:
        super().__init__(number, spec, room)
        self._shift_time = shift_time
        seed = 0 if isinstance(spec, Stall | Delay | Cut) else spec.seed
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
            and spec.stream in (None, kind_of(frame.stream))
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
        spec: Drop | Duplicate | Reorder | Garbage | Clock,
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
        if isinstance(spec, Reorder):
            self.held, self.active = [frame], True
        return Outcome(self._instead(spec, frame))

    def _instead(
        self, spec: Drop | Duplicate | Reorder | Garbage | Clock, frame: Frame
    ) -> list[Frame | Garbled]:
        match spec:
            case Duplicate():
                return [frame, frame]
            case Garbage():
                return [_garbage(spec, frame), *([] if spec.replace else [frame])]
            case Clock():
                return [self._ahead(spec, frame)]
            case _:
                return []

    def _ahead(self, spec: Clock, frame: Frame) -> Frame:
        if self._shift_time is None:
            return frame
        return frame._replace(payload=self._shift_time(frame.payload, spec.ahead_s * 1000))

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


def _garbage(spec: Garbage, frame: Frame) -> Garbled:
    match spec.form:
        case "text":
            return Garbled(b"this is not JSON", opcode=TEXT)
        case "truncated":
            return Garbled(half_of=frame)
        case "binary":
            return Garbled(bytes(range(64)), opcode=BINARY)
