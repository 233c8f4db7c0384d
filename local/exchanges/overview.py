"""One more port that tells all exchanges of a process at once; it answers when all are served.

    GET /exchanges  {"done":false,"exchanges":{"binance":{
                    "mode","tickers","types","ports","done"},…}}

`done` says that a tape is through, or that all are; `types` what its recordings can feed, empty
for all.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from local.exchanges.serving import Serving


def routes(serving: Sequence[Serving]) -> list[web.RouteDef]:
    """Everything that is served."""

    async def overview(_: web.Request) -> web.Response:
        body = msgspec.json.encode(_told(serving))
        return web.Response(body=body, content_type="application/json")

    return [web.get("/exchanges", overview)]


def _told(serving: Sequence[Serving]) -> dict[str, Any]:
    exchanges = {
        each.name: {
            "mode": each.venue.mode,
            "tickers": list(each.venue.tickers),
            "types": each.types,
            "ports": each.ports,
            "done": each.is_done,
        }
        for each in serving
    }
    return {"done": all(each.is_done for each in serving), "exchanges": exchanges}
