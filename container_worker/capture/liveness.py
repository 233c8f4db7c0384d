"""When is one unit silent for too long? Learned from its own pace. Pure: time is an argument.

arrivals ─► the longest intervals of late ─► patience ─► silent? ─► alarm
                                               ▲ twice as much after a false alarm
"""

LEAST_ARRIVALS = 20
"""With fewer than so many nothing is known; then the socket's own stall applies."""
MOST_S = 3_600.0

_PATIENCE = 4.0
"""Silence is an alarm after so many times the longest usual interval ..."""
_SLOW_PATIENCE = 2.0
"""... and, where that is more than `MOST_S`, after so many times."""
_QUIET = 3.0
"""Within so many times its patience the unit was stated anew and its socket replaced."""
_BLOCK_ARRIVALS = 100
_BLOCK_S = 3_600.0
_FADING = 0.84
"""What is kept of the longest interval at each new block: a half after four of them."""
_YOUTH = 6.0
"""A unit that is known for as long as this many times `least_s` needs twice the patience."""


class Pace:
    """Learns the intervals between a unit's signs of life; heartbeats and pings are none.

    The longest one counts, so that bursts do not make it impatient; it fades over at least
    four hours and 400 arrivals. Seconds are of a clock that never jumps.
    """

    __slots__ = (
        "_arrivals",
        "_block_arrivals",
        "_block_from_s",
        "_block_longest_s",
        "_calm",
        "_is_doubted",
        "_least_s",
        "_longest_s",
        "_most_s",
        "_patience",
        "_seen_s",
        "_since_s",
    )

    def __init__(self, least_s: float, most_s: float = MOST_S) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._arrivals = 0
        self._block_arrivals = 0
        self._block_from_s = self._block_longest_s = self._longest_s = 0.0
        self._seen_s: float | None = None
        self._since_s = 0.0
        self._patience = 1.0
        self._calm = 0
        self._is_doubted = False

    def saw(self, now_s: float) -> None:
        """A sign of life."""
        if not self._arrivals:
            self._since_s = self._block_from_s = now_s
        elif self._seen_s is not None and not self._is_doubted:
            self._learn(now_s - self._seen_s, now_s)
        self._arrivals += 1
        self._seen_s = now_s
        self._is_doubted = False

    def rest(self) -> None:
        """There is nothing to hear from: that time says nothing."""
        self._seen_s = None

    def doubt(self) -> None:
        """The alarm was given: the next one takes twice as long, until the pace is back.

        The interval is not learned, as it may be a loss; if it was none, patience does it.
        """
        self._patience *= 2.0
        self._calm = 0
        self._is_doubted = True

    @property
    def is_known(self) -> bool:
        """Whether there were arrivals enough to know it."""
        return self._arrivals >= LEAST_ARRIVALS

    @property
    def longest_s(self) -> float:
        """The longest usual interval."""
        return max(self._longest_s, self._block_longest_s)

    @property
    def quiet_s(self) -> float:
        """After so long a silence it is just quiet: an alarm would have shown a loss."""
        return max(MOST_S, _QUIET * self._wait_s()) if self.is_known else MOST_S

    def patience_s(self) -> float | None:
        """How long it may be silent; None while that is not known."""
        if not self.is_known or self._seen_s is None:
            return None
        known_s = max(self._seen_s - self._since_s, self._least_s / 10)
        youth = 1.0 + _YOUTH * self._least_s / known_s
        return self._wait_s() * youth * self._patience

    def silent(self, now_s: float) -> bool:
        """Whether its silence is longer than its pace allows; after a rest it begins anew."""
        if self._seen_s is None:
            self._seen_s = now_s
        wait_s = self.patience_s()
        return wait_s is not None and now_s - self._seen_s > wait_s

    def _wait_s(self) -> float:
        usual_s = self.longest_s
        return max(
            self._least_s,
            min(_PATIENCE * usual_s, self._most_s),
            _SLOW_PATIENCE * usual_s,
        )

    def _learn(self, interval_s: float, now_s: float) -> None:
        self._block_arrivals += 1
        self._block_longest_s = max(self._block_longest_s, interval_s)
        is_old = now_s - self._block_from_s >= _BLOCK_S
        if is_old and self._block_arrivals >= _BLOCK_ARRIVALS:
            self._longest_s = max(self._block_longest_s, _FADING * self._longest_s)
            self._block_longest_s, self._block_arrivals = 0.0, 0
            self._block_from_s = now_s
        if self._patience > 1.0:
            self._calm += 1
            if self._calm >= LEAST_ARRIVALS:
                self._patience = 1.0
