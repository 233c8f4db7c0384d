"""What the faults make of an answer on its way: cut, garbled, late, or with another time."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import msgspec
from aiohttp import web

from local.exchanges.fault_plan import FaultPlan
from local.exchanges.fault_runs import Outcome
from local.exchanges.faults import Cut, Delay, Stall
from local.exchanges.frames import Frame
from marketdata.times import EPOCH, parse_iso_ms

TICKER = "events"
_NOBODY = (0,)
_TIMES_S = ("latestLedgerCloseTime", "oldestLedgerCloseTime")


async def send(
    request: web.Request, body: bytes, method: str, faults: FaultPlan, now_ms: int
) -> web.StreamResponse:
    """Answers with the body, as the faults on `events@<method>` let it.

    An answer that is dropped or cut ends as a connection that breaks.
    """
    frame = Frame(TICKER, f"{TICKER}@{method}", body, 0, 0)
    run = None if faults.quiet else faults.on_frame(frame, _NOBODY)
    if run is None:
        return _whole(body)
    outcome = run.take(frame, _NOBODY, time.monotonic(), now_ms)
    spec = run.spec
    if isinstance(spec, Stall | Delay):
        if outcome.hold:
            asyncio.get_running_loop().call_later(spec.seconds, run.end)
        if not outcome.send:
            await asyncio.sleep(spec.seconds)
            return _whole(body) if isinstance(spec, Delay) else _broken(request)
    if isinstance(spec, Cut) and spec.how == "reset":
        return _broken(request) if outcome.cut else _whole(body)
    payload = _payload(outcome)
    return _broken(request) if payload is None else _whole(payload)


def ahead(payload: bytes, ahead_ms: int) -> bytes:
    """The answer with every time of the exchange so far ahead."""
    answer: dict[str, Any] = msgspec.json.decode(payload)
    result = answer.get("result") or {}
    for event in result.get("events") or ():
        moved_ms = parse_iso_ms(event["ledgerClosedAt"]) + ahead_ms
        moment = EPOCH + timedelta(milliseconds=moved_ms)
        event["ledgerClosedAt"] = moment.isoformat().replace("+00:00", "Z")
    for name in _TIMES_S:
        if name in result:
            result[name] = str(int(result[name]) + ahead_ms // 1000)
    return msgspec.json.encode(answer)


def _payload(outcome: Outcome) -> bytes | None:
    for item in outcome.send:
        if isinstance(item, Frame):
            return item.payload
        if item.half_of is not None:
            return item.half_of.payload[: len(item.half_of.payload) // 2]
        return item.payload
    return None


def _whole(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _broken(request: web.Request) -> web.Response:
    """A connection that is reset before its answer; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)
