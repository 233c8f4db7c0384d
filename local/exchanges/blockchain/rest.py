"""The REST answers of the exchange's public part (protocols 3.2, 3.5)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from local.exchanges.blockchain.payloads import Book, Row
from local.exchanges.blockchain.venue import Venue
from local.exchanges.fault_plan import FaultPlan
from local.exchanges.refused import refused
from marketdata.times import iso_ms

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RestApi:
    """`/v3/exchange/…` and the older list of instruments, of one venue."""

    def __init__(self, venue: Venue, faults: FaultPlan) -> None:
        self._venue = venue
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """Everything that is served."""
        table: dict[str, Callable[[str], Any]] = {
            "/v3/exchange/symbols": lambda _: self._venue.symbols(),
            "/v3/exchange/symbols/{symbol}": lambda symbol: self._venue.symbols()[symbol],
            "/v3/exchange/tickers": lambda _: [
                self._ticker(one) for one in self._venue.tickers
            ],
            "/v3/exchange/tickers/{symbol}": self._ticker,
            "/v3/exchange/l2/{symbol}": lambda symbol: self._book(symbol, _level),
            "/v3/exchange/l3/{symbol}": lambda symbol: self._book(symbol, _order),
            "/mercury-gateway/v1/instruments": lambda _: [
                {"symbol": symbol, **row} for symbol, row in self._venue.symbols().items()
            ],
        }
        return [web.get(path, self._served(answer)) for path, answer in table.items()]

    def _served(self, answer: Callable[[str], Any]) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            now_ms = self._venue.now_ms()
            wait_s = self._faults.slowness(request.path, now_ms)
            if wait_s:
                await asyncio.sleep(wait_s)
            fault = self._faults.refusal("rest", request.path, now_ms)
            if fault:
                said = self.refusal(request.path, fault.status, fault.retry_after_s)
                return await refused(request, said, fault)
            symbol = request.match_info.get("symbol", "")
            if symbol and symbol not in self._venue.symbols():
                return self.refusal(request.path, 404)
            return _json(answer(symbol))

        return handle

    def refusal(self, path: str, status: int, retry_after_s: int | None = None) -> web.Response:
        """An error as the exchange words it."""
        phrase = HTTPStatus(status).phrase if status in _STATUSES else "Error"
        body = {
            "timestamp": iso_ms(self._venue.now_ms()),
            "status": status,
            "error": phrase,
            "message": "",
            "path": path,
        }
        response = _json(body, status)
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(retry_after_s)
        return response

    def _ticker(self, symbol: str) -> dict[str, Any]:
        state: Mapping[str, str] = self._venue.state(symbol)
        numbers = {name: msgspec.Raw(text.encode()) for name, text in state.items()}
        return {"symbol": symbol, **numbers}

    def _book(self, symbol: str, row: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
        """Best level first; an unknown book is empty, as that of a closed symbol is."""
        book = self._venue.book(symbol) or Book([], [])
        return {
            "symbol": symbol,
            "bids": [row(one) for one in reversed(book.bids)],
            "asks": [row(one) for one in book.asks],
        }


_STATUSES = frozenset(int(one) for one in HTTPStatus)


def _level(row: Row) -> dict[str, Any]:
    return {**_numbers(row), "num": row.orders}


def _order(row: Row) -> dict[str, Any]:
    return {**_numbers(row), "num": msgspec.Raw(row.order.encode() or b"0")}


def _numbers(row: Row) -> dict[str, Any]:
    return {
        "px": msgspec.Raw(row.price.encode()),
        "qty": msgspec.Raw(row.quantity.encode()),
    }


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
