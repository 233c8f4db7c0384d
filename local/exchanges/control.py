"""What may be asked of a server itself: `/_control/status`, `/book`, `/faults`, `/clock`.

GET /_control/status                    what is served, to whom, how far it is
GET /_control/book?ticker=T[&id=N]      the true book now, or just after that update
GET|POST|DELETE /_control/faults        see faults.py
POST /_control/clock {"paused": true}   time stands still, everything due has been sent;
                                        the answer's `standing` says that it does
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import web

from local.exchanges.fault_plan import TooManyFaults
from local.exchanges.faults import decode_fault
from local.exchanges.hub import Hub
from local.exchanges.ladder import Ladder, UnknownBook
from marketdata.errors import InputError

_KINDS = (
    "drop duplicate reorder garbage clock stall delay cut refuse slow stale_snapshot "
    "server_shutdown"
)


class Venue(Protocol):
    """Whatever is served: a simulated market or a tape; asking changes nothing."""

    @property
    def mode(self) -> str:
        """`simulate` or `replay`."""
        ...

    @property
    def tickers(self) -> Sequence[str]:
        """Every ticker, in a fixed order."""
        ...

    def ladder(self, ticker: str) -> Ladder | None:
        """The book, None while it is not known (a tape before its snapshot)."""
        ...

    def last_ids(self, ticker: str) -> Mapping[str, int | str | None]:
        """How far the ticker's numbers are, by whatever names they go."""
        ...

    def now_ms(self) -> int:
        """The exchange's own time: that of the last thing that happened."""
        ...


class _ClockOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    paused: bool


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
            web.post("/_control/clock", self._clock),
        ]

    async def _status(self, _: web.Request) -> web.Response:
        return _json(
            {
                "mode": self._venue.mode,
                **self._progress(),
                "paused": self._hub.clock.paused,
                "tickers": list(self._venue.tickers),
                "time_ms": self._venue.now_ms(),
                "last_ids": {
                    ticker: self._venue.last_ids(ticker) for ticker in self._venue.tickers
                },
                "connections": [
                    {
                        "id": each.number,
                        **each.described(),
                        "streams": list(each.streams),
                        "backlog_bytes": each.backlog,
                    }
                    for each in self._hub.connections.values()
                ],
            }
        )

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

    async def _faults(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "1")
        if not (since.isascii() and since.isdigit() and len(since) < 10 and int(since)):
            return _error(400, f"since {since!r} is not a fault's id")
        return _json({"faults": self._hub.faults.listed(int(since))})

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
        except InputError as error:
            return _error(400, str(error))
        return _json({"id": run.number}, 201)

    async def _end_faults(self, _: web.Request) -> web.Response:
        self._hub.end_faults()
        return _json({"faults": self._hub.faults.listed()})

    async def _clock(self, request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=_ClockOrder)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return _error(400, f'send {{"paused": true}} or {{"paused": false}}: {error}')
        clock = self._hub.clock
        if order.paused:
            return _json({"paused": True, "standing": await clock.pause()})
        clock.resume()
        return _json({"paused": False, "standing": False})


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )


def _error(status: int, sentence: str) -> web.Response:
    return _json({"error": sentence}, status)
