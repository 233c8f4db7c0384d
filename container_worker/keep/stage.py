"""The keeper's loop: one sweep a period, however many connections there are.

lease ─► connections, revoked keys, late items ─► Decisions ─► Acting
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from container_worker import log
from container_worker.keep.acting import Acting
from container_worker.keep.connection import Connection, Outcome
from container_worker.keep.connections import Connections
from container_worker.keep.decisions import Decisions, Flows
from container_worker.keep.late import LateItems
from container_worker.keep.lease import Lease
from container_worker.keep.revoked import RevokedKeys
from container_worker.keep_settings import KeepTimes
from marketdata.connection_items import SHARDS
from marketdata.errors import StoreUnavailable

READERS = 4
REPORT_S = 60.0


class Keep:
    """Sweeps until it is told to stop; `step` is one sweep.

    Args:
        times: The settings.
        stages: Those that are kept.
        flows: What is known of the names' last messages; its errors end the keeper.
        clock_ms: UTC milliseconds.
    """

    def __init__(
        self,
        *,
        times: KeepTimes,
        stages: Iterable[str],
        lease: Lease,
        connections: Connections,
        late: LateItems,
        revoked: RevokedKeys,
        acting: Acting,
        flows: Callable[[], Flows],
        clock_ms: Callable[[], int],
    ) -> None:
        self._times = times
        self._shards = [(stage, number) for stage in stages for number in range(SHARDS)]
        self._lease = lease
        self._connections = connections
        self._late = late
        self._revoked = revoked
        self._acting = acting
        self._flows = flows
        self._clock_ms = clock_ms
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sweep")
        self._decisions: Decisions | None = None
        self._store_away = False
        self._gateway_away = False
        self._next_report_s = time.monotonic() + REPORT_S
        self._listed: Counter[str] = Counter()
        self._sweeps = 0
        self._longest_s = 0.0

    def run(self, stop: threading.Event) -> None:
        """Sweeps until `stop`, then lets the next keeper have the lease.

        Raises:
            StoreError: a table refuses; BrokerError, TopicMismatch: Kafka does.
        """
        while not stop.is_set():
            begun_s = time.monotonic()
            try:
                self.step()
                self._store_is_back()
            except StoreUnavailable as error:
                self._store_is_away(error)
            now_s = time.monotonic()
            if now_s >= self._next_report_s:
                self._next_report_s = now_s + REPORT_S
                log.event("keep.progress", counts=self.report())
            stop.wait(max(0.0, self._times.period_s - (now_s - begun_s)))

    def step(self) -> None:
        """One sweep, if the lease is ours.

        Raises:
            StoreUnavailable: nothing was decided; worth another try.
            StoreError, BrokerError, TopicMismatch: as `run`.
        """
        flows = self._flows()
        self._take_outcomes()
        now_ms = self._clock_ms()
        was_held = self._lease.held
        if not self._lease.hold(now_ms):
            if was_held:
                log.event("keep.lease_lost", level="warning")
            self._decisions = None
            return
        if self._decisions is None or not was_held:
            self._decisions = Decisions(self._times, self._begin_ms(now_ms))
            log.event("keep.lease_taken")
        self._sweep(self._decisions, flows)

    def close(self) -> None:
        """Waits for what is under way and gives the lease back."""
        self._readers.shutdown()
        self._acting.close()
        try:
            self._lease.release()
        except StoreUnavailable as error:
            log.event("keep.lease_kept", level="warning", error=str(error))

    def report(self) -> dict[str, object]:
        """The counts since the last report, for one line of the log."""
        report: dict[str, object] = {
            "holder": self._lease.held,
            "connections": dict(self._listed),
            "sweeps": self._sweeps,
            "longest_sweep_ms": round(self._longest_s * 1000),
            "counts": dict(sorted(self._acting.counts.items())),
        }
        self._acting.counts.clear()
        self._sweeps, self._longest_s = 0, 0.0
        return report

    def _sweep(self, decisions: Decisions, flows: Flows) -> None:
        begun_s = time.monotonic()
        parts = self._readers.map(lambda one: self._connections.of_shard(*one), self._shards)
        connections = [connection for part in parts for connection in part]
        now_s = self._clock_ms() // 1000
        revoked, late = self._revoked.read(now_s), self._late.read(now_s)
        for action in decisions.decide(connections, self._clock_ms(), flows, revoked):
            self._acting.act(action)
        kept = {stage for stage, _ in self._shards}
        theirs = (one for one in late if one.stage in kept)
        for _, owed in groupby(theirs, key=lambda one: one.connection_id):
            self._acting.deliver(tuple(owed))
        self._note(connections, time.monotonic() - begun_s)

    def _begin_ms(self, now_ms: int) -> int:
        """From where heartbeats are owed: after a long silence they begin anew, spread out."""
        from_ms = self._lease.from_ms
        return from_ms if now_ms - from_ms < self._times.pong_s * 1000 else now_ms

    def _note(self, connections: list[Connection], seconds: float) -> None:
        self._listed = Counter(connection.stage for connection in connections)
        self._sweeps += 1
        self._longest_s = max(self._longest_s, seconds)

    def _take_outcomes(self) -> None:
        done = self._acting.finished()
        now_ms = self._clock_ms()
        for action, outcome in done:
            if self._decisions is not None:
                self._decisions.done(action, outcome, now_ms)
        outcomes = {outcome for _, outcome in done} - {Outcome.CHANGED, Outcome.NOT_TRIED}
        away = bool(outcomes) and outcomes <= {Outcome.UNREACHABLE, Outcome.REFUSED}
        if away and not self._gateway_away:
            names = sorted(outcome.value for outcome in outcomes)
            log.event("keep.gateway_unavailable", level="warning", outcomes=names)
        elif outcomes and not away and self._gateway_away:
            log.event("keep.gateway_back")
        self._gateway_away = away if outcomes else self._gateway_away

    def _store_is_away(self, error: StoreUnavailable) -> None:
        if not self._store_away:
            log.event("keep.store_unavailable", level="warning", error=str(error))
        self._store_away = True

    def _store_is_back(self) -> None:
        if self._store_away:
            log.event("keep.store_back")
        self._store_away = False
