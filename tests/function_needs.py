"""What the modules of functions/ say that they need of AWS, and that they ask for nothing else.

docstring ─► needs(module) ─┬─► is what its role allows         (tests/infra)
                            └─► has every call of its handler   (tests/functions)
"""

import contextlib
import contextvars
import functools
import importlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3

from functions.gateway import ManagementApi

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
NEED = re.compile(r"on the (\w+)|on `(\w+)`|`(?:[\w-]+:)?([A-Z]\w+)`")
POSTING = ("ManageConnections", "")
WRITES = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
ACTIONS = {"HeadObject": "GetObject", "Invoke": "InvokeFunction"}
"""Operations that need the right to another one."""

_running = contextvars.ContextVar("running", default=None)


@functools.cache
def modules():
    """The modules that have a handler."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in FUNCTIONS.glob("*.py")}
    return tuple(sorted(name for name, text in texts.items() if "\ndef handler(" in text))


@functools.cache
def needs(module):
    """Pairs of action and what it is on, said in this order or in the other."""
    text = (FUNCTIONS / f"{module}.py").read_text(encoding="utf-8")
    said = " ".join(text.split('"""')[1].split()).partition("Needs ")[2]
    found, actions, on = set(), [], ""
    for table, function, action in NEED.findall(said):
        if action == "ManageConnections":
            found.add(POSTING)
        elif action and said.startswith("on the "):
            found.add((action, on))
        elif action:
            actions.append(action)
        else:
            on = table or function
            found |= {(one, on) for one in actions}
            actions = []
    assert not actions, f"functions/{module}.py does not say on what it needs {actions}"
    return found


def calls(operation, parameters):
    """What a call needs, as pairs like those of `needs`; tests' tables end in their kind."""
    if operation == "TransactWriteItems":
        each = [dict(one).popitem() for one in parameters["TransactItems"]]
        pairs = [(WRITES.get(kind, f"{kind}Item"), own["TableName"]) for kind, own in each]
    elif "RequestItems" in parameters:
        pairs = [(operation, table) for table in parameters["RequestItems"]]
    elif "TableName" in parameters:
        pairs = [(operation, parameters["TableName"])]
    else:
        on = "archive" if "Bucket" in parameters else parameters["FunctionName"]
        pairs = [(ACTIONS.get(operation, operation), on)]
    return {(action, on.rpartition("-")[2]) for action, on in pairs}


@contextlib.contextmanager
def held_to(monkeypatch):
    """While it lasts, a call that a handler's module does not say it needs fails the test."""
    boto3.setup_default_session()  # which every client is made of
    events = boto3.DEFAULT_SESSION.events
    events.register("provide-client-params", _before_call)
    for name in modules():
        module = importlib.import_module(f"functions.{name}")
        monkeypatch.setattr(module, "handler", _running_as(name, module.handler))
    submit, request = ThreadPoolExecutor.submit, ManagementApi._request

    def submit_with_context(pool, work, /, *args, **more):
        return submit(pool, contextvars.copy_context().run, work, *args, **more)

    def note_request(*args):
        _hold(_running.get(), {POSTING})
        return request(*args)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit_with_context)
    monkeypatch.setattr(ManagementApi, "_request", note_request)
    yield
    events.unregister("provide-client-params", _before_call)


def _running_as(name, handler):
    @functools.wraps(handler)
    def run(event, context):
        token = _running.set(name)
        try:
            return handler(event, context)
        finally:
            _running.reset(token)

    return run


def _before_call(params, model, **_):
    if _running.get() is not None:
        _hold(_running.get(), calls(model.name, params))


def _hold(module, asked):
    missing = asked - needs(module) if module else set()
    assert not missing, f"functions/{module}.py does not say that it needs {sorted(missing)}"
