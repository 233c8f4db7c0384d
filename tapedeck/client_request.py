"""A message whose answer somebody waits for, over as many connections as it takes."""

import threading
from typing import Generic, TypeVar

from marketdata.client_messages import ClientMessage

Answer = TypeVar("Answer")


class Request(Generic[Answer]):
    """One message and the kind of its answer."""

    def __init__(self, message: ClientMessage, kind: type[Answer]) -> None:
        self.message = message
        self.kind = kind
        self._answer: Answer | Exception | None = None
        self._answered = threading.Event()

    def answer(self, answer: Answer | Exception) -> None:
        """Give the answer; whoever waits goes on."""
        self._answer = answer
        self._answered.set()

    def wait(self, seconds: float) -> Answer | Exception | None:
        """The answer, or None when there was none in time."""
        self._answered.wait(seconds)
        return self._answer
