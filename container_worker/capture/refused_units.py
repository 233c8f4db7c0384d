"""Units that the exchange refuses, where it names them: the others go on without them.

Refused ─► the unit rests, and its socket forgets it ─► asked for again once an hour ─► it comes
"""

from collections.abc import Callable, Mapping, Sequence

from container_worker.capture.source import Source
from container_worker.capture.unit import Unit
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import Refused

ASK_AGAIN_S = 3_600.0
"""So long a refused unit is left alone; what was refused once is mostly refused for good."""

Tell = Callable[[Sequence[Channel], str], None]


class RefusedUnits:
    """One for each line; called with the line's lock held.

    A unit that rests writes no watermark, and nobody listens for its silence. One unit at least
    never rests: where everything is refused, the socket ends and the error is told.
    """

    def __init__(self, units: Mapping[Channel, Unit], tell: Tell) -> None:
        self._units = units
        self._tell = tell
        self._ask_s: dict[Channel, float] = {}
        self._asked_of: dict[Channel, Source] = {}
        self._now_s = 0.0

    def refuse(self, refused: Refused, source: Source) -> None:
        """Puts the units that are named to rest; what names none ends the socket."""
        named = [
            one
            for one in self._units.values()
            if refused.names(one.channel.ticker, one.channel.type)
        ]
        new = [one.channel for one in named if not one.is_refused]
        left = any(not one.is_refused and one not in named for one in self._units.values())
        if not named or not left:
            source.refused(refused.text)
            return
        for unit in named:
            unit.is_refused = True
            self._ask_s[unit.channel] = self._now_s + ASK_AGAIN_S
            self._asked_of[unit.channel] = source
        source.forget([unit.channel for unit in named])
        if new:
            self._tell(new, refused.text)

    def came(self, unit: Unit, source: Source) -> None:
        """Something of a unit that rests came after all, if it is of whom was asked."""
        if self._asked_of[unit.channel] is source:
            unit.is_refused = False
            del self._asked_of[unit.channel], self._ask_s[unit.channel]

    def tick(self, now_s: float) -> None:
        """Call often, with a monotonic clock."""
        self._now_s = now_s

    def ask_again(self, unit: Unit, source: Source | None) -> None:
        """Asks for a unit that rests once it is due."""
        if source is None or self._now_s < self._ask_s[unit.channel]:
            return
        self._ask_s[unit.channel] = self._now_s + ASK_AGAIN_S
        self._asked_of[unit.channel] = source
        source.ask(unit.channel)
