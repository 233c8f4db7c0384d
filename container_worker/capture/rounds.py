"""What the clock demands of a line's units: room, audits, watermarks, signs of life."""

import time
from collections.abc import Collection

from container_worker.capture.effects import Effects
from container_worker.capture.emissions import Write
from container_worker.capture.outlet import Outlet
from container_worker.capture.refused_units import RefusedUnits
from container_worker.capture.unit import Unit
from container_worker.capture.watch import Alarm
from container_worker.capture.watermarks import LineClock
from marketdata.messages import Watermark
from marketdata.topics import CONTRACT_EVENTS


class Rounds:
    """One for each line; called with the line's lock held. Seconds are monotonic."""

    def __init__(
        self,
        effects: Effects,
        outlet: Outlet,
        clock: LineClock,
        refused: RefusedUnits,
        audit_s: float,
    ) -> None:
        self._effects = effects
        self._outlet = outlet
        self._clock = clock
        self._audit_s = audit_s
        self._refused = refused

    def go(
        self, units: Collection[Unit], now_s: float, watermark_s: float, *, connected: bool
    ) -> None:
        """Once round all units. While the socket is not read, silence is our own."""
        self._clock.tick(now_s)
        self._refused.tick(now_s)
        self._outlet.recover()
        listens = connected and not self._outlet.waited_lately()
        run, now_ns = self._effects.run, time.time_ns()
        for unit in units:
            if unit.sync.muted and not self._outlet.lossy:
                run(unit, unit.sync.speak(), now_ns)
            if unit.is_refused:
                source = self._effects.source_of(unit) if connected else None
                self._refused.ask_again(unit, source)
                continue
            if connected:
                run(unit, unit.sync.audit(now_s, self._audit_s), now_ns)
                self._prove(unit, now_s)
                self._watermark(unit, now_s, watermark_s)
            self._listen(unit, now_s, listens=listens)

    def _listen(self, unit: Unit, now_s: float, *, listens: bool) -> None:
        """A chain is asked for its events, so that it cannot fall silent."""
        source = self._effects.source_of(unit)
        if source is None or not listens or unit.channel.type == CONTRACT_EVENTS:
            unit.watch.rest()
            return
        alarm = unit.watch.look(now_s)
        if alarm is Alarm.NONE:
            return
        self._effects.log("capture.silent", unit, wanted=alarm.value)
        if alarm is Alarm.RESTATE:
            self._effects.run(unit, unit.sync.stalled(), time.time_ns())
        else:
            # Not broken: another one comes first, so that nobody else loses anything (rule 9).
            source.leaving()

    def _prove(self, unit: Unit, now_s: float) -> None:
        """A sign of life says that what was sent before it has come."""
        sync = unit.sync
        if unit.watch.was_heard(now_s):
            sync.proved_ms = max(sync.proved_ms, self._clock.complete_ms(sync.clock))

    def _watermark(self, unit: Unit, now_s: float, watermark_s: float) -> None:
        sync = unit.sync
        if now_s < unit.watermark_due_s or not sync.settled:
            return
        cursor, complete_ms = sync.cursor, max(sync.event_ms, sync.proved_ms)
        if cursor is None and unit.watch.is_quiet(now_s):
            complete_ms = max(complete_ms, self._clock.complete_ms(sync.clock))
        if complete_ms <= sync.marked_ms:
            return
        mark = Watermark(complete_ms, unit.channel.ticker, self._effects.exchange, cursor)
        if self._outlet.send(unit, Write(mark, complete_ms), time.time_ns()):
            sync.marked_ms = complete_ms
            unit.watermark_due_s = now_s + watermark_s
