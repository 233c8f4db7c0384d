"""Tells the gateway what to do wrong, and shows who is connected; for tests.

GET | POST | DELETE /_control/faults        GET /_control/connections
"""

import msgspec
from aiohttp import web

from local.gateway.answers import json_answer, rest_error
from local.gateway.clients import Clients
from local.gateway.faults import Fault, Faults
from marketdata.times import iso_ms


class Control:
    """Serves the control paths."""

    def __init__(self, clients: Clients, faults: Faults) -> None:
        self._clients = clients
        self._faults = faults

    async def add_fault(self, request: web.Request) -> web.Response:
        """Take one fault; a `cut` happens at once and says how many connections it cut."""
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
        except (msgspec.DecodeError, UnicodeError) as error:
            return rest_error(400, "VALIDATION_ERROR", str(error))
        if fault.kind == "cut":
            return json_answer(200, {"cut": self._cut(fault.connection)})
        if not self._faults.add(fault):
            return rest_error(400, "VALIDATION_ERROR", "too many faults, or times or seconds")
        return json_answer(201, fault)

    async def list_faults(self, _request: web.Request) -> web.Response:
        """The faults still to come."""
        return json_answer(200, {"faults": self._faults.listed()})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Forget all faults."""
        self._faults.clear()
        return json_answer(200, {"faults": []})

    async def connections(self, _request: web.Request) -> web.Response:
        """Who is connected."""
        known = [
            {
                "id": client.id,
                "stage": client.caller.stage,
                "connected_at": iso_ms(client.caller.connected_ms),
                "waiting_bytes": client.waiting_bytes,
            }
            for client in self._clients.all()
        ]
        return json_answer(200, {"connections": known})

    def _cut(self, connection_id: str | None) -> int:
        chosen = [
            client for client in self._clients.all() if connection_id in (None, client.id)
        ]
        for client in chosen:
            client.cut()
        return len(chosen)
