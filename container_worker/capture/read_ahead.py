"""Fewer system calls: reads as much as the socket has and hands it out in the pieces asked for.

websocket-client asks for a frame's two header bytes, its length and its payload one by one.
"""

import errno
import socket

_CHUNK = 256 * 1024


class ReadAhead:
    """Stands for a connected socket on the reading side; everything else goes through."""

    def __init__(self, inner: socket.socket | None) -> None:
        if inner is None:
            raise OSError(errno.ENOTCONN, "the socket is closed already")
        self._inner = inner
        self._buffer = b""
        self._at = 0

    def recv(self, size: int) -> bytes:
        """At most `size` bytes, as `socket.recv`."""
        at = self._at
        piece = self._buffer[at : at + size]
        if piece:
            self._at = at + len(piece)
            return piece
        self._buffer = self._inner.recv(_CHUNK)
        self._at = min(size, len(self._buffer))
        return self._buffer[:size]

    def send(self, data: bytes) -> int:
        """As `socket.send`."""
        return self._inner.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """As `socket.settimeout`."""
        self._inner.settimeout(seconds)

    def gettimeout(self) -> float | None:
        """As `socket.gettimeout`."""
        return self._inner.gettimeout()

    def fileno(self) -> int:
        """As `socket.fileno`."""
        return self._inner.fileno()

    def shutdown(self, how: int) -> None:
        """As `socket.shutdown`."""
        self._inner.shutdown(how)

    def close(self) -> None:
        """As `socket.close`."""
        self._inner.close()
