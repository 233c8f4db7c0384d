"""The examples of docs/clients.md against a server that refuses and falls silent."""

import json
import re
from pathlib import Path

import pytest
from aiohttp import web

from functions.event_loop import LoopThread

EXAMPLES = Path(__file__).parents[2] / "examples"
OLD, NEW = ("ticks:0jcjODzfSO6kAWrC48hQCg:5:30122", "ticks:QhCgW4r0jcjODzfSO6kAKQ:5:7")
REFUSED = {
    "type": "error",
    "message": "Too many requests",
    "code": "RATE_LIMITED",
    "timestamp": "t",
    "detail": "no more for now",
    "retry_after": 0,
}
SOON = (
    (r"\b500 \* 2", "5 * 2"),
    (r"\b90_000\b", "300"),
)


class Server:
    """Answers the first message of each connection, in turn; `got` has these messages.

    The first connection ends after its answer, the others stay open and silent.
    """

    def __init__(self):
        self.got = []
        self._sockets = []
        self._thread = LoopThread()
        app = web.Application()
        app.router.add_get("/stream", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        self.url = self._thread.run(self._start())

    async def _start(self):
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0]
        return f"ws://{host}:{port}/stream"

    async def _serve(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        asked = json.loads(await socket.receive_str())
        self.got.append(asked)
        number = len(self.got)
        confirmed = {"register": "registered", "subscribe": "subscribed"}[asked["type"]]
        told = {"type": confirmed, "cursors": [OLD if number == 1 else NEW], "recovered": False}
        await socket.send_json(REFUSED if number == 2 else told)
        if number > 1:
            async for _ in socket:
                pass
        return socket

    async def _end(self):
        for socket in self._sockets:
            await socket.close()
        await self._runner.cleanup()

    def close(self):
        self._thread.run(self._end())
        self._thread.stop()


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


def hurried(part):
    """The text of an example that waits only for moments."""
    text = (EXAMPLES / part).read_text(encoding="utf-8")
    for pattern, short in SOON:
        text = re.sub(pattern, short, text)
    return text


def comes_back(server, wait_until, times=3):
    """Cut, refused, silent: each time it connects again, with one cursor a source."""
    wait_until(lambda: len(server.got) > times, 60, f"connection {times + 1}")
    given = [one.get("from") for one in server.got]
    assert given[: times + 1] == [None, [OLD], [OLD], [NEW]][: times + 1]


@pytest.mark.parametrize("part", ["javascript/prices.js", "typescript/prices.mts"])
def test_the_example_comes_back_when_it_is_refused_and_from_silence(
    start, node, server, wait_until, part
):
    client = start(Path(part).name, hurried(part), node, after=[server.url])
    comes_back(server, wait_until)
    assert "Too many requests: no more for now" in client.output


@pytest.mark.soak
def test_the_page_comes_back_when_it_is_refused_and_from_silence(browser, server, wait_until):
    browser.open(hurried("browser/prices.html"), f"?url={server.url}")
    comes_back(server, wait_until)


@pytest.mark.soak
def test_the_go_example_comes_back_when_it_is_refused(start, go, server, wait_until):
    client = start(
        "run.sh", f'exec "$@" run -C "{EXAMPLES}/go" . {server.url}\n', "sh", after=[go]
    )
    comes_back(server, wait_until, 2)
    assert "Too many requests: no more for now" in client.output
