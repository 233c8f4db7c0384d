"""Holds every text of a client's connection against docs/asyncapi.yaml, by its channel.

check("server", text, "ws")     what the server sent
check("client", text, "ws")     what a client sent and the server took
Talk("ws")                      a connection: what it sent and received, as it passes
connect(url, …)                 a socket of websocket-client that does this by itself
"""

import functools
import json
from pathlib import Path
from urllib.parse import urlsplit

import websocket
import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

PAGE = Path(__file__).parents[1] / "docs" / "asyncapi.yaml"
_ACTIONS = {"client": "receive", "server": "send"}
_ANSWERS = {
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
    "register": "registered",
    "ping": "pong",
}
_REFUSALS = ("error", "failure")


@functools.cache
def document():
    """The AsyncAPI document."""
    return yaml.safe_load(PAGE.read_text(encoding="utf-8"))


@functools.cache
def messages(direction, channel):
    """The names of the messages that go in a direction on a channel."""
    return {
        reference["$ref"].rpartition("/")[2]
        for operation in document()["operations"].values()
        if operation["action"] == _ACTIONS[direction]
        and operation["channel"]["$ref"] == f"#/channels/{channel}"
        for reference in operation["messages"]
    }


def channel_of(url):
    """The channel at a client's address."""
    path = urlsplit(url).path or "/"
    [name] = [name for name, one in document()["channels"].items() if one["address"] == path]
    return name


def check(direction, text, channel):
    """Fail, with a sentence, unless a channel has a message of this direction and form."""
    name, payload = _read(text)
    known = messages(direction, channel)
    assert name in known, f"no message {name!r} of a {direction} on {channel}: {text[:300]}"
    fault = best_match(_validator(name).iter_errors(payload))
    assert fault is None, f"{name} at {fault.json_path}: {fault.message}; in {text[:500]}"


class Talk:
    """One connection: fails when a message passes that is not of its channel.

    What the client sends counts when it is answered: what is refused may be anything.
    """

    def __init__(self, channel):
        self._channel = channel
        self._asked = []

    def sent(self, text):
        """A text on its way to the server."""
        answer = _answer_to(text)
        if answer:
            self._asked.append((answer, text))

    def received(self, text):
        """A text that came from the server."""
        check("server", text, self._channel)
        name, _ = _read(text)
        if name in _REFUSALS:
            self._asked.clear()  # which of them is refused it does not say
        answered = next((one for one in self._asked if one[0] == name), None)
        if answered:
            self._asked.remove(answered)
            check("client", answered[1], self._channel)


class _HeldSocket(websocket.WebSocket):
    def connect(self, url, **options):
        self._talk = Talk(channel_of(url))
        super().connect(url, **options)

    def send(self, payload, opcode=websocket.ABNF.OPCODE_TEXT):
        if opcode == websocket.ABNF.OPCODE_TEXT:
            self._talk.sent(payload)
        return super().send(payload, opcode)

    def recv(self):
        text = super().recv()
        if text:  # empty when the server closed the connection
            self._talk.received(text)
        return text


def connect(url, **options):
    """A client's connection that fails when it sends or gets what its channel does not have."""
    return websocket.create_connection(url, class_=_HeldSocket, **options)


def _answer_to(text):
    """The name of the message that says that a text was taken; None for what is no message."""
    verb, comma, _ = text.strip().partition(",")
    if comma and verb in ("subscribe", "unsubscribe"):
        return "pairCandle" if verb == "subscribe" else "unsubscribed"
    try:
        payload = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    kind = payload.get("type") if isinstance(payload, dict) else None
    return _ANSWERS.get(kind) if isinstance(kind, str) else None


def _once(pairs):
    """An object; one that has a member twice can be read in two ways."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _read(text):
    """The name of a text's message, and what its schema is held against."""
    try:
        payload = json.loads(text)
    except ValueError:
        return "subscribePair", text
    if not isinstance(payload, dict):
        return type(payload).__name__, payload
    if "type" in payload:
        return payload["type"], payload
    if "pair" in payload:
        return "pairCandle", payload
    return ("failure" if "requestId" in payload else "without a type"), payload


@functools.cache
def _validator(name):
    page = Resource.from_contents(document(), default_specification=DRAFT7)
    schema = document()["components"]["messages"][name]["payload"]["$ref"]
    registry = Registry().with_resource("asyncapi", page)
    return Draft7Validator({"$ref": f"asyncapi{schema}"}, registry=registry)
