"""What a link sends so that its socket is kept, and what it takes for a dead one."""

import asyncio
import math
import threading
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from aiohttp import WSMsgType, web

from container_worker.capture.link import Link
from container_worker.capture.timing import Timing
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import (
    NOBODY,
    Adapter,
    KeepAlive,
    Limits,
    Socket,
    Subscription,
)
from container_worker.exchanges.stockbit import CHANNEL
from container_worker.exchanges.stockbit.wire import PING

HELLO = Subscription("hello", frozenset())
SOCKET = Socket(lambda base: base, lambda *_: [HELLO], lambda *_: [], lambda *_: [])
SILENT = Adapter("sixth", {}, Limits(1, 1, 100.0, math.inf, 60.0, 60), "", socket=SOCKET)


class Server(threading.Thread):
    """Notes pings and messages with their times; answers pings only when told to."""

    def __init__(self, *, answers):
        super().__init__(daemon=True)
        self.answers, self.pings, self.messages, self.port = answers, [], [], 0
        self._socket = None
        self._up, self._loop = threading.Event(), asyncio.new_event_loop()

    def run(self):
        app = web.Application()
        app.add_routes([web.get("/", self._serve)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self.port = runner.addresses[0][1]
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def __enter__(self):
        self.start()
        assert self._up.wait(5)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join(5)

    def say(self, text):
        asyncio.run_coroutine_threadsafe(self._socket.send_str(text), self._loop).result(5)

    async def _serve(self, request):
        self._socket = socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.PING:
                self.pings.append(time.monotonic())
                if self.answers:
                    await socket.pong(message.data)
            elif message.data != HELLO.payload:
                self.messages.append(message.data)
                await socket.send_bytes(b"pong")
        return socket


@pytest.fixture
def link():
    """`link(server, keep_alive, feed)` starts one."""
    links = []

    def start(server, keep_alive, feed=lambda *_: None):
        wire = replace(SOCKET, keep_alive=keep_alive)
        links.append(
            Link(
                SILENT,
                wire,
                f"ws://127.0.0.1:{server.port}/",
                [],
                open_session=lambda: NOBODY,
                feed=feed,
                changed=lambda: None,
                timing=Timing(),
            )
        )
        links[-1].start()
        return links[-1]

    yield start
    for one in links:
        one.close()
        one.join(5)
        assert not one.is_alive()


def test_stockbit_s_layouts_are_kept_alive_as_each_wants_it() -> None:
    assert REGISTRY["stockbit"].socket.keep_alive == KeepAlive(30.0)
    assert CHANNEL.socket.keep_alive == KeepAlive(15.0, PING)


def test_a_ping_goes_out_each_time_that_is_due(link, wait_until) -> None:
    every_s = 0.3
    with Server(answers=True) as server:
        socket = link(server, KeepAlive(every_s))
        wait_until(lambda: len(server.pings) >= 5)
        steps = [after - before for before, after in pairwise(server.pings)]
        assert min(steps) > every_s / 2
        assert server.pings[4] - server.pings[0] > 4 * every_s * 0.9
        assert not socket.is_gone
        assert server.messages == []


def test_an_exchange_s_own_message_takes_the_place_of_the_ping(link, wait_until) -> None:
    with Server(answers=True) as server:
        link(server, KeepAlive(0.3, b"ping"))
        wait_until(lambda: len(server.messages) >= 3)
        assert set(server.messages) == {b"ping"}
        assert server.pings == []


def test_without_a_keep_alive_nothing_is_sent(link, wait_until) -> None:
    with Server(answers=True) as server:
        socket = link(server, None)
        wait_until(lambda: socket.is_accepted)
        socket.join(0.5)
        assert server.pings == server.messages == []
        assert not socket.is_gone


def test_a_server_that_answers_no_ping_is_dead_after_two(link, wait_until) -> None:
    with Server(answers=False) as server:
        socket = link(server, KeepAlive(0.3))
        wait_until(lambda: socket.is_gone)
        assert socket.cause == "stall"
        assert len(server.pings) >= 2
        assert "has not answered a ping for 0.6 s" in str(socket.error)


def test_a_socket_that_was_not_read_for_want_of_room_is_not_dead(link, wait_until) -> None:
    """Kafka may hold back a frame for longer than two pings: that silence is our own."""
    taken = []

    def feed(frame, _received_ns, _source):
        taken.append(frame)
        threading.Event().wait(1.0)

    with Server(answers=True) as server:
        socket = link(server, KeepAlive(0.3), feed)
        wait_until(lambda: server.pings)
        server.say("one")
        wait_until(lambda: taken)
        before = len(server.pings)
        wait_until(lambda: len(server.pings) > before + 2)
        assert not socket.is_gone
