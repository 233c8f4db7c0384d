"""The upgrade to a WebSocket: what the exchange wants to see, and what its refusal means."""

import ssl

import websocket

from container_worker.capture import refusals
from container_worker.exchanges.adapter import Adapter, Socket
from marketdata.errors import ExchangeError, ExchangeUnavailable


def open_socket(
    adapter: Adapter, wire: Socket, url: str, timeout_s: float
) -> websocket.WebSocket:
    """A connected socket.

    Raises:
        RestrictedLocation, RateLimited, BadCredential, ExchangeUnavailable, ExchangeError: the
            upgrade was refused, or there is no connection; the text says what to do.
    """
    connection = websocket.WebSocket(
        skip_utf8_validation=True,
        enable_multithread=False,
        sslopt={"context": ssl.create_default_context()} if url.startswith("wss:") else None,
    )
    connection.settimeout(timeout_s)
    try:
        connection.connect(  # type: ignore[no-untyped-call]
            url,
            redirect_limit=0,
            header=[f"{name}: {value}" for name, value in wire.headers],
            origin=wire.origin,
            subprotocols=list(wire.subprotocols) or None,
        )
    except (websocket.WebSocketException, OSError) as error:
        raise _translate(adapter, url, connection, error) from error
    return connection


def _translate(
    adapter: Adapter,
    url: str,
    connection: websocket.WebSocket,
    error: websocket.WebSocketException | OSError,
) -> ExchangeError:
    answer = connection.handshake_response
    if answer is not None and 300 <= answer.status < 400:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return refusals.of_status(adapter, url, answer.status, headers, b"")
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
