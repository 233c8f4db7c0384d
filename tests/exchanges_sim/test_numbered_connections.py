"""What every exchange's connections can do, shown by an exchange of this test's own."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from local.exchanges.connection import Connection, ConnectionLimits
from local.exchanges.faults import Clock, Delay, Drop, Duplicate, Garbage, ServerShutdown
from local.exchanges.frames import BINARY, Frame, websocket_frame
from local.exchanges.hub import Hub
from local.exchanges.upgrade import upgrade

NOW_MS = 1_700_000_000_000
SECONDS = 20


class Numbered(Connection):
    """Each message is a stream to want; everything that is sent has the connection's number."""

    numbered = True

    async def take(self, message):
        self.streams.add(message.data)
        self._reply()

    def _reply(self):
        reply = {"seqnum": self.take_number(), "event": "subscribed"}
        self.send(websocket_frame(json.dumps(reply).encode()))
        self.flush()

    def content(self, frame):
        body = json.loads(frame.payload) | {"seqnum": frame.numbers[self.number]}
        return json.dumps(body).encode()


class Plain(Connection):
    """The same without numbers, in binary frames."""

    opcode = BINARY

    async def take(self, message):
        self.streams.add(message.data)


def shifted(payload, ahead_ms):
    body = json.loads(payload)
    return json.dumps(body | {"time": body["time"] + ahead_ms}).encode()


def frame(number, stream="BTC-USD@l2", **more):
    body = json.dumps({"n": number, "time": NOW_MS}).encode()
    return Frame(stream.partition("@")[0], stream, body, number, number, **more)


@asynccontextmanager
async def served(kind=Numbered, limits=None, **options):
    """A hub on a free port and a client that is connected to it."""
    hub = Hub(lambda _: True, lambda: NOW_MS, **options)

    async def connect(request):
        return await upgrade(request, hub, limits or ConnectionLimits(), kind)

    app = web.Application()
    app.add_routes([web.get("/", connect)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            yield hub, socket
    finally:
        await runner.cleanup()


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(bounded())


async def subscribe(hub, socket, stream="BTC-USD@l2"):
    await socket.send_str(stream)
    while not hub.wanted(stream):  # noqa: ASYNC110 - the hub has no event for one stream
        await asyncio.sleep(0)


async def seqnums(hub, socket, frames):
    for each in frames:
        hub.publish(each)
    hub.publish(frame(0, "end@end", only=1))
    hub.flush()
    found = []
    while True:
        body = await socket.receive_json()
        if body.get("n") == 0:
            return found
        found.append(body["seqnum"])


def test_replies_and_frames_share_one_series_of_numbers_from_zero():
    async def check():
        async with served() as (hub, socket):
            await subscribe(hub, socket)
            first = await seqnums(hub, socket, [frame(1), frame(2)])
            await subscribe(hub, socket, "ETH-USD@l2")
            return first + await seqnums(hub, socket, [frame(3, "ETH-USD@l2"), frame(4)])

    # 3 and 7 are the frames that end each part.
    assert run(check()) == [0, 1, 2, 4, 5, 6]


def test_what_nobody_on_the_connection_wants_takes_no_number():
    async def check():
        async with served() as (hub, socket):
            await subscribe(hub, socket)
            return await seqnums(hub, socket, [frame(1), frame(2, "ETH-USD@l2"), frame(3)])

    assert run(check()) == [0, 1, 2]


def test_a_dropped_frame_leaves_a_hole_and_a_duplicate_repeats_its_number():
    async def check():
        async with served() as (hub, socket):
            await subscribe(hub, socket)
            hub.post(Drop(ticker="BTC-USD", after=1, frames=2))
            hub.post(Duplicate(ticker="BTC-USD", after=1))
            return await seqnums(hub, socket, [frame(number) for number in range(1, 8)])

    assert run(check()) == [0, 1, 4, 5, 5, 6, 7]


def test_garbage_before_a_frame_takes_no_number_and_in_its_place_leaves_a_hole():
    async def check():
        async with served() as (hub, socket):
            await subscribe(hub, socket)
            hub.post(Garbage(form="truncated", replace=True))
            for number in (1, 2):
                hub.publish(frame(number))
            hub.flush()
            await socket.receive()
            half = (await socket.receive()).data
            return half, (await socket.receive_json())["seqnum"]

    half, after = run(check())
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)
    assert half.startswith('{"n"')
    assert after == 2


def test_a_frame_for_one_connection_reaches_it_alone_and_faults_hit_it():
    async def check():
        async with served() as (hub, socket), aiohttp.ClientSession() as session:
            await subscribe(hub, socket)
            await socket.receive()
            run_of = hub.post(Drop(ticker="BTC-USD", stream="l2", connection=1))
            hub.publish(frame(1, only=1))
            hub.publish(frame(2, only=1))
            hub.publish(frame(3, only=99))
            hub.flush()
            assert not session.closed
            return (await socket.receive_json())["n"], [hit.first_id for hit in run_of.hits]

    assert run(check()) == (2, [1])


def test_a_delayed_frame_for_one_connection_comes_later_to_it():
    async def check():
        async with served() as (hub, socket):
            await subscribe(hub, socket)
            await socket.receive()
            hub.post(Delay(seconds=0.05, ticker="BTC-USD"))
            hub.publish(frame(1, only=1))
            hub.publish(frame(2))
            hub.flush()
            return [(await socket.receive_json())["n"] for _ in range(2)]

    assert run(check()) == [1, 2]


def test_the_clock_fault_moves_the_times_of_the_frames_it_hits():
    async def check():
        async with served(shift_time=shifted) as (hub, socket):
            await subscribe(hub, socket)
            await socket.receive()
            hub.post(Clock(ahead_s=7200, after=1, frames=2))
            for number in range(1, 5):
                hub.publish(frame(number))
            hub.flush()
            return [(await socket.receive_json())["time"] - NOW_MS for _ in range(4)]

    assert run(check()) == [0, 7_200_000, 7_200_000, 0]


def test_a_connection_sends_binary_frames_where_its_exchange_does():
    async def check():
        async with served(Plain) as (hub, socket):
            await subscribe(hub, socket)
            hub.publish(frame(1))
            hub.flush()
            message = await socket.receive()
            return message.type, json.loads(message.data)["n"]

    assert run(check()) == (aiohttp.WSMsgType.BINARY, 1)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ConnectionLimits(subscribe_s=0.05), "no subscription"),
        (ConnectionLimits(quiet_s=0.05), "no message"),
    ],
)
def test_who_does_not_say_in_time_what_it_must_is_disconnected(limits, reason):
    async def check():
        async with served(limits=limits) as (_, socket):
            message = await socket.receive()
            return message.type, message.data, message.extra

    assert run(check()) == (aiohttp.WSMsgType.CLOSE, 1008, reason)


def test_who_has_subscribed_in_time_stays():
    async def check():
        async with served(limits=ConnectionLimits(subscribe_s=0.3)) as (hub, socket):
            await subscribe(hub, socket)
            await socket.receive()
            # Said later than the limit, by the connection's own clock.
            asyncio.get_running_loop().call_later(
                0.6, lambda: (hub.publish(frame(1)), hub.flush())
            )
            return (await socket.receive_json())["n"]

    assert run(check()) == 1


def test_a_shutdown_without_an_event_of_the_exchange_only_closes():
    async def check():
        async with served(Plain) as (hub, socket):
            await subscribe(hub, socket)
            hub.post(ServerShutdown(close_after_s=0))
            message = await socket.receive()
            return message.type, message.data

    assert run(check()) == (aiohttp.WSMsgType.CLOSE, 1001)
