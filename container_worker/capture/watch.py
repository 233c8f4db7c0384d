"""One unit's alarms: first it is stated anew, then the socket is replaced. Pure.

silent ─► restate ─► answered: false alarm ─► later again
                  └► still silent ─► the socket is broken, once, until there is life again
"""

import enum

from container_worker.capture.liveness import Pace


class Alarm(enum.Enum):
    """What is to be done about a unit."""

    NONE = "none"
    RESTATE = "restate"
    BREAK = "break"


class Watch:
    """`arrived_ns` is when the unit's last sign of life came; set it at each.

    A socket is broken only for a unit that has lived on it: one that is silent from its
    beginning is just silent, and a market that closes costs one connection, not one a ticker.
    """

    __slots__ = ("_alarms", "_has_lived", "_pace", "_seen_ns", "arrived_ns")

    def __init__(self, least_s: float) -> None:
        self.arrived_ns = 0
        self._seen_ns = 0
        self._alarms = 0
        self._has_lived = False
        self._pace = Pace(least_s)

    @property
    def is_doubted(self) -> bool:
        """Whether an alarm was given that nothing has answered."""
        return self._alarms > 0

    def look(self, now_s: float) -> Alarm:
        """Call often while the unit's socket is connected and read."""
        if self.arrived_ns != self._seen_ns:
            self._seen_ns = self.arrived_ns
            self._alarms, self._has_lived = 0, True
            self._pace.saw(now_s)
        elif self._alarms < 1 + self._has_lived and self._pace.silent(now_s):
            self._alarms += 1
            self._pace.doubt()
            return Alarm.RESTATE if self._alarms == 1 else Alarm.BREAK
        return Alarm.NONE

    def answered(self) -> None:
        """The exchange stated what was known: the unit is alive, and silent."""
        self._alarms = 0

    def rest(self) -> None:
        """The socket is not there, or not read."""
        self._has_lived = False
        self._pace.rest()
