"""The REST answers (protocols 1.5): weights and refusals around what the venue knows."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from local.exchanges.binance import payloads
from local.exchanges.binance.day import average_row
from local.exchanges.binance.limits import Limits, Refusal, WeightBudget, depth_weight
from local.exchanges.binance.rest_rows import agg_trade_object, trade_object
from local.exchanges.binance.rest_tickers import TICKER_ANSWERS, TickerAnswer
from local.exchanges.binance.venue import Venue
from local.exchanges.candles import LENGTHS_MS
from local.exchanges.fault_plan import FaultPlan
from local.exchanges.refused import refused
from local.exchanges.snapshot_gate import SnapshotGate
from marketdata.errors import LocalError

RESTRICTED = (
    b'{"code": 0, "msg": "Service unavailable from a restricted location according to '
    b"'b. Eligibility' in https://www.binance.com/en/terms. Please contact customer service if "
    b'you believe you received this message in error."}'
)
_DEFAULT_LIMIT, _DEPTH_LIMIT, _ROWS_LIMIT = 100, 5_000, 1_000
_LAST_MS = 2**62

_Answer = Callable[[web.Request], Awaitable[Any]]


class _BadRequestError(LocalError):
    """A request that Binance answers with 400 and a code of its own."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        self.code = code
        self.status = status
        super().__init__(message)


def refusal(status: int, retry_after_s: int | None) -> web.Response:
    """An error answer as Binance gives it for that status."""
    if status == 451:
        body = RESTRICTED
    elif status in (418, 429):
        text = "Way too much request weight used; IP banned." if status == 418 else (
            "Too much request weight used; current limit is used up."
        )  # fmt: skip
        body = msgspec.json.encode({"code": -1003, "msg": text})
    else:
        body = msgspec.json.encode({"code": -1000, "msg": "An unknown error occurred."})
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return web.Response(
        status=status, body=body, content_type="application/json", headers=headers
    )


class RestApi:
    """`/api/v3/…` of one venue."""

    def __init__(
        self, venue: Venue, faults: FaultPlan, gate: SnapshotGate, limits: Limits
    ) -> None:
        self._venue = venue
        self._faults = faults
        self._gate = gate
        self._limits = limits
        self._budget = WeightBudget(limits.weight_per_minute)

    def routes(self) -> list[web.RouteDef]:
        """Everything that is served."""
        table: dict[str, tuple[_Answer, int | Callable[[web.Request], int]]] = {
            "ping": (self._ping, 1),
            "time": (self._time, 1),
            "exchangeInfo": (self._exchange_info, 20),
            "depth": (self._depth, lambda request: depth_weight(_limit(request, _DEPTH_LIMIT))),
            "klines": (self._klines, 2),
            "trades": (self._trades, 25),
            "historicalTrades": (self._historical_trades, 25),
            "aggTrades": (self._agg_trades, 4),
            "avgPrice": (self._average, 2),
        }
        for name, kind in TICKER_ANSWERS.items():
            table[f"ticker/{name}"] = (partial(self._tickers, kind), partial(_weight, kind))
        return [
            web.get(f"/api/v3/{name}", self._served(answer, weight))
            for name, (answer, weight) in table.items()
        ]

    def _served(
        self, answer: _Answer, weight: int | Callable[[web.Request], int]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            instead = await self._instead(request)
            if instead is not None:
                return instead
            address = request.remote or ""
            try:
                cost = weight(request) if callable(weight) else weight
                over = self._budget.take(address, cost, time.time())
                response = _over(over) if over else _json(await answer(request))
            except _BadRequestError as error:
                response = _json({"code": error.code, "msg": str(error)}, error.status)
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(self._budget.used(address))
            return response

        return handle

    async def _instead(self, request: web.Request) -> web.StreamResponse | None:
        now_ms = self._venue.now_ms()
        wait_s = self._faults.slowness(request.path, now_ms)
        if wait_s:
            await asyncio.sleep(wait_s)
        fault = self._faults.refusal("rest", request.path, now_ms)
        if fault is None:
            return None
        return await refused(request, refusal(fault.status, fault.retry_after_s), fault)

    async def _ping(self, _: web.Request) -> dict[str, Any]:
        return {}

    async def _time(self, _: web.Request) -> dict[str, Any]:
        return {"serverTime": self._venue.now_ms()}

    async def _exchange_info(self, request: web.Request) -> dict[str, Any]:
        tickers = self._asked_tickers(request)
        return {
            "timezone": "UTC",
            "serverTime": self._venue.now_ms(),
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": self._limits.weight_per_minute,
                }
            ],
            "exchangeFilters": [],
            "symbols": [self._venue.symbol(ticker) for ticker in tickers],
        }

    def _asked_tickers(self, request: web.Request) -> list[str]:
        if "symbol" in request.query and "symbols" in request.query:
            raise _BadRequestError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in request.query:
            return [self._known(request.query["symbol"])]
        if "symbols" not in request.query:
            return list(self._venue.tickers)
        try:
            asked = msgspec.json.decode(request.query["symbols"], type=list[str])
        except msgspec.MsgspecError as error:
            raise _BadRequestError(
                -1100, "Illegal characters found in parameter 'symbols'."
            ) from error
        return [self._known(ticker) for ticker in asked]

    def _known(self, ticker: str) -> str:
        if ticker not in self._venue.tickers:
            raise _BadRequestError(-1121, "Invalid symbol.")
        return ticker

    def _ticker(self, request: web.Request) -> str:
        if not request.query.get("symbol"):
            raise _BadRequestError(
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
            )
        return self._known(request.query["symbol"])

    async def _tickers(self, kind: TickerAnswer, request: web.Request) -> Any:
        short = request.query.get("type") == "MINI"
        rows = [
            kind.row(self._venue.day(ticker), ticker, short)
            for ticker in self._asked_tickers(request)
        ]
        return rows[0] if "symbol" in request.query else rows

    async def _average(self, request: web.Request) -> dict[str, Any]:
        return average_row(self._venue.trades(self._ticker(request)), self._venue.now_ms())

    async def _depth(self, request: web.Request) -> msgspec.Raw:
        """The book as far as it has been sent; a tape's book is waited for, then 503."""
        ticker, limit = self._ticker(request), _limit(request, _DEPTH_LIMIT)
        ladder = self._venue.ladder(ticker)
        if ladder is None:
            await self._gate.until_known(ticker, lambda: self._venue.ladder(ticker) is not None)
            ladder = self._venue.ladder(ticker)
        if ladder is None:
            raise _BadRequestError(
                -1001, f"the recording has not reached a snapshot of {ticker}", status=503
            )
        updates = self._faults.staleness(ticker, self._venue.now_ms())
        book = ladder.older(updates, limit) if updates else ladder.text(limit)
        await self._gate.given(ticker)
        return msgspec.Raw(payloads.snapshot(book))

    async def _klines(self, request: web.Request) -> list[list[Any]]:
        ticker, interval = self._ticker(request), request.query.get("interval", "")
        if interval not in LENGTHS_MS:
            raise _BadRequestError(-1120, "Invalid interval.")
        start_ms, end_ms = (
            _number(request, "startTime", 0),
            _number(request, "endTime", _LAST_MS),
        )
        rows = [
            row
            for row in self._venue.klines(ticker, interval)
            if start_ms <= int(row[0]) <= end_ms
        ]
        limit = _limit(request, _ROWS_LIMIT, default=500)
        return rows[:limit] if "startTime" in request.query else rows[-limit:]

    async def _trades(self, request: web.Request) -> list[dict[str, Any]]:
        log = self._venue.trades(self._ticker(request))
        limit = _limit(request, _ROWS_LIMIT, default=500)
        return [trade_object(trade) for trade in log.recent(limit)]

    async def _historical_trades(self, request: web.Request) -> list[dict[str, Any]]:
        log = self._venue.trades(self._ticker(request))
        limit = _limit(request, _ROWS_LIMIT, default=500)
        if "fromId" not in request.query:
            return [trade_object(trade) for trade in log.recent(limit)]
        return [trade_object(each) for each in log.since(_number(request, "fromId", 0), limit)]

    async def _agg_trades(self, request: web.Request) -> list[dict[str, Any]]:
        log = self._venue.trades(self._ticker(request))
        limit = _limit(request, _ROWS_LIMIT, default=500)
        if not {"fromId", "startTime", "endTime"} & set(request.query):
            return [agg_trade_object(trade) for trade in log.recent_agg(limit)]
        found = log.since_agg(
            _number(request, "fromId", 0),
            _number(request, "startTime", 0),
            _number(request, "endTime", _LAST_MS),
            limit,
        )
        return [agg_trade_object(trade) for trade in found]


def _weight(kind: TickerAnswer, request: web.Request) -> int:
    return kind.weight if "symbol" in request.query else kind.weight_of_many


def _over(over: Refusal) -> web.Response:
    return refusal(over.status, over.retry_after_s)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _BadRequestError(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(text)


def _limit(request: web.Request, most: int, *, default: int = _DEFAULT_LIMIT) -> int:
    limit = _number(request, "limit", default)
    if not limit:
        raise _BadRequestError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, most)
