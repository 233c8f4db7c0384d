"""A message whose answer somebody waits for, over as many connections as it takes."""

import threading
from typing import Generic, TypeVar

from marketdata.client_messages import ClientMessage

Answer = TypeVar("Answer")


class Request(Generic[Answer]):
    """One message and the kind of its answer; it is answered, or given up, once."""

    def __init__(self, message: ClientMessage, kind: type[Answer]) -> None:
        self.message = message
        self.kind = kind
        self._answer: Answer | Exception | None = None
        self._deciding = threading.Lock()
        self._done = threading.Event()

    @property
    def is_done(self) -> bool:
        """Whether it was answered or given up."""
        return self._done.is_set()

    def answer(self, answer: Answer | Exception) -> bool:
        """Give the answer; False when it is too late for one."""
        with self._deciding:
            if self._done.is_set():
                return False
            self._answer = answer
            self._done.set()
            return True

    def wait(self, seconds: float) -> Answer | Exception | None:
        """The answer, or None when there was none in time: then the request is given up."""
        self._done.wait(seconds)
        with self._deciding:
            self._done.set()
            return self._answer
