"""What may be asked of the server itself: `/_control/status`, `/book`, `/faults`."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from local.exchanges.binance.fault_plan import TooManyFaults
from local.exchanges.binance.faults import decode_fault
from local.exchanges.binance.hub import Hub
from local.exchanges.binance.ladder import UnknownBook
from local.exchanges.binance.venue import Venue

_KINDS = (
    "drop duplicate reorder garbage stall delay cut refuse slow stale_snapshot server_shutdown"
)


class Control:
    """Handlers under `/_control/`; `progress` adds to the status what the mode knows."""

    def __init__(self, venue: Venue, hub: Hub, progress: Callable[[], dict[str, Any]]) -> None:
        self._venue = venue
        self._hub = hub
        self._progress = progress

    def routes(self) -> list[web.RouteDef]:
        """Everything that is served."""
        return [
            web.get("/_control/status", self._status),
            web.get("/_control/book", self._book),
            web.get("/_control/faults", self._faults),
            web.post("/_control/faults", self._inject),
            web.delete("/_control/faults", self._end_faults),
        ]

    async def _status(self, _: web.Request) -> web.Response:
        return _json(
            {
                "mode": self._venue.mode,
                **self._progress(),
                "tickers": list(self._venue.tickers),
                "time_ms": self._venue.now_ms(),
                "last_ids": {ticker: self._last_ids(ticker) for ticker in self._venue.tickers},
                "connections": [
                    {
                        "id": each.number,
                        "combined": each.wishes.combined,
                        "streams": list(each.wishes.streams),
                        "backlog_bytes": each.backlog,
                    }
                    for each in self._hub.connections.values()
                ],
            }
        )

    def _last_ids(self, ticker: str) -> dict[str, int | None]:
        ladder, trades = self._venue.ladder(ticker), self._venue.trades(ticker).trades
        return {
            "update_id": ladder.last_id if ladder else None,
            "trade_id": trades[-1].trade_id if trades else None,
        }

    async def _book(self, request: web.Request) -> web.Response:
        ticker, number = request.query.get("ticker", ""), request.query.get("id")
        if ticker not in self._venue.tickers:
            return _error(404, f"ticker {ticker!r} is not served")
        if number is not None and not (number.isascii() and number.isdigit()):
            return _error(400, f"id {number!r} is not an update id")
        ladder = self._venue.ladder(ticker)
        if ladder is None:
            return _error(
                404, f"the book of {ticker} is not known before its recorded snapshot"
            )
        try:
            book = ladder.at(ladder.last_id if number is None else int(number))
        except UnknownBook as error:
            return _error(404, str(error))
        body = f'{{"id":{book.update_id},"bids":[{book.bids}],"asks":[{book.asks}]}}'
        return web.Response(body=body.encode(), content_type="application/json")

    async def _faults(self, _: web.Request) -> web.Response:
        return _json({"faults": self._hub.faults.listed()})

    async def _inject(self, request: web.Request) -> web.Response:
        try:
            spec = decode_fault(await request.read())
        except msgspec.ValidationError as error:
            return _error(400, f"no such fault: {error}; kinds: {_KINDS}")
        except msgspec.DecodeError as error:
            return _error(400, f"the fault is not JSON: {error}")
        try:
            run = self._hub.post(spec)
        except TooManyFaults as error:
            return _error(429, str(error))
        return _json({"id": run.number}, 201)

    async def _end_faults(self, _: web.Request) -> web.Response:
        self._hub.end_faults()
        return _json({"faults": self._hub.faults.listed()})


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )


def _error(status: int, sentence: str) -> web.Response:
    return _json({"error": sentence}, status)
