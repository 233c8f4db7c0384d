"""One connection of `tapedeck.Client`: opens, sends, receives, and knows when it is dead.

Link.open ─► send(message) … receive() ─► ServerText | None ─► close
"""

import contextlib
import time
from dataclasses import dataclass

import msgspec
import websocket

from marketdata.client_errors import (
    INTERNAL,
    MESSAGES,
    RATE_LIMITED,
    UNAUTHORIZED,
    client_error,
)
from marketdata.client_messages import ClientMessage, Ping
from marketdata.errors import ClientError, GatewayUnavailable
from marketdata.server_messages import ErrorMessage
from tapedeck.client_messages import ServerText, understand

_CODES = {401: UNAUTHORIZED, 403: UNAUTHORIZED, 429: RATE_LIMITED}


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the client waits for what, in seconds.

    Attributes:
        connect_s: A connection that is not open by then has failed.
        answer_s: A subscribe that is not answered by then has failed.
        ping_s: A connection that was silent for so long is asked for a `pong`.
        silence_s: One that stays silent for so long is broken.
        first_pause_s: The longest pause before the second attempt; each next one's is twice it.
        longest_pause_s: The bound of that growth. The pause itself is drawn between 0 and it.
    """

    connect_s: float = 10.0
    answer_s: float = 15.0
    ping_s: float = 20.0
    silence_s: float = 60.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0


class LinkBroken(GatewayUnavailable):
    """The connection ended or never came about; worth another try."""


class Link:
    """An open connection.

    Raises:
        LinkBroken: nobody answered, or with a 5xx.
        ClientError: the server refused the key (UNAUTHORIZED), the pace (RATE_LIMITED) or the
            address (INTERNAL, with the status in its detail).
    """

    def __init__(self, url: str, key: str, pace: Pace) -> None:
        self._pace = pace
        header = [f"Authorization: Bearer {key}"] if key else []
        try:
            self._socket = websocket.create_connection(
                url, timeout=pace.connect_s, header=header, suppress_origin=True
            )
        except websocket.WebSocketBadStatusException as error:
            raise _refusal(url, error) from error
        except (OSError, websocket.WebSocketException) as error:
            raise LinkBroken(f"no connection to {_shown(url)}: {_words(error)}") from error
        self._heard_s = self._asked_s = time.monotonic()

    def send(self, message: ClientMessage) -> None:
        """Send a message; raises LinkBroken."""
        try:
            self._socket.settimeout(self._pace.connect_s)
            self._socket.send(text_of(message))
        except (OSError, websocket.WebSocketException) as error:
            raise LinkBroken(_words(error)) from error

    def receive(self, seconds: float) -> ServerText | None:
        """The next message; None when none came in time, or one that is not known.

        Raises:
            LinkBroken: the connection ended, or was silent for too long.
        """
        try:
            self._socket.settimeout(max(seconds, 0.001))
            text = self._socket.recv()
        except websocket.WebSocketTimeoutException:
            self._ask_for_life()
            return None
        except (OSError, websocket.WebSocketException) as error:
            raise LinkBroken(_words(error)) from error
        if not text:
            raise LinkBroken("the server closed the connection")
        self._heard_s = time.monotonic()
        return understand(text)

    def close(self) -> None:
        """End the connection; does not wait for the server."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket.send_close()
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket.shutdown()  # type: ignore[no-untyped-call]

    def _ask_for_life(self) -> None:
        now_s = time.monotonic()
        if now_s - self._heard_s > self._pace.silence_s:
            raise LinkBroken(f"silent for {self._pace.silence_s:g} s")
        if now_s - max(self._heard_s, self._asked_s) > self._pace.ping_s:
            self._asked_s = now_s
            self.send(Ping())


def text_of(message: ClientMessage) -> str:
    """A message with nothing in it that the server assumes anyway."""
    said = {
        field.encode_name: value
        for field in msgspec.structs.fields(message)
        if (value := getattr(message, field.name)) != field.default
    }
    return msgspec.json.encode({"type": message.__struct_config__.tag, **said}).decode()


def error_of(message: ErrorMessage) -> ClientError:
    """An `error` of the protocol as the exception that a program sees."""
    return ClientError(
        message.code,
        message.message,
        detail=f"{message.message}: {message.detail}",
        symbols=message.symbols,
        retry_after_s=message.retry_after,
        dropped=message.dropped,
    )


def _refusal(url: str, error: websocket.WebSocketBadStatusException) -> Exception:
    status = error.status_code
    if status >= 500:
        return LinkBroken(f"{_shown(url)} answered {status}")
    told = understand(error.resp_body or b"")
    if isinstance(told, ErrorMessage):
        return error_of(told)
    code = _CODES.get(status, INTERNAL)
    return client_error(code, f"{_shown(url)} answered {status}: {MESSAGES[code]}")


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _words(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
