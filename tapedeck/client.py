"""A client of Tapedeck's live streams, for Python programs.

    with Client("ws://localhost:3000/stream", key) as client:
        client.subscribe(["BTC/USD"])
        for update in client:
            …

A thread of its own keeps the connection: it connects again after a pause that grows and has
chance in it, subscribes to what was subscribed, and goes on where the last connection ended.
"""

import functools
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

from marketdata.client_errors import INTERNAL, client_error
from marketdata.client_messages import (
    Channel,
    ClientMessage,
    Filters,
    Interval,
    Rate,
    Register,
    Subscribe,
    Unsubscribe,
)
from marketdata.errors import InputError
from marketdata.server_messages import Registered, Subscribed, Unsubscribed
from tapedeck.client_link import Link, Pace
from tapedeck.client_loop import Loop
from tapedeck.client_mailbox import Mailbox
from tapedeck.client_messages import Notice, Update
from tapedeck.client_request import Request

QUEUE_SIZE = 10_000
Answer = TypeVar("Answer", Subscribed, Unsubscribed, Registered)


class Client(Iterator[Update | Notice]):
    """One connection that lasts, over as many sockets as it takes.

    Iterating yields `Price`, `Candle`, `Depth` and `Event`, and `Lost` where some are missing;
    with `notices` also `Connected` and `Disconnected`. It ends when the client is closed. All
    methods may be called from any thread.

    Args:
        url: The address of a stage: `…/stream`, `…/ws`.
        key: The API key; None where none is asked for. It goes into a header, never the URL.
        resume: Ask for cursors, so that a new connection goes on where the last one ended.
        queue_size: How many updates wait for the program, 1 or more; then the oldest are
            dropped, and a `Lost` says how many. Notices and errors are never dropped.
        notices: Whether changes of the connection are yielded too.
        pace: The times to wait.

    Raises:
        InputError: at once, a `queue_size` below 1.
        ClientError: from the method concerned, what the server refused. From the iteration,
            what it refused later: a revoked key, a symbol that is not captured any more.
        GatewayUnavailable: from the first use, when the first connection fails. Later failures
            are tried again for ever.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        resume: bool = True,
        queue_size: int = QUEUE_SIZE,
        notices: bool = False,
        pace: Pace | None = None,
    ) -> None:
        if queue_size < 1:
            raise InputError(f"`queue_size` must be 1 or more, not {queue_size}")
        self._pace = pace or Pace()
        self._resume = resume
        self._mailbox = Mailbox(queue_size)
        connect = functools.partial(Link, url, key or "", self._pace)
        self._loop = Loop(connect, self._pace, self._mailbox, resume=resume, notices=notices)
        self._asking = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def subscribe(
        self,
        symbols: Sequence[str],
        *,
        channels: Sequence[Channel] = ("prices",),
        rate: Rate = "1s",
        interval: Interval = "1m",
    ) -> Subscribed:
        """Subscribe, and wait for the confirmation; all of the symbols, or none."""
        message = Subscribe(
            tuple(symbols), tuple(channels), rate, interval, resume=self._resume
        )
        return self._ask(message, Subscribed)

    def unsubscribe(
        self, symbols: Sequence[str] | None = None, channels: Sequence[Channel] | None = None
    ) -> Unsubscribed:
        """End the subscriptions of these symbols to these channels; None stands for all."""
        names = None if symbols is None else tuple(symbols)
        chosen = None if channels is None else tuple(channels)
        return self._ask(Unsubscribe(names, chosen), Unsubscribed)

    def register(self, filters: Filters | None = None) -> Registered:
        """Register for chain events (stage `ws`); further filters replace the last ones."""
        return self._ask(Register(filters or Filters(), resume=self._resume), Registered)

    def close(self) -> None:
        """End the connection and the iteration; safe from any thread, and to repeat."""
        self._loop.end()
        self._mailbox.close()
        thread = self._thread
        if thread and thread is not threading.current_thread():
            thread.join(self._pace.connect_s + 1)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update | Notice:
        self._start()
        item = self._mailbox.take()
        if item is None:
            raise StopIteration
        if isinstance(item, Exception):
            raise item
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, message: ClientMessage, kind: type[Answer]) -> Answer:
        self._start()
        with self._asking:
            request = Request(message, kind)
            self._loop.ask(request)
            answer = request.wait(self._pace.answer_s)
            self._loop.forget()
        if answer is None:
            raise client_error(INTERNAL, f"no answer within {self._pace.answer_s:g} s")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._loop.run, name="tapedeck-client", daemon=True
                )
                self._thread.start()
