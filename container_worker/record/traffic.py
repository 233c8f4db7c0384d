"""Traffic as lines of a recording: one socket's, and that of the REST interface.

What may hold a secret is told as such, without its bytes.
"""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from container_worker.exchanges.adapter import RestRequest
from container_worker.record.tape_file import TapeFile
from marketdata import raw_tape
from marketdata.raw_tape import RawLine, RestAnswer


class SocketTraffic:
    """One socket's (`link.Observer`), under its number in the file."""

    def __init__(self, tape: TapeFile, number: int) -> None:
        self._tape = tape
        self._number = number

    def opened(self, url: str) -> None:
        """The upgrade was accepted."""
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        self._write(raw_tape.OPENED, f"{parts.path or '/'}{query}".encode())

    def sent(self, payload: str | bytes, *, is_secret: bool) -> None:
        """A message went out; with a session it has the session's token in it."""
        if is_secret:
            self._write(raw_tape.SECRET, b"")
        elif isinstance(payload, bytes):
            self._write(raw_tape.SENT_BINARY, payload)
        else:
            self._write(raw_tape.SENT, payload.encode())

    def received(self, frame: bytes, received_ns: int, *, is_text: bool) -> None:
        """A frame came in."""
        kind = raw_tape.FRAME if is_text else raw_tape.BINARY
        self._tape.write(RawLine(received_ns, kind, self._number, frame))

    def closed(self, reason: str) -> None:
        """The socket is gone."""
        self._write(raw_tape.CLOSED, reason.encode())

    def _write(self, kind: str, payload: bytes) -> None:
        self._tape.write(RawLine(time.time_ns(), kind, self._number, payload))


class RestTraffic:
    """Answers of requests, without their headers; for requests that carry no secret."""

    def __init__(self, tape: TapeFile) -> None:
        self._tape = tape

    def get(self, ask: Callable[[RestRequest], bytes], request: RestRequest) -> bytes:
        """Asks, writes the answer down and gives it back. Raises what `ask` raises."""
        body = ask(request)
        answer = RestAnswer(
            path=request.path,
            status=200,
            body=body.decode("utf-8", "replace"),
            sent=(request.body or b"").decode("utf-8", "replace"),
        )
        payload = raw_tape.encode_rest(answer)
        self._tape.write(RawLine(time.time_ns(), raw_tape.REST, 0, payload))
        return body
