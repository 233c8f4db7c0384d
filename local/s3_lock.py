"""The lock before S3Proxy: `python -m local.s3_lock --listen HOST:PORT --upstream URL`.

S3Proxy checks a condition and writes in two steps (rule 19). Here every request on a key has
its turn: reads share it, writes have it alone, conditions are checked within it. Bodies of
writes are taken from the client first, so that a stopped client never holds a key.

    client ─► turn for the key, conditions ─► S3Proxy
"""

import argparse
import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from typing import IO
from urllib.parse import unquote
from xml.sax.saxutils import unescape

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local.key_locks import KeyLocks
from local.loopback_requests import is_foreign
from local.s3_requests import (
    COPY_IF_MATCH,
    COPY_IF_NONE_MATCH,
    FOREIGN,
    IF_MATCH,
    IF_NONE_MATCH,
    NO_SUCH_UPLOAD,
    UNAVAILABLE,
    Refusal,
    S3Request,
    Upload,
    refusal,
    understand,
)

MEMORY_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
}
CHECKED_HERE = {name.lower() for name in (IF_MATCH, IF_NONE_MATCH)} | {
    COPY_IF_MATCH,
    COPY_IF_NONE_MATCH,
}
# S3Proxy writes beside the object under a longer name, then renames.
TORN_WRITE = re.compile(
    rb"<Contents><Key>[^<]*-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}</Key>.*?</Contents>",
    re.DOTALL,
)
DELETED_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)


class LockProxy:
    """Passes requests on to one S3Proxy, each in its turn."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream.rstrip("/")
        self._session = session
        self._locks = KeyLocks()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; the store's own failures become 503, which SDKs try again."""
        if is_foreign(request.headers):
            return _answer(request, FOREIGN)
        path, _, query = request.raw_path.partition("?")
        meaning = understand(request.method, path, query, request.headers)
        try:
            if not meaning.spooled:
                return await self._in_turn(request, meaning, None)
            with tempfile.SpooledTemporaryFile(MEMORY_BYTES) as body:
                async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                    body.write(chunk)
                if meaning.deletes_many:
                    meaning = _many(path, body)
                return await self._in_turn(request, meaning, body)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            return _answer(request, UNAVAILABLE)

    async def _in_turn(
        self, request: web.Request, meaning: S3Request, body: IO[bytes] | None
    ) -> web.StreamResponse:
        """The turn ends when S3Proxy has answered; a read's bytes follow from its open file."""
        async with self._locks.hold(meaning.locks):
            refused = await self._refused(meaning)
            if refused:
                return _answer(request, refused)
            upstream = await self._send(request, meaning, body)
            if meaning.exclusive or meaning.source or meaning.lists:
                # Its status may come before the work is done: the turn lasts to the last byte.
                async with upstream:
                    return _whole(upstream, await upstream.read(), meaning)
        return await _pass_on(request, upstream)

    async def _refused(self, meaning: S3Request) -> Refusal | None:
        if meaning.upload and not await self._in_progress(meaning.upload):
            return NO_SUCH_UPLOAD
        for condition in (meaning.source, meaning.target):
            if condition is None:
                continue
            refused = refusal(condition, await self._etag(condition.path))
            if refused:
                return refused
        return None

    async def _in_progress(self, upload: Upload) -> bool:
        """S3Proxy takes parts of any upload; S3 only those of one in progress."""
        url = URL(self._upstream + upload.listing, encoded=True)
        async with self._session.get(url) as answer:
            return upload.listed_in(await answer.text())

    async def _etag(self, path: str) -> str | None:
        async with self._session.head(URL(self._upstream + path, encoded=True)) as answer:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise aiohttp.ClientPayloadError(f"HEAD was answered with {answer.status}")
            return answer.headers["ETag"]

    async def _send(
        self, request: web.Request, meaning: S3Request, body: IO[bytes] | None
    ) -> aiohttp.ClientResponse:
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP
            and not ((meaning.target or meaning.source) and name.lower() in CHECKED_HERE)
        )
        data: AsyncIterator[bytes] | aiohttp.StreamReader | None = None
        if body is not None:
            headers["Content-Length"] = str(body.tell())
            body.seek(0)
            data = _chunks(body)
        elif request.can_read_body:
            data = request.content
        return await self._session.request(
            request.method,
            URL(self._upstream + request.raw_path, encoded=True),
            headers=headers,
            data=data,
            allow_redirects=False,
        )


def _many(path: str, body: IO[bytes]) -> S3Request:
    body.seek(0)
    bucket = unquote(path).strip("/")
    names = {unescape(key.decode()) for key in DELETED_KEY.findall(body.read())}
    return S3Request(exclusive=tuple(f"{bucket}/{name}" for name in names), spooled=True)


async def _chunks(body: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := body.read(CHUNK_BYTES):
        yield chunk


def _answer(request: web.Request, refused: Refusal) -> web.Response:
    resource = request.raw_path.partition("?")[0]
    body = "" if request.method == "HEAD" else refused.xml(resource)
    return web.Response(status=refused.status, text=body, content_type="application/xml")


def _whole(upstream: aiohttp.ClientResponse, body: bytes, meaning: S3Request) -> web.Response:
    if meaning.lists:
        body = TORN_WRITE.sub(b"", body)
    headers = CIMultiDict(_passed_headers(upstream))
    headers.pop("Content-Length", None)
    return web.Response(status=upstream.status, body=body, headers=headers)


def _passed_headers(upstream: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in upstream.headers.items()
        if name.lower() not in HOP_BY_HOP
    ]


async def _pass_on(
    request: web.Request, upstream: aiohttp.ClientResponse
) -> web.StreamResponse:
    async with upstream:
        response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
        response.headers.extend(_passed_headers(upstream))
        await response.prepare(request)
        if request.method != "HEAD":
            async for chunk in upstream.content.iter_chunked(CHUNK_BYTES):
                await response.write(chunk)
        await response.write_eof()
        return response


async def serve(host: str, port: int, upstream: str) -> None:
    """Serve until cancelled."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    async with aiohttp.ClientSession(
        auto_decompress=False,
        timeout=timeout,
        # A connection used once is never taken for one that broke, so no write is sent twice.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", LockProxy(upstream, session).handle)
        runner = web.AppRunner(app, access_log=None, handle_signals=True, shutdown_timeout=5)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.s3_lock")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--upstream", required=True, metavar="URL")
    given = parser.parse_args()
    host, _, port = given.listen.rpartition(":")
    try:
        asyncio.run(serve(host, int(port), given.upstream))
    except (web.GracefulExit, KeyboardInterrupt):
        return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
