"""One socket to an exchange, in a thread of its own: connect, subscribe, read until it ends.

    websocket-client ─► frame, time of receipt ─► line

Pings are answered by the library, inside its reads. All sending happens in this thread.
"""

import contextlib
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import websocket

from container_worker.capture import refusals
from container_worker.capture.line import Source
from container_worker.capture.read_ahead import ReadAhead
from container_worker.capture.timing import Timing
from container_worker.exchanges.adapter import Adapter, Subscription
from marketdata.errors import ExchangeError, ExchangeUnavailable, TapedeckError
from marketdata.messages import Cause

if TYPE_CHECKING:
    import socket

Feed = Callable[[bytes, int, Source], None]

_POLL_S = 0.25
_DATA = (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY)


class Link(threading.Thread):
    """A socket and its reading thread; it ends by itself, or after `close`.

    `changed` is called, in this thread, when the subscriptions are accepted, when the exchange
    says that it leaves, and when the socket is gone. `error` says why, `cause` is for the gap.
    """

    def __init__(
        self,
        adapter: Adapter,
        url: str,
        subscriptions: Sequence[Subscription],
        *,
        feed: Feed,
        changed: Callable[[], None],
        timing: Timing,
    ) -> None:
        super().__init__(name=f"{adapter.name}-socket", daemon=True)
        self.data_ns = 0
        self.opened_s: float | None = None
        self.is_accepted = False
        self.is_leaving = False
        self.is_gone = False
        self.error: TapedeckError | None = None
        self.cause: Cause = "disconnect"
        self._adapter = adapter
        self._url = url
        self._feed = feed
        self._changed = changed
        self._timing = timing
        self._to_send = deque(subscriptions)
        self._awaited = {subscription.request_id for subscription in subscriptions}
        self._closing = False
        self._refusal: str | None = None

    def close(self, cause: Cause | None = None) -> None:
        """Ends the socket soon; the thread does it."""
        if cause is not None:
            self.cause = cause
        self._closing = True

    def accepted(self, request_id: int) -> None:
        """See `Source`."""
        self._awaited.discard(request_id)
        if not self._awaited and not self.is_accepted:
            self.is_accepted = True
            self._changed()

    def refused(self, text: str) -> None:
        """See `Source`."""
        self._refusal = text

    def leaving(self) -> None:
        """See `Source`."""
        self.is_leaving = True
        self._changed()

    def run(self) -> None:
        """The thread: from the connection to its end."""
        try:
            self._serve()
        except TapedeckError as error:
            self.error = error
        finally:
            self.is_gone = True
            self._changed()

    def _serve(self) -> None:
        connection = open_socket(self._adapter, self._url, self._timing.connect)
        self.opened_s = time.monotonic()
        buffered = ReadAhead(connection.sock)
        connection.sock = cast("socket.socket", buffered)
        try:
            self._read(connection)
        except websocket.WebSocketException as error:
            raise ExchangeUnavailable(
                f"{self._adapter.name} broke the connection: {error}"
            ) from error
        except OSError as error:
            raise refusals.of_network(self._url, error) from error
        finally:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                connection.close(timeout=1)
            buffered.close()

    def _read(self, connection: websocket.WebSocket) -> None:
        connection.settimeout(_POLL_S)
        receive, feed, clock = connection.recv_data, self._feed, time.time_ns
        next_send_s = 0.0
        while not self._closing:
            if self._awaited:
                next_send_s = self._subscribe(connection, next_send_s)
            try:
                opcode, frame = receive()
            except websocket.WebSocketTimeoutException:
                continue
            if opcode in _DATA:
                feed(frame, clock(), self)
            else:
                raise ExchangeUnavailable(
                    f"{self._adapter.name} closed the connection{_code(frame)}"
                )
            if self._refusal is not None:
                raise ExchangeError(
                    f"{self._adapter.name} refused a subscription: {self._refusal}"
                )

    def _subscribe(self, connection: websocket.WebSocket, next_send_s: float) -> float:
        now_s = time.monotonic()
        if self.opened_s is not None and now_s - self.opened_s > self._timing.accept:
            raise ExchangeUnavailable(
                f"{self._adapter.name} did not accept the subscriptions within "
                f"{self._timing.accept:g} s"
            )
        if self._to_send and now_s >= next_send_s:
            connection.send(self._to_send.popleft().text)
            return now_s + 1 / self._adapter.limits.control_per_second
        return next_send_s


def open_socket(adapter: Adapter, url: str, timeout_s: float) -> websocket.WebSocket:
    """A connected socket.

    Raises:
        RestrictedLocation, RateLimited, ExchangeUnavailable, ExchangeError: the upgrade was
            refused, or there is no connection; the text says what to do.
    """
    connection = websocket.WebSocket(
        skip_utf8_validation=True,
        enable_multithread=False,
        sslopt={"context": ssl.create_default_context()} if url.startswith("wss:") else None,
    )
    connection.settimeout(timeout_s)
    try:
        connection.connect(url, redirect_limit=2)  # type: ignore[no-untyped-call]
    except (websocket.WebSocketException, OSError) as error:
        raise _translate(adapter, url, error) from error
    return connection


def _translate(
    adapter: Adapter, url: str, error: websocket.WebSocketException | OSError
) -> ExchangeError:
    if isinstance(error, websocket.WebSocketBadStatusException):
        headers = {name.lower(): value for name, value in (error.resp_headers or {}).items()}
        body = error.resp_body or b""
        return refusals.of_status(adapter, url, error.status_code, headers, body)
    if isinstance(error, websocket.WebSocketTimeoutException):
        return refusals.of_network(url, TimeoutError())
    cause = error.__cause__ or error.__context__
    if isinstance(error, websocket.WebSocketAddressException) and isinstance(cause, OSError):
        return refusals.of_network(url, cause)
    if isinstance(error, OSError):
        return refusals.of_network(url, error)
    return ExchangeUnavailable(f"the WebSocket upgrade at {url} failed: {error}")


def _code(body: bytes) -> str:
    """The code and the reason of a close frame's body."""
    if len(body) < 2:
        return ""
    reason = body[2:].decode("utf-8", "replace")
    return f" ({int.from_bytes(body[:2], 'big')}{f' {reason}' if reason else ''})"
