"""Refuses what another site's page sends through its visitor's browser (design.md §9)."""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def own_site_only(host: str) -> Middleware:
    """A middleware: on loopback the Host must name loopback; an Origin must be the Host."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = _name(request.headers.get("Host", ""))
        origin = request.headers.get("Origin")
        foreign_host = host in _LOOPBACK and asked not in _LOOPBACK
        if foreign_host or (origin is not None and not _same(urlsplit(origin).hostname, asked)):
            return web.Response(status=403, text="Host or Origin is another site's")
        return await handler(request)

    return check


def _same(origin: str | None, asked: str) -> bool:
    return origin == asked or (origin in _LOOPBACK and asked in _LOOPBACK)


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""
