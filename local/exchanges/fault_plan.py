"""Every fault that was posted, in order, and which of them acts now. Pure."""

from collections.abc import Collection, Iterator
from heapq import merge
from operator import attrgetter
from typing import Any

import msgspec

from local.exchanges.fault_hits import FaultRun, HitRoom
from local.exchanges.fault_runs import FrameFaultRun, ShiftTime
from local.exchanges.faults import (
    Clock,
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
from local.exchanges.frames import Frame
from marketdata.errors import InputError, LocalError

FAULTS_KEPT = 20_000


class TooManyFaults(LocalError):
    """The record of faults is full; a new server has an empty one."""


class FaultPlan:
    """The faults of one server; at most 20,000 in its life, with 200,000 hits listed.

    A frame is looked at by the faults of its ticker and by those of any ticker; what has ended
    costs nothing more.
    """

    def __init__(self, shift_time: ShiftTime | None = None) -> None:
        self._shift_time = shift_time
        self._room = HitRoom()
        self._runs: list[FaultRun] = []
        self._on_frames: dict[str | None, list[FrameFaultRun]] = {}
        self._on_requests: list[FaultRun] = []

    def add(self, spec: Fault) -> FaultRun:
        """Take a fault up.

        Raises:
            TooManyFaults: 20,000 have been posted.
            InputError: the fault is `clock`, and this exchange's frames have no times to move.
        """
        if len(self._runs) >= FAULTS_KEPT:
            raise TooManyFaults(
                f"{FAULTS_KEPT} faults have been posted: start the server again"
            )
        if isinstance(spec, Clock) and self._shift_time is None:
            raise InputError("this exchange's frames have no times that clock could move")
        number = len(self._runs) + 1
        match spec:
            case (
                Drop()
                | Duplicate()
                | Reorder()
                | Garbage()
                | Clock()
                | Stall()
                | Delay()
                | Cut()
            ):
                run: FaultRun = FrameFaultRun(number, spec, self._room, self._shift_time)
            case _:
                run = FaultRun(number, spec, self._room)
        self._runs.append(run)
        if not isinstance(run, FrameFaultRun):
            self._on_requests.append(run)
        elif not (isinstance(spec, Cut) and spec.after is None):
            self._on_frames.setdefault(run.spec.ticker, []).append(run)
        return run

    @property
    def quiet(self) -> bool:
        """Whether no fault looks at frames."""
        return not self._on_frames

    def on_frame(self, frame: Frame, connections: Collection[int]) -> FrameFaultRun | None:
        """The fault that acts on this frame: of those that match the one posted first."""
        own, any_ticker = self._acting(frame.ticker), self._acting(None)
        both = merge(own, any_ticker, key=attrgetter("number")) if own else any_ticker
        return next((run for run in both if run.matches(frame, connections)), None)

    def _acting(self, ticker: str | None) -> list[FrameFaultRun]:
        runs = self._on_frames.get(ticker)
        if not runs:
            return []
        if any(not run.active for run in runs):
            runs = [run for run in runs if run.active]
            if runs:
                self._on_frames[ticker] = runs
            else:
                del self._on_frames[ticker]
        return runs

    def refusal(self, where: str, path: str, now_ms: int) -> Refuse | None:
        """The refusal that this request gets (`rest` or `ws`); it is counted and recorded."""
        for run in self._requests():
            spec = run.spec
            if (
                isinstance(spec, Refuse)
                and spec.where in (where, "both")
                and spec.path in (None, path)
            ):
                self._request(run, spec.requests, now_ms)
                return spec
        return None

    def slowness(self, path: str, now_ms: int) -> float:
        """Seconds that this request must wait."""
        for run in self._requests():
            spec = run.spec
            if isinstance(spec, Slow) and spec.path in (None, path):
                self._request(run, spec.requests, now_ms)
                return spec.seconds
        return 0.0

    def staleness(self, ticker: str, now_ms: int) -> int:
        """How many updates old this snapshot must be."""
        for run in self._requests():
            spec = run.spec
            if isinstance(spec, StaleSnapshot) and spec.ticker in (None, ticker):
                self._request(run, spec.requests, now_ms, ticker)
                return spec.updates
        return 0

    def _requests(self) -> Iterator[FaultRun]:
        self._on_requests = [run for run in self._on_requests if run.active]
        return iter(self._on_requests)

    def _request(
        self, run: FaultRun, requests: int, now_ms: int, ticker: str | None = None
    ) -> None:
        run.record(now_ms, (), ticker=ticker)
        if len(run.hits) + run.unlisted >= requests:
            run.active = False

    def active(self) -> list[FaultRun]:
        """Those that still act."""
        return [run for run in self._runs if run.active]

    def listed(self, since: int = 1) -> list[dict[str, Any]]:
        """The faults from a number on, as `GET /_control/faults` tells them."""
        return [
            {
                "id": run.number,
                "fault": msgspec.to_builtins(run.spec),
                "active": run.active,
                "hits": [hit.listed() for hit in run.hits],
                "hits_unlisted": run.unlisted,
            }
            for run in self._runs[since - 1 :]
        ]
