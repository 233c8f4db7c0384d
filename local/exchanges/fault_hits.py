"""What a fault hit, as `GET /_control/faults` tells it; bounded. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from local.exchanges.faults import Fault
from local.exchanges.frames import Frame

HITS_KEPT = 10_000
ALL_HITS_KEPT = 200_000


def kind_of(stream: str) -> str:
    """What follows the ticker in the name of a stream."""
    return stream.partition("@")[2]


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
    last_time_ms: int = 0

    def listed(self) -> dict[str, Any]:
        """The hit as `GET /_control/faults` tells it."""
        names = ("ticker", "stream", "connections", "first_id", "last_id", "frames", "lost")
        return {name: getattr(self, name) for name in (*names, "time_ms", "last_time_ms")}


class HitRoom:
    """How many hits all faults of a server may still list."""

    def __init__(self) -> None:
        self.left = ALL_HITS_KEPT

    def take(self) -> bool:
        """Whether there was room for one more."""
        if not self.left:
            return False
        self.left -= 1
        return True


class FaultRun:
    """One fault from its post to its end.

    `hits` is bounded at 10,000, and at 200,000 of all faults together; then only counted.
    """

    def __init__(self, number: int, spec: Fault, room: HitRoom | None = None) -> None:
        self.number = number
        self.spec = spec
        self._room = room or HitRoom()
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
        stream = kind_of(frame.stream) if frame else None
        key = (frame.ticker if frame else ticker, stream, tuple(connections))
        before = self._last_hit.get(key)
        if before and frame and before.turn == turn - 1 and before.lost == lost:
            before.last_id, before.turn = frame.last_id, turn
            before.last_time_ms = now_ms
            before.frames += 1
            return
        if len(self.hits) >= HITS_KEPT or not self._room.take():
            self.unlisted += 1
            return
        first, last = (frame.first_id, frame.last_id) if frame else (None, None)
        hit = Hit(*key, first, last, int(frame is not None), lost, now_ms, turn, now_ms)
        self._last_hit[key] = hit
        self.hits.append(hit)
