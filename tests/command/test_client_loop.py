"""The thread of `tapedeck.Client` on scripted connections: whose answer an answer is."""

import pytest

from marketdata.client_messages import Subscribe, Unsubscribe
from marketdata.errors import ClientError
from marketdata.server_messages import ErrorMessage, Subscribed, Unsubscribed
from tapedeck.client_link import LinkBroken, Pace
from tapedeck.client_loop import Loop
from tapedeck.client_mailbox import Mailbox
from tapedeck.client_messages import Disconnected
from tapedeck.client_request import Request

AT_ONCE = Pace(first_pause_s=0)


class Connection:
    """Receives what a script yields, and the loop's end after it."""

    def __init__(self, script, server):
        self.sent = []
        self.received = script(self.sent)
        self.server = server

    def send(self, message):
        self.sent.append(message)

    def receive(self, seconds):
        message = next(self.received, LinkBroken)
        if message is LinkBroken:
            self.server.loop.end()
        return None if message is LinkBroken else message

    def close(self):
        pass


class Server:
    """One connection a script, in their order; `sent` is what came over each."""

    def __init__(self):
        self.mailbox = Mailbox(100)
        self.loop = Loop(self.connect, AT_ONCE, self.mailbox, resume=True, notices=True)
        self.connections = []

    def run(self, *scripts):
        self.scripts = list(scripts)
        self.loop.run()
        return [connection.sent for connection in self.connections]

    def connect(self):
        self.connections.append(Connection(self.scripts.pop(0), self))
        return self.connections[-1]

    def yielded(self, kind):
        taken = iter(lambda: self.mailbox.take(0), None)
        return [one for one in taken if isinstance(one, kind)]


@pytest.fixture
def server():
    return Server()


def subscribe(name):
    return Request(Subscribe((name,), resume=True), Subscribed)


def confirmed(name, recovered=None):
    cursors = ["ticks:id:0:5"]
    return Subscribed((name,), "t", cursors=cursors, recovered=recovered)


def error(code):
    return ErrorMessage(code, code, "t", "why", retry_after=0)


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one_s(server):
    late, next_ = subscribe("A"), subscribe("B")

    def first(sent):
        server.loop.ask(late)
        yield None
        assert late.wait(0) is None
        server.loop.forget()
        server.loop.ask(next_)
        yield confirmed("A")

    def second(sent):
        yield confirmed("B")

    sent = server.run(first, second)
    assert sent == [[late.message], [next_.message]], "what timed out is not subscribed"
    assert next_.wait(0) == confirmed("B")
    assert "no answer" in server.yielded(Disconnected)[0].reason


def test_a_request_that_times_out_ends_the_connection_even_if_nothing_more_comes(server):
    kept, late = subscribe("A"), Request(Unsubscribe(("A",)), Unsubscribed)

    def first(sent):
        server.loop.ask(kept)
        yield None
        yield confirmed("A")
        server.loop.ask(late)
        yield None
        assert late.wait(0) is None
        server.loop.forget()
        yield None

    def second(sent):
        yield confirmed("A", recovered=True)

    [_, restored] = server.run(first, second)
    assert restored == [Subscribe(("A",), resume=True, from_=("ticks:id:0:5",))]


def test_what_fails_after_its_confirmation_is_asked_for_again(server):
    request = subscribe("A")

    def first(sent):
        server.loop.ask(request)
        yield None
        yield confirmed("A")
        yield error("INTERNAL")

    def second(sent):
        yield confirmed("A", recovered=True)

    [_, restored] = server.run(first, second)
    assert restored == [Subscribe(("A",), resume=True, from_=("ticks:id:0:5",))]
    assert server.yielded(Exception) == []


@pytest.mark.parametrize(("code", "connections"), [("RATE_LIMITED", 1), ("INTERNAL", 2)])
def test_a_refusal_is_the_call_s_and_only_after_internal_the_connection_is_made_anew(
    server, code, connections
):
    """What an `INTERNAL` was about, and what the server has now, nobody knows."""
    request = subscribe("A")

    def first(sent):
        server.loop.ask(request)
        yield None
        yield error(code)

    def second(sent):
        yield None

    sent = server.run(first, second)
    assert isinstance(request.wait(0), ClientError)
    assert sent == [[request.message], []][:connections]
    assert server.yielded(Exception) == []
