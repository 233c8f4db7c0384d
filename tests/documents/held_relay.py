"""A port before the gateway that holds what programs say and hear against the protocol.

program ─► relay ─► gateway        every byte as it came; each whole text to a `Talk`
"""

import contextlib
import itertools
import socket
import threading

CONTROL = 8
"""Opcodes from here on are pings, pongs and closes."""
HEAD_END = b"\r\n\r\n"


class Relay:
    """Listens while the block lasts; `faults` are the texts that the channel does not have.

    `talk()` makes a `protocol_schema.Talk` for each connection.
    """

    def __init__(self, port, talk, faults):
        self._target, self._talk, self._faults = ("127.0.0.1", port), talk, faults
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near):
        talk = self._talk()
        with near, socket.create_connection(self._target) as far:
            back = threading.Thread(
                target=self._copy, args=(far, near, talk.received), daemon=True
            )
            back.start()
            self._copy(near, far, talk.sent)
            back.join()

    def _copy(self, source, target, hear):
        texts = Texts()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                for text in texts.feed(data):
                    self._hold(hear, text)
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _hold(self, hear, text):
        try:
            hear(text)
        except AssertionError as fault:
            self._faults.append(str(fault))


class Texts:
    """One direction of a connection: bytes in, the whole texts of its frames out."""

    def __init__(self):
        self._left = b""
        self._head_is_over = False
        self._parts = []

    def feed(self, data):
        """The texts that end with these bytes; none of a connection that was refused."""
        self._left += data
        if not self._head_is_over:
            head, end, after = self._left.partition(HEAD_END)
            if not end or not (head.startswith(b"GET ") or b" 101 " in head):
                return
            self._head_is_over, self._left = True, after
        while (frame := self._frame()) is not None:
            ends, opcode, payload = frame
            if opcode >= CONTROL:
                continue
            self._parts.append(payload)
            if ends:
                yield b"".join(self._parts).decode()
                self._parts.clear()

    def _frame(self):
        """The next whole frame (RFC 6455, section 5.2), taken off what is left."""
        left = self._left
        if len(left) < 2:
            return None
        size, at = left[1] & 127, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(left[2:at], "big")
        is_masked = bool(left[1] & 128)
        begin = at + 4 * is_masked
        if len(left) < begin + size:
            return None
        payload, self._left = left[begin : begin + size], left[begin + size :]
        if is_masked:
            mask = itertools.cycle(left[at:begin])
            payload = bytes(a ^ b for a, b in zip(payload, mask, strict=False))
        return bool(left[0] & 128), left[0] & 15, payload
