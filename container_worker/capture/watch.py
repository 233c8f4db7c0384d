"""One unit's alarms: first it is stated anew, then the socket is replaced. Pure.

silent ─► restate ─► answered: false alarm ─► later again
                  └► still silent ─► the socket is replaced, once, until there is life again

It also says when silence is just quiet: only then may a watermark pass over it.
"""

import enum

from container_worker.capture.liveness import Pace


class Alarm(enum.Enum):
    """What is to be done about a unit."""

    NONE = "none"
    RESTATE = "restate"
    REPLACE = "replace"


class Watch:
    """`arrived_ns` is when the unit's last sign of life came; set it at each.

    A socket is replaced only for a unit that has lived on it: one that is silent from its
    beginning is just silent, and a market that closes costs one connection, not one a ticker.
    """

    __slots__ = (
        "_alarms",
        "_has_lived",
        "_heard_ns",
        "_heard_s",
        "_is_answered",
        "_is_sure",
        "_pace",
        "_seen_ns",
        "arrived_ns",
    )

    def __init__(self, least_s: float) -> None:
        self.arrived_ns = 0
        self._seen_ns = 0
        self._alarms = 0
        self._has_lived = False
        self._pace = Pace(least_s)
        self._heard_ns = 0
        self._heard_s: float | None = None
        self._is_answered = self._is_sure = False

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
            return Alarm.RESTATE if self._alarms == 1 else Alarm.REPLACE
        return Alarm.NONE

    def answered(self) -> None:
        """The exchange stated what was known: the unit is alive, and silent."""
        self._alarms = 0
        self._is_answered = True

    def disturbed(self) -> None:
        """Something may have been lost: only a sign of life from now on says what."""
        self._heard_ns = self.arrived_ns
        self._is_answered = self._is_sure = False

    def was_heard(self, now_s: float) -> bool:
        """Whether it gave a sign of life since the last call; call often."""
        if not self._is_answered and self.arrived_ns == self._heard_ns:
            return False
        self._heard_ns, self._heard_s = self.arrived_ns, now_s
        self._is_answered, self._is_sure = False, True
        return True

    def is_quiet(self, now_s: float) -> bool:
        """Whether its silence is believed to be none of a loss.

        That is so where no pace is known and nothing was disturbed, and where it is longer
        than a loss could go unnoticed.
        """
        if self._heard_s is None:
            self._heard_s = now_s
        if self._is_sure and not self._pace.is_known:
            return True
        return now_s - self._heard_s > self._pace.quiet_s

    def rest(self) -> None:
        """The socket is not there, or not read."""
        self._has_lived = False
        self._pace.rest()
