"""From one socket to the next: whose events count for which unit (rule 9).

Units that merge take from any socket. The others take from one at a time, and compare a
second one with what they know until they go over to it.
"""

import time
from collections.abc import Callable, Collection

from container_worker.capture.effects import Effects
from container_worker.capture.emissions import Emissions
from container_worker.capture.source import Place, Role, Source, Sources, place
from container_worker.capture.unit import Unit
from marketdata.messages import Cause

_NS_PER_MS = 1_000_000


class Handover:
    """One for each line; called with the line's lock held.

    `waited_lately` says that the socket was not read for want of room.
    """

    def __init__(
        self,
        units: Collection[Unit],
        sources: Sources,
        effects: Effects,
        waited_lately: Callable[[], bool],
    ) -> None:
        self._units = units
        self._sources = sources
        self._effects = effects
        self._waited_lately = waited_lately

    def meet(self, source: Source, received_ns: int) -> None:
        """A socket in place of one that ended unnoticed: what that one brought may lack."""
        if self._sources.is_stranger(source) and self._sources.adopt(source):
            self.disrupt("disconnect", received_ns)

    def repeats(self, number: int, received_ns: int, source: Source) -> bool:
        """Whether this frame came before; one that is missing breaks the socket."""
        found = place(source, number)
        if found is Place.HOLE:
            self.disrupt("sequence", received_ns, source)
            source.broken(f"frames are missing before number {number}", "sequence")
        return found is Place.REPEAT

    def take(self, unit: Unit, event: object, received_ms: int, source: Source) -> Emissions:
        """For a unit that takes from one socket: from that one, or to compare."""
        role, sync = self._sources.role(source), unit.sync
        if role is Role.NEW and not sync.on_new:
            return sync.take_new(event, received_ms)
        return sync.take(event, received_ms) if _counts(role, unit) else []

    def lost(self, cause: Cause) -> None:
        """The only socket is gone."""
        self._sources.current = None
        self.disrupt(cause, time.time_ns())

    def disrupt(self, cause: Cause, received_ns: int, source: Source | None = None) -> None:
        """Something may be missing of all units; of `single` ones only on their socket."""
        if self._waited_lately():
            cause = "backpressure"
        role = Role.CURRENT if source is None else self._sources.role(source)
        for unit in self._units:
            if source is None or not unit.sync.single or _counts(role, unit):
                unit.watch.disturbed()
                self._effects.run(unit, unit.sync.disrupted(cause), received_ns)
            elif role is Role.NEW:
                unit.sync.lost_new()
                if unit.sync.ours:
                    source.restate(unit.channel)

    def share(self, new: Source) -> None:
        """A second socket is about to be opened."""
        self._sources.new = new
        for unit in self._units:
            self._effects.run(unit, unit.sync.share(two_sockets=True), time.time_ns())

    def part(self) -> None:
        """One socket is left: the new one, unless it is gone."""
        new_stays, now_ns = self._sources.part(), time.time_ns()
        for unit in self._units:
            out = unit.sync.share(
                two_sockets=False, new_stays=new_stays, now_ms=now_ns // _NS_PER_MS
            )
            self._effects.run(unit, out, now_ns)


def _counts(role: Role, unit: Unit) -> bool:
    return role is (Role.NEW if unit.sync.on_new else Role.CURRENT)
