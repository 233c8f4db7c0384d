"""How Stockbit's clients come in: with its pages' Origin and the subprotocol `web`."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.exchanges.site_check import own_site_only

ORIGINS = frozenset({"https://stockbit.com", "https://www.stockbit.com"})
SUBPROTOCOLS = ("web",)


def stockbits_pages_too(host: str) -> Middleware:
    """The usual check, passed also by an Origin of Stockbit's own site."""
    usual = own_site_only(host)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Origin") not in ORIGINS:
            return await usual(request, handler)
        headers = request.headers.copy()
        del headers["Origin"]

        async def with_origin(_: web.Request) -> web.StreamResponse:
            return await handler(request)

        return await usual(request.clone(headers=headers), with_origin)

    return check
