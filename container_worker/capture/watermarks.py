"""Up to when everything has come that a line's socket was to bring (rule 17). Pure.

A socket delivers in order, so what comes on it says that all that was sent before it has come
too, also of its neighbours. Silence says nothing: the line may be dead. No clock of ours is
compared with the exchange's, and none that can jump.
"""

from container_worker.exchanges.outcomes import Clock

_SLACK_MS = 2_000
"""Streams of one socket may be this far apart in event time."""
_PATIENCE_S = 10.0
"""So long may a frame be on its way, where only its coming says what time it is."""


class LineClock:
    """The time of the exchange as far as one line has seen it.

    `heard_ns` is when the line's last frame came, whatever it said; set it at each.
    """

    def __init__(self) -> None:
        self.heard_ns = 0
        self._exchange_ms = self._anchor_ms = 0
        self._anchor_s = 0.0
        self._seen_ns = 0
        self._heard_s = self._now_s = 0.0

    def saw(self, event_ms: int, clock: Clock) -> None:
        """A unit has written an event of this time."""
        if clock == "exchange" and event_ms > self._exchange_ms:
            self._exchange_ms = event_ms

    def tick(self, now_s: float) -> None:
        """Call often, with a monotonic clock; what came since the last call came after that."""
        if self._exchange_ms != self._anchor_ms:
            self._anchor_ms, self._anchor_s = self._exchange_ms, now_s
        if self.heard_ns != self._seen_ns:
            self._seen_ns, self._heard_s = self.heard_ns, self._now_s
        self._now_s = now_s

    def complete_ms(self, clock: Clock) -> int:
        """What was sent before this had come with the last frame; 0 if nothing is known.

        The time of the exchange is that of its newest event, and what has passed since.
        """
        if clock != "exchange":
            return self.heard_ns // 1_000_000 - _SLACK_MS if self.heard_ns else 0
        if not self._exchange_ms:
            return 0
        passed_s = max(0.0, self._heard_s - self._anchor_s - _PATIENCE_S)
        return self._exchange_ms - _SLACK_MS + int(passed_s * 1000)
