"""Who gets which frame, and what the faults make of it.

Frame ─► subscribers of its stream ─► faults ─► encoded once per mode ─► connections
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from local.exchanges.binance.connection import Connection
from local.exchanges.binance.fault_plan import FaultPlan
from local.exchanges.binance.fault_runs import FaultRun, FrameFaultRun
from local.exchanges.binance.faults import Cut, Fault, ServerShutdown
from local.exchanges.binance.frames import Frame, combined, in_microseconds, websocket_frame

_ROOM = 1 << 20
_SLOW_READER = 16 << 20
_SHUTDOWN_STREAM = "!serverShutdown"


class Hub:
    """The connections of one server.

    `known` tells whether this server has a stream; the event `listened` is set while somebody
    is subscribed to one of those.
    """

    def __init__(self, known: Callable[[str], bool], now_ms: Callable[[], int]) -> None:
        self.faults = FaultPlan()
        self.connections: dict[int, Connection] = {}
        self.listened = asyncio.Event()
        self._known = known
        self._now_ms = now_ms
        self._subscribers: dict[str, dict[int, Connection]] = {}
        self._streams: dict[int, frozenset[str]] = {}
        self._known_subscriptions = 0
        self._newly_wanted: set[str] = set()
        self._opened = 0
        self._unflushed: set[Connection] = set()

    def next_number(self) -> int:
        """A number for a new connection; they are never used again."""
        self._opened += 1
        return self._opened

    def enter(self, connection: Connection) -> None:
        """Take a connection up, with the streams that it already wants."""
        self.connections[connection.number] = connection
        self.follow(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._set_streams(connection, frozenset())
        self._unflushed.discard(connection)
        del self.connections[connection.number]
        del self._streams[connection.number]

    def follow(self, connection: Connection) -> None:
        """Bring the subscriptions in line with the connection's wishes."""
        self._set_streams(connection, frozenset(connection.wishes.streams))

    def _set_streams(self, connection: Connection, streams: frozenset[str]) -> None:
        before = self._streams.get(connection.number, frozenset())
        for stream in before - streams:
            subscribers = self._subscribers[stream]
            del subscribers[connection.number]
            if not subscribers:
                del self._subscribers[stream]
        for stream in streams - before:
            if stream not in self._subscribers and self._known(stream):
                self._newly_wanted.add(stream)
            self._subscribers.setdefault(stream, {})[connection.number] = connection
        self._streams[connection.number] = streams
        self._known_subscriptions += sum(map(self._known, streams))
        self._known_subscriptions -= sum(map(self._known, before))
        if self._known_subscriptions:
            self.listened.set()
        else:
            self.listened.clear()

    def take_newly_wanted(self) -> set[str]:
        """The known streams that nobody had and somebody has, since the last call."""
        streams, self._newly_wanted = self._newly_wanted, set()
        return streams

    def wanted(self, stream: str) -> bool:
        """Whether anybody is subscribed to a stream."""
        return stream in self._subscribers

    def publish(self, frame: Frame) -> None:
        """Line a frame up for everybody who is subscribed, as the faults let it."""
        subscribers = self._subscribers.get(frame.stream)
        if not subscribers:
            return
        run = None if self.faults.quiet else self.faults.on_frame(frame, subscribers)
        if run is None:
            self._deliver(frame, subscribers.values())
        else:
            self._deliver_faulty(run, frame, subscribers)

    def _deliver(self, frame: Frame, connections: Iterable[Connection]) -> None:
        wires: dict[tuple[bool, bool], bytes] = {}
        for connection in connections:
            mode = connection.mode
            wire = wires.get(mode)
            if wire is None:
                wire = wires[mode] = _wire(frame.stream, frame.payload, *mode)
            connection.send(wire)
            self._unflushed.add(connection)

    def _deliver_faulty(
        self, run: FrameFaultRun, frame: Frame, subscribers: dict[int, Connection]
    ) -> None:
        affected = run.affected(subscribers)
        outcome = run.take(frame, subscribers, time.monotonic(), self._now_ms())
        self._deliver(
            frame, [each for number, each in subscribers.items() if number not in affected]
        )
        targets = [subscribers[number] for number in affected]
        if outcome.cut and isinstance(run.spec, Cut):
            for connection in targets:
                _cut(connection, run.spec)
        for item in outcome.send:
            if isinstance(item, Frame):
                self._deliver(item, targets)
                continue
            for connection in targets:
                connection.send(item)
                self._unflushed.add(connection)
        if outcome.hold:
            seconds = getattr(run.spec, "seconds", 0.0)
            self._later(seconds, lambda: self.release(run))

    def release(self, run: FrameFaultRun) -> None:
        """End a fault and send what it held, to those who are still there."""
        for frame in run.end():
            subscribers = self._subscribers.get(frame.stream, {})
            self._deliver(frame, [subscribers[number] for number in run.affected(subscribers)])
        self.flush()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, action)

    def flush(self) -> None:
        """Write what is lined up."""
        unflushed, self._unflushed = self._unflushed, set()
        for connection in unflushed:
            connection.flush()

    def cut_slow(self) -> None:
        """End connections that left more than 16 MiB unread, as the exchange does."""
        for connection in list(self.connections.values()):
            if connection.backlog > _SLOW_READER:
                connection.reset()

    async def room(self, limit: int = _ROOM) -> None:
        """Wait until no connection has more than `limit` bytes unread."""
        await asyncio.sleep(0)
        # asyncio has no public event for the room in a transport that aiohttp owns.
        while any(each.backlog > limit for each in self.connections.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    def go_away(self) -> None:
        """Say goodbye to everybody, without waiting for theirs."""
        for connection in list(self.connections.values()):
            connection.go_away()

    def post(self, spec: Fault) -> FaultRun:
        """Take up a fault; a cut without `after` and a shutdown happen now."""
        run = self.faults.add(spec)
        if isinstance(spec, Cut) and spec.after is None:
            targets = [each for each in self.connections.values() if self._meant(spec, each)]
            run.record(self._now_ms(), [each.number for each in targets], ticker=spec.ticker)
            run.active = False
            for connection in targets:
                _cut(connection, spec)
        elif isinstance(spec, ServerShutdown):
            run.active = False
            self._shut_down(run, spec)
        return run

    def release_held(self) -> None:
        """Send what delays and reorders hold, because nothing will follow."""
        for run in self.faults.active():
            if isinstance(run, FrameFaultRun) and run.held:
                self.release(run)

    def end_faults(self) -> None:
        """End every fault that still acts; what was held is sent."""
        for run in self.faults.active():
            run.active = False
            if isinstance(run, FrameFaultRun):
                self.release(run)

    def _meant(self, spec: Cut, connection: Connection) -> bool:
        if spec.connection is not None and spec.connection != connection.number:
            return False
        if spec.ticker is None and spec.stream is None:
            return True
        for stream in connection.wishes.streams:
            name, _, kind = stream.partition("@")
            if spec.ticker in (None, name.upper()) and spec.stream in (None, kind):
                return True
        return False

    def _shut_down(self, run: FaultRun, spec: ServerShutdown) -> None:
        now_ms = self._now_ms()
        payload = f'{{"e":"serverShutdown","E":{now_ms}}}'.encode()
        targets = [
            each for each in self.connections.values() if spec.connection in (None, each.number)
        ]
        run.record(now_ms, [each.number for each in targets])
        self._deliver(Frame("", _SHUTDOWN_STREAM, payload, 0, 0), targets)
        self.flush()
        for connection in targets:
            self._later(spec.close_after_s, partial(connection.close, 1001, "shutdown"))


def _wire(stream: str, payload: bytes, is_combined: bool, microseconds: bool) -> bytes:
    if microseconds:
        payload = in_microseconds(payload)
    return websocket_frame(combined(stream, payload) if is_combined else payload)


def _cut(connection: Connection, spec: Cut) -> None:
    if spec.how == "reset":
        connection.reset()
    else:
        connection.close(spec.code, spec.reason)
