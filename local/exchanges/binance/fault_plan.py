"""Every fault that was posted, in order, and which of them acts now. Pure."""

from collections.abc import Collection
from typing import Any

import msgspec

from local.exchanges.binance.fault_runs import FaultRun, FrameFaultRun
from local.exchanges.binance.faults import (
    Cut,
    Delay,
    Drop,
    Duplicate,
    Fault,
    Garbage,
    Refuse,
    Reorder,
    Slow,
    StaleSnapshot,
    Stall,
)
from local.exchanges.binance.frames import Frame
from marketdata.errors import LocalError

FAULTS_KEPT = 1_000


class TooManyFaults(LocalError):
    """The record of faults is full; a new server has an empty one."""


class FaultPlan:
    """The faults of one server; at most 1,000 in its life."""

    def __init__(self) -> None:
        self._runs: list[FaultRun] = []
        self._on_frames: list[FrameFaultRun] = []

    def add(self, spec: Fault) -> FaultRun:
        """Take a fault up.

        Raises:
            TooManyFaults: 1,000 have been posted.
        """
        if len(self._runs) >= FAULTS_KEPT:
            raise TooManyFaults(
                f"{FAULTS_KEPT} faults have been posted: start the server again"
            )
        number = len(self._runs) + 1
        match spec:
            case Drop() | Duplicate() | Reorder() | Garbage() | Stall() | Delay() | Cut():
                run: FaultRun = FrameFaultRun(number, spec)
            case _:
                run = FaultRun(number, spec)
        self._runs.append(run)
        if isinstance(run, FrameFaultRun) and not (
            isinstance(spec, Cut) and spec.after is None
        ):
            self._on_frames.append(run)
        return run

    @property
    def quiet(self) -> bool:
        """Whether no fault looks at frames."""
        return not self._on_frames

    def on_frame(self, frame: Frame, connections: Collection[int]) -> FrameFaultRun | None:
        """The fault that acts on this frame."""
        if any(not run.active for run in self._on_frames):
            self._on_frames = [run for run in self._on_frames if run.active]
        for run in self._on_frames:
            if run.matches(frame, connections):
                return run
        return None

    def refusal(self, where: str, path: str, now_ms: int) -> Refuse | None:
        """The refusal that this request gets; it is counted and recorded."""
        for run in self._runs:
            spec = run.spec
            if (
                run.active
                and isinstance(spec, Refuse)
                and spec.where in (where, "both")
                and spec.path in (None, path)
            ):
                self._request(run, spec.requests, now_ms)
                return spec
        return None

    def slowness(self, path: str, now_ms: int) -> float:
        """Seconds that this request must wait."""
        for run in self._runs:
            spec = run.spec
            if run.active and isinstance(spec, Slow) and spec.path in (None, path):
                self._request(run, spec.requests, now_ms)
                return spec.seconds
        return 0.0

    def staleness(self, ticker: str, now_ms: int) -> int:
        """How many updates old this snapshot must be."""
        for run in self._runs:
            spec = run.spec
            if run.active and isinstance(spec, StaleSnapshot) and spec.ticker in (None, ticker):
                self._request(run, spec.requests, now_ms, ticker)
                return spec.updates
        return 0

    def _request(
        self, run: FaultRun, requests: int, now_ms: int, ticker: str | None = None
    ) -> None:
        run.record(now_ms, (), ticker=ticker)
        if len(run.hits) + run.unlisted >= requests:
            run.active = False

    def active(self) -> list[FaultRun]:
        """Those that still act."""
        return [run for run in self._runs if run.active]

    def listed(self) -> list[dict[str, Any]]:
        """Every fault as `GET /_control/faults` tells it."""
        return [
            {
                "id": run.number,
                "fault": msgspec.to_builtins(run.spec),
                "active": run.active,
                "hits": [hit.listed() for hit in run.hits],
                "hits_unlisted": run.unlisted,
            }
            for run in self._runs
        ]
