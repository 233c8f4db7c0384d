"""Many clients of the stage `ws` in one process, registered for contract events.

    address ─► Swarm ─► of each client: the numbers of its events, and when it had them

Healthy clients ask for the events of one asset, slow and dead ones for all, which can be more
than they take.
"""

import asyncio
import contextlib
import json
import socket
import threading
import time

import aiohttp

ANSWER_S = 60
SLOW_PAUSE_S = 1.0
OPENING_AT_A_TIME = 32
TINY_WINDOW_BYTES = 4096
LOOK_S = 0.02


class Client:
    """One client; `seen` has the numbers of its events and when they came (monotonic, s)."""

    def __init__(self, *assets, pause_s=0.0):
        self.seen = []
        self.pause_s = pause_s
        self._filters = {"types": ["contract_event"], "asset_codes": assets}
        self._socket = None

    async def open(self, session, url):
        """Connects and registers; returns when the server has confirmed it."""
        self._socket = await session.ws_connect(url, max_msg_size=0)
        await self._socket.send_json({"type": "register", "filters": self._filters})
        async with asyncio.timeout(ANSWER_S):
            while True:
                message = json.loads(await self._socket.receive_str())
                if message["type"] == "registered":
                    return
                if message["type"] == "error":
                    raise RuntimeError(f"not registered: {message}")

    async def read(self):
        """Takes what comes, at its own pace, until the connection ends."""
        async for message in self._socket:
            at_s = time.monotonic()
            event = json.loads(message.data)
            if event["type"] == "contract_event":
                self.seen.append((event["ledger"], at_s))
            if self.pause_s:
                await asyncio.sleep(self.pause_s)

    async def close(self):
        """Lets go of the connection, whose socket has been shut."""
        if self._socket is not None:
            await self._socket.close()


class Swarm:
    """`healthy` and `slow` clients, and `dead` ones that register and then read nothing.

    For the length of a `with`; a client that cannot register fails it. Each answers pings when
    it reads, so that the dead live as long as the server allows (90 s).
    """

    def __init__(self, url, asset, *, healthy=0, slow=0, dead=0):
        self.healthy = [Client(asset) for _ in range(healthy)]
        self.slow = [Client(pause_s=SLOW_PAUSE_S) for _ in range(slow)]
        self.dead = [Client() for _ in range(dead)]
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._readers = []
        self._sessions = []
        self._sockets = []

    def __enter__(self):
        self._thread.start()
        try:
            self._wait(self._open())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def waits_for(self, number, seconds):
        """Whether all healthy clients have had this event within the time."""
        until_s = time.monotonic() + seconds
        while not all(one.seen and one.seen[-1][0] >= number for one in self.healthy):
            if time.monotonic() > until_s:
                return False
            time.sleep(LOOK_S)
        return True

    def latencies_s(self, sent_s):
        """Of each event that a healthy client had, how long after `sent_s[number]` it came."""
        return sorted(
            at_s - sent_s[number]
            for one in self.healthy
            for number, at_s in one.seen
            if number in sent_s
        )

    def revive(self):
        """The slow and the dead read from now on whatever comes."""
        for one in self.slow:
            one.pause_s = 0.0
        self._loop.call_soon_threadsafe(self._read, self.dead)

    def _clients(self):
        return [*self.healthy, *self.slow, *self.dead]

    def _read(self, clients):
        self._readers += [self._loop.create_task(one.read()) for one in clients]

    def _wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self):
        turns = asyncio.Semaphore(OPENING_AT_A_TIME)
        usual = self._session()
        # A small window, so that a client that does not read is felt after little.
        tiny = self._session(TINY_WINDOW_BYTES)
        pairs = [(one, usual) for one in self.healthy]
        pairs += [(one, tiny) for one in [*self.slow, *self.dead]]

        async def open_one(client, session):
            async with turns:
                await client.open(session, self._url)
            if client not in self.dead:
                self._read([client])

        await asyncio.gather(*(open_one(*pair) for pair in pairs))

    def _session(self, window_bytes=0):
        def make(address):
            made = socket.socket(*address[:3])
            if window_bytes:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
            self._sockets.append(made)
            return made

        connector = aiohttp.TCPConnector(limit=0, socket_factory=make)
        session = aiohttp.ClientSession(connector=connector)
        self._sessions.append(session)
        return session

    async def _close(self):
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        # No goodbyes: a dead client would have its connection waited for.
        for one in self._sockets:
            with contextlib.suppress(OSError):  # the server has ended it
                one.shutdown(socket.SHUT_RDWR)
        await asyncio.gather(*(one.close() for one in self._clients()))
        for session in self._sessions:
            await session.close()
