"""One socket to an exchange, in a thread of its own: connect, subscribe, read until it ends.

    session ─► websocket-client ─► frame, time of receipt ─► line

Pings are answered by the library, inside its reads. All sending happens in this thread.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import websocket

from container_worker.capture import refusals
from container_worker.capture.line import Source
from container_worker.capture.read_ahead import ReadAhead
from container_worker.capture.timing import Timing
from container_worker.capture.upgrade import open_socket
from container_worker.exchanges.adapter import NOBODY, Adapter, Channel, Session, Socket
from container_worker.outermost import outermost
from marketdata.errors import ExchangeError, ExchangeUnavailable, TapedeckError
from marketdata.messages import Cause

if TYPE_CHECKING:
    import socket

Feed = Callable[[bytes, int, Source], None]


class Observer(Protocol):
    """Whoever wants to see a socket's traffic as it is on the wire (`record`)."""

    def opened(self, url: str) -> None:
        """The upgrade was accepted."""
        ...

    def sent(self, payload: str | bytes, *, is_secret: bool) -> None:
        """A message went out."""
        ...

    def received(self, frame: bytes, received_ns: int, *, is_text: bool) -> None:
        """A frame came in."""
        ...

    def closed(self, reason: str) -> None:
        """The socket is gone."""
        ...


_POLL_S = 0.25
_DATA = (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY)
_MOST_WAITING = 1_000


class Link(threading.Thread):
    """A socket and its reading thread; it ends by itself, or after `close`.

    `changed` is called, in this thread, when the subscriptions are accepted, when another
    socket is wanted, and when this one is gone. `error` says why, `cause` is for the gap.
    `ends_s` is when the session runs out, by the monotonic clock.
    """

    def __init__(
        self,
        adapter: Adapter,
        wire: Socket,
        url: str,
        channels: Sequence[Channel],
        *,
        open_session: Callable[[], Session],
        feed: Feed,
        changed: Callable[[], None],
        timing: Timing,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(name=f"{adapter.name}-socket", daemon=True)
        self.data_ns = 0
        self.flows = False
        self.openings: set[tuple[str, str, str]] = set()
        self.number: int | None = None
        self.unread = 0
        self.opened_s: float | None = None
        self.ends_s: float | None = None
        self.is_accepted = False
        self.is_leaving = False
        self.is_gone = False
        self.error: TapedeckError | None = None
        self.cause: Cause = "disconnect"
        self._name, self._limits, self._adapter = adapter.name, adapter.limits, adapter
        self._wire, self._url = wire, url
        self._channels = channels
        self._open_session = open_session
        self._session = NOBODY
        self._feed = feed
        self._changed = changed
        self._timing = timing
        self._observer = observer
        self._to_send: deque[str | bytes] = deque()
        self._awaited: set[str] = set()
        self._next_send_s = self._next_ping_s = self._heard_s = 0.0
        self._closing = False
        self._refusal: str | None = None

    @property
    def ending(self) -> Session:
        """Its session, once that is about to run out; nobody's before."""
        is_over = self.ends_s is not None and time.monotonic() > self.ends_s
        return self._session if is_over else NOBODY

    def close(self, cause: Cause | None = None) -> None:
        """Ends the socket soon; the thread does it."""
        if cause is not None:
            self.cause = cause
        self._closing = True

    def accepted(self, names: frozenset[str]) -> None:
        """See `Source`."""
        self._awaited -= names
        self._look_at_acceptance()

    def refused(self, text: str) -> None:
        """See `Source`."""
        self._refusal = text

    def forget(self, channels: Sequence[Channel]) -> None:
        """See `Source`: a request that asked for several is refused whole."""
        self._channels = [one for one in self._channels if one not in channels]
        messages = self._wire.subscriptions(self._channels, self._session)
        self._awaited &= {name for message in messages for name in message.awaits}
        if self._limits.streams_per_request > 1:
            again = [one.payload for one in messages if one.awaits & self._awaited]
            self._to_send.extend(again)
        self._look_at_acceptance()

    def ask(self, channel: Channel) -> None:
        """See `Source`."""
        self._channels = [*self._channels, channel]
        if len(self._to_send) < _MOST_WAITING:
            messages = self._wire.subscriptions([channel], self._session)
            self._to_send.extend(message.payload for message in messages)

    def leaving(self) -> None:
        """See `Source`."""
        self.is_leaving = True
        self._changed()

    def broken(self, reason: str, cause: Cause) -> None:
        """See `Source`."""
        self.error = self.error or ExchangeUnavailable(f"{self._name}: {reason}")
        self.close(cause)

    def restate(self, channel: Channel) -> None:
        """See `Source`."""
        messages = self._wire.resubscribe(channel, self._session)
        if not messages:
            self.leaving()
        elif len(self._to_send) < _MOST_WAITING:
            self._to_send.extend(message.payload for message in messages)

    def run(self) -> None:
        """The thread: from the connection to its end."""
        outermost(self._serve, self._fail)
        self.is_gone = True
        self._changed()

    def _fail(self, error: TapedeckError) -> None:
        self.error = self.error or error

    def _serve(self) -> None:
        self._begin_session()
        connection = open_socket(self._adapter, self._wire, self._url, self._timing.connect)
        self.opened_s = self._heard_s = time.monotonic()
        if self._observer is not None:
            self._observer.opened(self._url)
        buffered = ReadAhead(connection.sock)
        connection.sock = cast("socket.socket", buffered)
        try:
            self._read(connection)
        except websocket.WebSocketException as error:
            raise ExchangeUnavailable(f"{self._name} broke the connection: {error}") from error
        except OSError as error:
            raise refusals.of_network(self._url, error) from error
        finally:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                connection.close(timeout=1)
            buffered.close()
            if self._observer is not None:
                self._observer.closed(self.cause)

    def _begin_session(self) -> None:
        self._session = session = self._open_session()
        if session.expires_s is not None:
            left_s = session.expires_s - time.time()
            self.ends_s = time.monotonic() + left_s - min(self._timing.expiry, left_s / 2)
        for subscription in self._wire.subscriptions(self._channels, session):
            self._to_send.append(subscription.payload)
            self._awaited |= subscription.awaits

    def _read(self, connection: websocket.WebSocket) -> None:
        connection.settimeout(_POLL_S)
        receive, feed, clock = connection.recv_data, self._feed, time.time_ns
        keeps_alive = self._wire.keep_alive is not None
        while not self._closing:
            if self._to_send or not self.is_accepted:
                self._send(connection)
            if keeps_alive:
                self._keep_alive(connection)
            try:
                opcode, frame = receive(keeps_alive)
            except websocket.WebSocketTimeoutException:
                continue
            self._heard_s = time.monotonic() if keeps_alive else 0.0
            if opcode in _DATA:
                received_ns = clock()
                if self._observer is not None:
                    is_text = opcode == websocket.ABNF.OPCODE_TEXT
                    self._observer.received(frame, received_ns, is_text=is_text)
                feed(frame, received_ns, self)
                # It may have waited for room, and the silence of that time is our own.
                self._heard_s = time.monotonic() if keeps_alive else 0.0
            elif opcode == websocket.ABNF.OPCODE_CLOSE:
                raise ExchangeUnavailable(f"{self._name} closed the connection{_code(frame)}")
            if self._refusal is not None:
                raise ExchangeError(f"{self._name} refused a subscription: {self._refusal}")

    def _send(self, connection: websocket.WebSocket) -> None:
        now_s = time.monotonic()
        if self._to_send and now_s >= self._next_send_s:
            payload = self._to_send.popleft()
            if isinstance(payload, bytes):
                connection.send_binary(payload)
            else:
                connection.send(payload)
            if self._observer is not None:
                self._observer.sent(payload, is_secret=bool(self._session.token))
            self._next_send_s = now_s + 1 / self._limits.control_per_second
            self._look_at_acceptance()
        left_s = self._next_send_s - time.monotonic()
        waits = bool(self._to_send)
        connection.settimeout(min(_POLL_S, max(0.001, left_s)) if waits else _POLL_S)
        late = self.opened_s is not None and now_s - self.opened_s > self._timing.accept
        if late and self._awaited:
            raise ExchangeUnavailable(
                f"{self._name} did not accept the subscriptions within "
                f"{self._timing.accept:g} s"
            )

    def _look_at_acceptance(self) -> None:
        """Accepted is what the exchange says it is, or what was sent where it says nothing."""
        if not self.is_accepted and not self._awaited and not self._to_send:
            self.is_accepted = True
            self._changed()

    def _keep_alive(self, connection: websocket.WebSocket) -> None:
        keep_alive, now_s = self._wire.keep_alive, time.monotonic()
        if keep_alive is None or now_s < self._next_ping_s:
            return
        if now_s - self._heard_s > 2 * keep_alive.every_s:
            self.cause = "stall"
            raise ExchangeUnavailable(
                f"{self._name} has not answered a ping for {2 * keep_alive.every_s:g} s"
            )
        self._next_ping_s = now_s + keep_alive.every_s
        if keep_alive.message is None:
            connection.ping()
        else:
            connection.send_binary(keep_alive.message)


def _code(body: bytes) -> str:
    """The code and the reason of a close frame's body."""
    if len(body) < 2:
        return ""
    reason = body[2:].decode("utf-8", "replace")
    return f" ({int.from_bytes(body[:2], 'big')}{f' {reason}' if reason else ''})"
