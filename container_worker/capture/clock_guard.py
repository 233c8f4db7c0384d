"""One bad clock must not close a day (rule 10)."""

from typing import Generic, NamedTuple, TypeVar

AN_HOUR_MS = 3_600_000

E = TypeVar("E")


class Admission(NamedTuple, Generic[E]):
    """The events to go on with, and the one that nobody agreed with."""

    ready: tuple[E, ...]
    refused: E | None


class ClockGuard(Generic[E]):
    """Holds an event that is more than an hour ahead until a second one agrees."""

    def __init__(self) -> None:
        self.held: E | None = None
        self._held_ms = 0

    def admit(self, event: E, event_ms: int, known_ms: int) -> Admission[E]:
        """Decides on an event at `event_ms`, when `known_ms` is the key's last time."""
        held = self.held
        if held is not None and held == event:
            return Admission((), None)
        if event_ms - known_ms <= AN_HOUR_MS:
            self.held = None
            return Admission((event,), held)
        if held is not None and abs(event_ms - self._held_ms) <= AN_HOUR_MS:
            self.held = None
            return Admission((held, event), None)
        self.held, self._held_ms = event, event_ms
        return Admission((), held)
