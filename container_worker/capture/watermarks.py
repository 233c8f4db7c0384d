"""Up to when a unit is complete, also when its ticker is quiet (rule 17). Pure.

A socket delivers in order, so an event of one unit says that all earlier ones of its
neighbours have come too. When the whole line is quiet, its last event's time moves on by the
seconds that pass. No clock of ours is compared with the exchange's, and none that can jump.
"""

from container_worker.exchanges.outcomes import Clock

_SLACK_MS = 2_000
"""Streams of one socket may be this far apart in event time."""
_PATIENCE_S = 10.0
"""A frame may be on its way for so long before quiet counts as quiet."""


class LineClock:
    """The time of the exchange as far as one line has seen it."""

    def __init__(self) -> None:
        self._exchange_ms = 0
        self._received_ms = 0
        self._seen_ms = -1
        self._quiet_since_s = 0.0

    def saw(self, event_ms: int, received_ms: int, clock: Clock) -> None:
        """A unit has written everything up to `event_ms`; the frame came at `received_ms`."""
        if clock == "exchange" and event_ms > self._exchange_ms:
            self._exchange_ms = event_ms
        self._received_ms = received_ms

    def tick(self, now_s: float) -> None:
        """Call often, with a monotonic clock."""
        if self._received_ms != self._seen_ms:
            self._seen_ms = self._received_ms
            self._quiet_since_s = now_s

    def complete_ms(self, clock: Clock, now_s: float) -> int:
        """All events before this have come to a connected line; 0 if nothing is known."""
        quiet_s = max(0.0, now_s - self._quiet_since_s - _PATIENCE_S)
        known_ms = self._exchange_ms if clock == "exchange" else self._received_ms
        return known_ms - _SLACK_MS + int(quiet_s * 1000) if known_ms else 0
