"""The REST answers (protocols 5.5): limits and refusals around what the venue knows."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from local.exchanges.coinbase import rest_rows
from local.exchanges.coinbase.limits import Bucket, Limits
from local.exchanges.coinbase.products import currency_objects
from local.exchanges.coinbase.venue import FeedVenue
from local.exchanges.fault_plan import FaultPlan
from local.exchanges.refused import refused
from marketdata.errors import LocalError
from marketdata.times import iso_ms, parse_iso_ms

_Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SENTENCES = {
    429: "Public rate limit exceeded",
    451: "Coinbase does not serve this location",
    500: "Internal server error",
    503: "Service unavailable",
}
_WHOLE = re.compile(r"[0-9]{1,18}")


class _NotServed(LocalError):
    """A request that is answered with an error status and a message."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def refusal(status: int, retry_after_s: int | None) -> web.Response:
    """An error answer as Coinbase gives it for that status."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    response = _json({"message": _SENTENCES.get(status, "Request refused")}, status)
    response.headers.update(headers)
    return response


class RestApi:
    """`/products…` and `/time` of one venue."""

    def __init__(self, venue: FeedVenue, faults: FaultPlan, limits: Limits) -> None:
        self._venue = venue
        self._faults = faults
        self._bucket = Bucket(limits.requests_per_second, limits.requests_burst)

    def routes(self) -> list[web.RouteDef]:
        """Everything that is served."""
        table: dict[str, _Answer] = {
            "/time": self._time,
            "/products": self._products,
            "/currencies": self._currencies,
            "/products/{id}": self._product,
            "/products/{id}/book": self._book,
            "/products/{id}/trades": self._trades,
            "/products/{id}/candles": self._candles,
            "/products/{id}/ticker": self._ticker,
            "/products/{id}/stats": self._stats,
        }
        return [web.get(path, self._served(answer)) for path, answer in table.items()]

    def _served(self, answer: _Answer) -> _Answer:
        async def handle(request: web.Request) -> web.StreamResponse:
            now_ms = self._venue.now_ms()
            wait_s = self._faults.slowness(request.path, now_ms)
            if wait_s:
                await asyncio.sleep(wait_s)
            fault = self._faults.refusal("rest", request.path, now_ms)
            if fault:
                said = refusal(fault.status, fault.retry_after_s)
                return await refused(request, said, fault)
            if not request.headers.get("User-Agent"):
                return _json({"message": "User-Agent header is required."}, 400)
            if not self._bucket.take(request.remote or "", time.monotonic()):
                return refusal(429, None)
            try:
                return await answer(request)
            except _NotServed as error:
                return _json({"message": str(error)}, error.status)

        return handle

    async def _time(self, _: web.Request) -> web.Response:
        now_ms = self._venue.now_ms()
        return _json({"iso": iso_ms(now_ms), "epoch": now_ms / 1000})

    async def _products(self, _: web.Request) -> web.Response:
        return _json([self._venue.product(ticker) for ticker in self._venue.tickers])

    async def _currencies(self, _: web.Request) -> web.Response:
        listed = [self._venue.product(ticker) for ticker in self._venue.tickers]
        return _json(currency_objects(listed))

    async def _product(self, request: web.Request) -> web.Response:
        return _json(self._venue.product(self._known(request)))

    def _known(self, request: web.Request) -> str:
        ticker = request.match_info["id"]
        if ticker not in self._venue.tickers:
            raise _NotServed(404, "NotFound")
        return ticker

    async def _book(self, request: web.Request) -> web.Response:
        """The book as of the stream: whole for level 2, the best of each side for level 1."""
        ticker, level = self._known(request), request.query.get("level", "1")
        if level not in ("1", "2"):
            text = "level 3 is not simulated" if level == "3" else "Invalid level"
            raise _NotServed(400, text)
        ladder = self._venue.ladder(ticker)
        if ladder is None:
            raise _NotServed(503, f"the recording has not reached a snapshot of {ticker}")
        updates = self._faults.staleness(ticker, self._venue.now_ms())
        limit = 1 if level == "1" else rest_rows.ALL_LEVELS
        book = ladder.older(updates, limit) if updates else ladder.text(limit)
        number = self._venue.sequence(ticker)
        body = rest_rows.book(book, number, iso_ms(self._venue.now_ms()))
        return web.Response(body=body, content_type="application/json")

    async def _trades(self, request: web.Request) -> web.Response:
        """A page, newest first, with the cursors of its two ends in headers."""
        matches = self._venue.matches(self._known(request))
        limit = _number(request, "limit", rest_rows.TRADES_A_PAGE)
        if not limit:
            raise _NotServed(400, "limit must be above 0")
        before, after = _number(request, "before", None), _number(request, "after", None)
        page = rest_rows.trades_page(matches, limit, before=before, after=after)
        response = _json([rest_rows.trade(match) for match in page])
        if page:
            response.headers["CB-BEFORE"] = str(page[0].trade_id)
            response.headers["CB-AFTER"] = str(page[-1].trade_id)
        return response

    async def _candles(self, request: web.Request) -> web.Response:
        ticker, text = self._known(request), request.query.get("granularity", "60")
        interval = rest_rows.INTERVALS.get(text)
        if interval is None:
            raise _NotServed(400, "Unsupported granularity")
        length_ms, now_ms = int(text) * 1000, self._venue.now_ms()
        start_ms, end_ms = _instant(request, "start"), _instant(request, "end")
        if start_ms is None or end_ms is None:
            end_ms = now_ms
            start_ms = now_ms - (rest_rows.CANDLES_A_PAGE - 1) * length_ms
        if (end_ms - start_ms) // length_ms > rest_rows.CANDLES_A_PAGE:
            raise _NotServed(
                400,
                "granularity too small for the requested time range. Count of aggregations "
                f"requested exceeds {rest_rows.CANDLES_A_PAGE}",
            )
        candles = self._venue.minutes(ticker).over(interval)
        body = rest_rows.candles(candles, start_ms, end_ms)
        return web.Response(body=body, content_type="application/json")

    async def _ticker(self, request: web.Request) -> web.Response:
        return _json(rest_rows.ticker(self._told(request)))

    async def _stats(self, request: web.Request) -> web.Response:
        return _json(rest_rows.stats(self._told(request)))

    def _told(self, request: web.Request) -> bytes:
        frame = self._venue.opening(self._known(request), "ticker")
        if frame is None:
            raise _NotServed(404, "NotFound")
        return frame.payload


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )


def _number(request: web.Request, name: str, default: int | None) -> int | None:
    text = request.query.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text):
        raise _NotServed(400, f"{name} is not a number")
    return int(text)


def _instant(request: web.Request, name: str) -> int | None:
    """A time as ISO 8601 or Unix seconds, in ms."""
    text = request.query.get(name)
    if text is None:
        return None
    if _WHOLE.fullmatch(text):
        return int(text) * 1000
    try:
        return parse_iso_ms(text)
    except ValueError as error:
        raise _NotServed(400, f"{name} is not a time in ISO 8601") from error
