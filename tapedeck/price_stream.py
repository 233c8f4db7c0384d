"""A client of the price stream: connects, subscribes, and goes on after a broken connection.

    /stream ─► PriceStream.run ─► on_price(ClientPrice), on_note(text)

`tapedeck watch` is its user; it knows nothing of terminals.
"""

import contextlib
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import websocket

from marketdata.client_protocol import UNKNOWN_SYMBOL, ClientPrice, ErrorMessage, ServerMessage
from marketdata.errors import ClientError, InputError, LocalError

CONNECT_TIMEOUT_S = 5.0
POLL_S = 0.25
PING_S = 30.0
SILENCE_S = 90.0
"""Without a word for so long, three pings included, the connection counts as broken."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
GOODBYE_S = 1.0

_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


class Target(NamedTuple):
    """Where to connect, and with which key (empty for none)."""

    url: str
    key: str


class PriceStream:
    """One subscription that lasts until `ended()`, over as many connections as it takes.

    Args:
        find: Says where to connect; asked before every attempt, since a local stack may have
            come back on other ports. What it raises ends the stream.
        symbols: Symbols or tickers.
        on_price: Called with each update and the text that it was.
        on_note: Called with each change of the connection, for people.
        ended: Asked at least four times a second, except in a pause between attempts.
    """

    def __init__(
        self,
        find: Callable[[], Target],
        symbols: Sequence[str],
        on_price: Callable[[ClientPrice, str], None],
        on_note: Callable[[str], None],
        ended: Callable[[], bool],
    ) -> None:
        self._find = find
        self._symbols = list(symbols)
        self._on_price = on_price
        self._on_note = on_note
        self._ended = ended
        self._socket: websocket.WebSocket | None = None
        self._was_connected = False
        self._pause_s = FIRST_PAUSE_S

    def run(self) -> None:
        """Receives until `ended()`; a connection that breaks is made again, after a pause.

        Raises:
            InputError: the server refused the key or does not know a symbol.
            LocalError: the very first connection failed.
            ClientError: the server answered with another error of the protocol.
        """
        while not self._ended():
            target = self._find()
            try:
                self._connect(target)
                self._receive()
            except websocket.WebSocketBadStatusException as error:
                self._refused(target, error)
            except (OSError, websocket.WebSocketException) as error:
                self._broken(target, error)
            finally:
                self._close()

    def _connect(self, target: Target) -> None:
        header = [f"Authorization: Bearer {target.key}"] if target.key else []
        self._socket = websocket.create_connection(
            target.url, timeout=CONNECT_TIMEOUT_S, header=header, suppress_origin=True
        )
        self._socket.settimeout(POLL_S)
        self._send({"type": "subscribe", "symbols": self._symbols})
        self._was_connected = True
        self._on_note(f"connected to {target.url}")

    def _receive(self) -> None:
        heard_s = pinged_s = time.monotonic()
        while not self._ended():
            text = self._next_text()
            now_s = time.monotonic()
            if text:
                heard_s = now_s
                self._understand(text)
            elif now_s - heard_s > SILENCE_S:
                raise websocket.WebSocketTimeoutException(f"silent for {SILENCE_S:.0f} s")
            if now_s - pinged_s > PING_S:
                pinged_s = now_s
                self._send({"type": "ping"})
        self._say_goodbye()

    def _next_text(self) -> str:
        """The next message; empty when none came within a moment."""
        if self._socket is None:
            return ""
        try:
            received = self._socket.recv()
        except websocket.WebSocketTimeoutException:
            return ""
        return received if isinstance(received, str) else received.decode("utf-8", "replace")

    def _understand(self, text: str) -> None:
        try:
            message = _decoder.decode(text)
        except msgspec.DecodeError:
            return  # a kind of message that this version does not know
        if isinstance(message, ClientPrice):
            self._pause_s = FIRST_PAUSE_S
            self._on_price(message, text)
        elif isinstance(message, ErrorMessage):
            raise _error_of(message)

    def _refused(self, target: Target, error: websocket.WebSocketBadStatusException) -> None:
        if error.status_code == 401:
            raise InputError(
                f"{target.url} refused the API key (401): give the right one with --key"
            ) from error
        why = {429: "too many connections or requests of this key"}.get(
            error.status_code, "is it the address of /stream?"
        )
        if not self._was_connected:
            raise LocalError(f"{target.url} answered {error.status_code}: {why}") from error
        self._broken(target, error)

    def _broken(self, target: Target, error: Exception) -> None:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        if not self._was_connected:
            raise LocalError(f"no connection to {target.url}: {why}") from error
        pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - only spreads load
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)
        self._on_note(f"connection lost ({why}); trying again in {pause_s:.1f} s")
        until_s = time.monotonic() + pause_s
        while not self._ended() and time.monotonic() < until_s:
            time.sleep(min(POLL_S, pause_s))

    def _send(self, message: dict[str, object]) -> None:
        if self._socket is not None:
            self._socket.send(json.dumps(message))

    def _say_goodbye(self) -> None:
        """Ends the subscriptions and waits a moment for the confirmation."""
        self._send({"type": "unsubscribe"})
        until_s = time.monotonic() + GOODBYE_S
        while time.monotonic() < until_s:
            if '"unsubscribed"' in self._next_text():
                return

    def _close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                self._socket.close(timeout=1)
            self._socket = None


def _error_of(message: ErrorMessage) -> Exception:
    if message.code == UNKNOWN_SYMBOL:
        names = ", ".join(message.symbols)
        return InputError(f"{message.message}: {message.detail or names}")
    return ClientError(
        message.code, message.message, detail=f"{message.message}: {message.detail}"
    )
