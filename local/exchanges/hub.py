"""Who gets which frame, and what the faults make of it.

Frame ─► subscribers of its stream ─► faults ─► encoded once per mode ─► connections
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial

from local.exchanges.clock import Clock
from local.exchanges.connection import Connection
from local.exchanges.fault_hits import FaultRun
from local.exchanges.fault_plan import FaultPlan
from local.exchanges.fault_runs import FrameFaultRun, Garbled, ShiftTime
from local.exchanges.faults import Cut, Fault, ServerShutdown
from local.exchanges.frames import Frame, websocket_frame
from local.exchanges.subscriptions import Subscriptions

_ROOM = 1 << 20
_SLOW_READER = 16 << 20
_SHUTDOWN_STREAM = "!serverShutdown"


class Hub:
    """The connections of one server.

    `known` tells whether this server has a stream; the event `listened` is set while somebody
    is subscribed to one of those. `shift_time` gives a payload with the exchange's times so
    many milliseconds later, `shutdown` the payload that is sent at that time before the server
    goes; without them those faults are refused, or only close.
    """

    def __init__(
        self,
        known: Callable[[str], bool],
        now_ms: Callable[[], int],
        *,
        shift_time: ShiftTime | None = None,
        shutdown: Callable[[int], bytes] | None = None,
    ) -> None:
        self.faults = FaultPlan(shift_time)
        self.clock = Clock()
        self._shutdown = shutdown
        self.connections: dict[int, Connection] = {}
        self._subscriptions = Subscriptions(known)
        self.listened = self._subscriptions.listened
        self._now_ms = now_ms
        self._opened = 0
        self._has_numbered = False
        self._unflushed: set[Connection] = set()

    def next_number(self) -> int:
        """A number for a new connection; they are never used again."""
        self._opened += 1
        return self._opened

    def enter(self, connection: Connection) -> None:
        """Take a connection up, with the streams that it already wants."""
        self.connections[connection.number] = connection
        self._has_numbered |= connection.numbered
        self.follow(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._subscriptions.remove(connection)
        self._unflushed.discard(connection)
        del self.connections[connection.number]

    def follow(self, connection: Connection) -> None:
        """Bring the subscriptions in line with the connection's wishes."""
        self._subscriptions.put(connection, frozenset(connection.streams))

    def take_newly_wanted(self) -> set[str]:
        """The known streams that nobody had and somebody has, since the last call."""
        return self._subscriptions.take_newly_wanted()

    def wanted(self, stream: str) -> bool:
        """Whether anybody is subscribed to a stream."""
        return bool(self._subscriptions.of(stream))

    def publish(self, frame: Frame) -> None:
        """Line a frame up for everybody who is subscribed, as the faults let it."""
        subscribers = self._receivers(frame)
        if not subscribers:
            return
        if self._has_numbered:
            numbers = {
                number: each.take_number()
                for number, each in subscribers.items()
                if each.numbered
            }
            frame = frame._replace(numbers=numbers)
        run = None if self.faults.quiet else self.faults.on_frame(frame, subscribers)
        if run is None:
            self._deliver(frame, subscribers.values())
        else:
            self._deliver_faulty(run, frame, subscribers)

    def _receivers(self, frame: Frame) -> Mapping[int, Connection]:
        if frame.only is None:
            return self._subscriptions.of(frame.stream)
        connection = self.connections.get(frame.only)
        return {} if connection is None else {frame.only: connection}

    def _deliver(self, frame: Frame, connections: Iterable[Connection]) -> None:
        wires: dict[tuple[type, Hashable], bytes] = {}
        for connection in connections:
            if connection.numbered:
                connection.send(connection.render(frame))
            else:
                mode = (type(connection), connection.mode)
                wire = wires.get(mode)
                if wire is None:
                    wire = wires[mode] = connection.render(frame)
                connection.send(wire)
            self._unflushed.add(connection)

    def _deliver_faulty(
        self, run: FrameFaultRun, frame: Frame, subscribers: Mapping[int, Connection]
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
            else:
                self._garble(item, targets)
        if outcome.hold:
            seconds = getattr(run.spec, "seconds", 0.0)
            self._later(seconds, lambda: self.release(run))

    def _garble(self, item: Garbled, targets: Iterable[Connection]) -> None:
        for connection in targets:
            payload = item.payload
            if item.half_of:
                whole = connection.content(item.half_of)
                payload = whole[: len(whole) // 2]
            connection.send(websocket_frame(payload, item.opcode or connection.opcode))
            self._unflushed.add(connection)

    def release(self, run: FrameFaultRun) -> None:
        """End a fault and send what it held, to those who are still there."""
        for frame in run.end():
            subscribers = self._receivers(frame)
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
        for stream in connection.streams:
            name, _, kind = stream.partition("@")
            if spec.ticker in (None, name.upper()) and spec.stream in (None, kind):
                return True
        return False

    def _shut_down(self, run: FaultRun, spec: ServerShutdown) -> None:
        now_ms = self._now_ms()
        targets = [
            each for each in self.connections.values() if spec.connection in (None, each.number)
        ]
        run.record(now_ms, [each.number for each in targets])
        if self._shutdown:
            self._deliver(Frame("", _SHUTDOWN_STREAM, self._shutdown(now_ms), 0, 0), targets)
        self.flush()
        for connection in targets:
            self._later(spec.close_after_s, partial(connection.close, 1001, "shutdown"))


def _cut(connection: Connection, spec: Cut) -> None:
    if spec.how == "reset":
        connection.reset()
    else:
        connection.close(spec.code, spec.reason)
