"""What a unit's core wants, done: records, fetches, recovery, another statement or socket."""

from collections.abc import Callable, Sequence
from typing import Any

from container_worker import log
from container_worker.capture.emissions import (
    Emission,
    Emissions,
    Fetch,
    Recover,
    Refuse,
    Renew,
    Restate,
    Write,
)
from container_worker.capture.outlet import Outlet
from container_worker.capture.rejects import Rejects
from container_worker.capture.source import Source, Sources
from container_worker.capture.unit import Unit
from container_worker.exchanges.adapter import Channel
from marketdata import codec
from marketdata.messages import Gap

_MOST_ASKED = 3
"""A unit that was not stated after so many requests needs another socket."""


class Effects:
    """One for each line; called with the line's lock held. `gaps` counts gap records."""

    def __init__(
        self,
        exchange: str,
        outlet: Outlet,
        rejects: Rejects,
        sources: Sources,
        *,
        fetch: Callable[[str], None],
        recover: Callable[[Channel, int, int], None],
        lost: Callable[[Channel, Gap], None],
    ) -> None:
        self.gaps = 0
        self.exchange = exchange
        self._outlet = outlet
        self._rejects = rejects
        self._sources = sources
        self._fetch = fetch
        self._recover = recover
        self._lost = lost

    def run(self, unit: Unit, emissions: Emissions, received_ns: int) -> None:
        """Does what one step of a unit's core asks for, in order."""
        for number, emission in enumerate(emissions):
            if not isinstance(emission, Write):
                self._obey(unit, emission, received_ns)
            elif isinstance(emission.message, Gap):
                unit.owed.append((emission, received_ns))
                self.pay(unit)
                self._count_gap(emission.message, unit)
            elif (unit.owed and not self.pay(unit)) or not self._outlet.send(
                unit, emission, received_ns
            ):
                self._mute(unit, emissions[number:], received_ns)
                return

    def pay(self, unit: Unit) -> bool:
        """Writes the gaps that the unit owes; whether all found room."""
        while unit.owed:
            if not self._outlet.send(unit, *unit.owed[0]):
                return False
            unit.owed.popleft()
        return True

    def fill(self, unit: Unit, events: Sequence[Any], received_ns: int) -> int:
        """Writes what recovery found as `backfill`; how many found room, from the first on."""
        late = unit.of_backfill()
        for number, event in enumerate(events):
            for write in unit.sync.fill((event,)):
                self._outlet.make_room()
                if not (self.pay(unit) and self._outlet.send(late, write, received_ns)):
                    self.log("capture.backfill_waits", unit, first=write.id)
                    return number
        return len(events)

    def log(self, event: str, unit: Unit, **more: object) -> None:
        """A warning about one unit."""
        log.event(
            event,
            level="warning",
            exchange=self.exchange,
            ticker=unit.channel.ticker,
            type=unit.channel.type,
            **more,
        )

    def source_of(self, unit: Unit) -> Source | None:
        """The socket that counts for a unit."""
        return self._sources.new if unit.sync.on_new else self._sources.current

    def _obey(self, unit: Unit, emission: Emission, received_ns: int) -> None:
        if isinstance(emission, Fetch):
            self._fetch(emission.ticker)
        elif isinstance(emission, Refuse):
            self._rejects.put(codec.encode(emission.event), emission.reason, received_ns)
        elif isinstance(emission, Recover):
            self._recover(unit.channel, emission.first, emission.last)
        elif isinstance(emission, Restate):
            self._restate(unit)
        elif isinstance(emission, Renew):
            self._renew()

    def _mute(self, unit: Unit, lost: Emissions, received_ns: int) -> None:
        """A hole that was not told is part of the one that opens here; so is asking for it."""
        unsent = [emission for emission in lost if isinstance(emission, Write)]
        self.run(unit, unit.sync.overflow(unsent), received_ns)
        left: Emissions = [one for one in lost if not isinstance(one, Write | Recover)]
        self.run(unit, left, received_ns)

    def _restate(self, unit: Unit) -> None:
        source, channel = self.source_of(unit), unit.channel
        if source is None or unit.is_refused:
            return
        if unit.asked_ns != unit.watch.arrived_ns:
            unit.asked, unit.asked_ns = 0, unit.watch.arrived_ns
        unit.asked += 1
        if unit.asked <= _MOST_ASKED:
            source.restate(channel)
            return
        unit.asked = 0
        text = f"{channel.ticker} ({channel.type}) was not stated anew when it was asked for"
        source.broken(text, "stall")

    def _renew(self) -> None:
        """Frames with numbers show their losses: such a socket needs no test."""
        source = self._sources.current
        if source is not None and source.number is None and not self._sources.shared:
            source.leaving()

    def _count_gap(self, gap: Gap, unit: Unit) -> None:
        self.gaps += 1
        self.log("capture.gap", unit, cause=gap.cause, first=gap.first, last=gap.last)
        self._lost(unit.channel, gap)
