"""Holds any text of a client's connection against docs/asyncapi.yaml.

check("server", text)     what the server sent
check("client", text)     what a client sent and the server took
"""

import functools
import json
from pathlib import Path

import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

PAGE = Path(__file__).parents[1] / "docs" / "asyncapi.yaml"
_ACTIONS = {"client": "receive", "server": "send"}


@functools.cache
def document():
    """The AsyncAPI document."""
    return yaml.safe_load(PAGE.read_text(encoding="utf-8"))


@functools.cache
def messages(direction):
    """The names of the messages of a direction, over all channels."""
    return {
        reference["$ref"].rpartition("/")[2]
        for operation in document()["operations"].values()
        if operation["action"] == _ACTIONS[direction]
        for reference in operation["messages"]
    }


def check(direction, text):
    """Fail, with a sentence, unless a message of this direction has this form."""
    name, payload = _read(text)
    assert name in messages(direction), f"no message {name!r} of a {direction}: {text[:300]}"
    fault = best_match(_validator(name).iter_errors(payload))
    assert fault is None, f"{name} at {fault.json_path}: {fault.message}; in {text[:500]}"


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
