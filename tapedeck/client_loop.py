"""The thread of `tapedeck.Client`: keeps a connection, restores it, fills the mailbox.

connect ─► restore what was subscribed ─► receive … broken ─► pause ─► connect
                                             └─ `reconnect` told ─► the new one first
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeGuard

from marketdata.client_errors import INTERNAL, QUEUE_FULL, RATE_LIMITED, UNAUTHORIZED
from marketdata.client_messages import ClientMessage, Register, Subscribe, Unsubscribe
from marketdata.errors import ClientError
from marketdata.server_messages import (
    ErrorMessage,
    Reconnect,
    Registered,
    Subscribed,
    Unsubscribed,
)
from tapedeck.client_link import Link, LinkBroken, Pace, error_of
from tapedeck.client_mailbox import Mailbox
from tapedeck.client_messages import (
    Candle,
    Connected,
    Depth,
    Disconnected,
    Event,
    Lost,
    Price,
    ServerText,
)
from tapedeck.client_request import Request
from tapedeck.client_wishes import Wishes

POLL_S = 0.05
_ANSWERS = Subscribed | Unsubscribed | Registered


class Loop:
    """Runs until `end`, or until the server says something that no new attempt can change.

    `connect` opens a connection, as `Link` does; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        connect: Callable[[], Link],
        pace: Pace,
        mailbox: Mailbox,
        *,
        resume: bool,
        notices: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect, self._pace, self._clock = connect, pace, clock
        self._mailbox = mailbox
        self._resume, self._notices = resume, notices
        self._wishes = Wishes()
        self._request: Request[Any] | None = None
        self._unanswered: Request[Any] | None = None
        """What was sent on this connection and has no answer yet."""
        self._ended = threading.Event()
        self._attempts = self._failures = 0
        self._connected_once = False
        self._failure: Exception | None = None
        self._replace_at_s: float | None = None

    def ask(self, request: Request[Any]) -> None:
        """Send a request on this connection and, while it has no answer, on each next one.

        One at a time; when it is given up, this connection ends, because its answer may still
        come and nobody could tell whose it is.
        """
        self._request = request
        if self._failure:
            request.answer(self._failure)

    def forget(self) -> None:
        """Nobody waits for the request any more."""
        self._request = None

    def end(self) -> None:
        """Stop soon."""
        self._ended.set()

    def run(self) -> None:
        """Keep the connection until `end`."""
        try:
            while not self._ended.is_set():
                try:
                    self._connection()
                except (LinkBroken, ClientError) as error:
                    if not self._goes_on(error):
                        return
        finally:
            self._stop()

    def _connection(self) -> None:
        self._attempts += 1
        link = self._link()
        try:
            self._restore(link)
            self._connected_once = True
            self._tell(Connected(self._attempts))
            while not self._ended.is_set():
                link = self._step(link)
        finally:
            link.close()

    def _link(self) -> Link:
        link = self._connect()
        self._replace_at_s = None
        return link

    def _step(self, link: Link) -> Link:
        """One moment of a connection; the connection of the next moment."""
        self._send(link)
        message = link.receive(POLL_S)
        if message:
            self._dispatch(message)
            self._failures = 0  # unless it ends the connection
        if self._replace_at_s is None or self._clock() < self._replace_at_s:
            return link
        return self._replaced(link)

    def _send(self, link: Link) -> None:
        if self._unanswered and self._unanswered.is_done:
            raise self._no_answer()
        request = self._request
        if request and not request.is_done and request is not self._unanswered:
            self._unanswered = request
            link.send(request.message)

    def _replaced(self, old: Link) -> Link:
        """The new connection, once it stands, is up to date and the old one is closed."""
        try:
            new = self._link()
        except (LinkBroken, ClientError):
            self._replace_at_s = self._clock() + self._pause()
            return old
        try:
            while message := old.receive(0):
                self._dispatch(message)
            self._restore(new)
        except (LinkBroken, ClientError):
            new.close()
            raise
        finally:
            old.close()
        self._attempts += 1
        self._tell(Connected(self._attempts))
        return new

    def _restore(self, link: Link) -> None:
        self._unanswered = None
        for message in self._wishes.requests(resume=self._resume):
            answer = self._ask(link, message)
            if isinstance(answer, ErrorMessage):
                self._not_restored(message, error_of(answer))
                continue
            self._wishes.restored(message, answer, self._clock())
            if not answer.recovered:
                self._mailbox.put(Lost("reconnect"))

    def _not_restored(self, message: ClientMessage, error: ClientError) -> None:
        if error.code in {RATE_LIMITED, INTERNAL} or not isinstance(message, Subscribe):
            raise error
        self._wishes.confirmed(Unsubscribe(message.names, message.channels))
        self._mailbox.put(error)

    def _ask(
        self, link: Link, message: ClientMessage
    ) -> Subscribed | Registered | ErrorMessage:
        kind: type[Registered | Subscribed] = (
            Registered if isinstance(message, Register) else Subscribed
        )
        link.send(message)
        until_s = self._clock() + self._pace.answer_s
        while self._clock() < until_s and not self._ended.is_set():
            answer = link.receive(POLL_S)
            if isinstance(answer, kind) or _refuses(answer):
                return answer
            if answer:
                self._dispatch(answer)
        raise self._no_answer()

    def _no_answer(self) -> LinkBroken:
        return LinkBroken(f"no answer within {self._pace.answer_s:g} s")

    def _dispatch(self, message: ServerText) -> None:
        match message:
            case Price() | Candle() | Depth() | Event():
                if self._wishes.takes(message, self._clock()):
                    self._mailbox.put(message)
            case Subscribed() | Unsubscribed() | Registered():
                self._answered(message)
            case ErrorMessage(code=code) if code == QUEUE_FULL:
                self._mailbox.put(Lost("queue", message.dropped))
            case ErrorMessage():
                self._refused(error_of(message))
            case Reconnect():
                self._replace_at_s = self._clock()
            case _:
                pass

    def _answered(self, message: _ANSWERS) -> None:
        request = self._unanswered
        if request and isinstance(message, request.kind) and request.answer(message):
            self._unanswered = None
            cursors = () if isinstance(message, Unsubscribed) else message.cursors
            self._wishes.confirmed(request.message, cursors, self._clock())

    def _refused(self, error: ClientError) -> None:
        """After INTERNAL nobody knows what the server has: a new connection is told."""
        request = self._unanswered
        if request and request.answer(error):
            self._unanswered = None
        elif request is None and error.code != INTERNAL:
            self._mailbox.put(error)
        if error.code == INTERNAL:
            raise error

    def _goes_on(self, error: LinkBroken | ClientError) -> bool:
        """Whether another attempt is made; waits for it."""
        code = error.code if isinstance(error, ClientError) else ""
        if code == UNAUTHORIZED or not self._connected_once:
            self._failure = error
            return False
        pause_s = self._pause()
        if isinstance(error, ClientError):
            pause_s = max(pause_s, error.retry_after_s)
        self._tell(Disconnected(str(error), pause_s))
        self._ended.wait(pause_s)
        return True

    def _pause(self) -> float:
        """Full jitter: anything between 0 and a bound that doubles with each failure."""
        bound_s = self._pace.first_pause_s * 2 ** min(self._failures, 30)
        self._failures += 1
        longest_s = min(bound_s, self._pace.longest_pause_s)
        return random.uniform(0, longest_s)  # noqa: S311 - only spreads load

    def _tell(self, notice: Connected | Disconnected) -> None:
        if self._notices:
            self._mailbox.put(notice)

    def _stop(self) -> None:
        failure = self._failure or LinkBroken("the client is closed")
        if self._failure:
            self._mailbox.put(failure)
        self._failure = failure
        self._mailbox.close()
        request = self._request
        if request:
            request.answer(failure)


def _refuses(message: ServerText | None) -> TypeGuard[ErrorMessage]:
    return isinstance(message, ErrorMessage) and message.code != QUEUE_FULL
