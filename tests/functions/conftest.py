"""Real tables for the functions, and a management API that can be told what to answer."""

import importlib.util
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from functions import default, ping, posting, register, subscribe, unsubscribe


def _load(name):
    path = Path(__file__).parents[1] / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


function_tables = _load("function_tables")
function_needs = _load("function_needs")
protocol_schema = _load("protocol_schema")


MESSAGE_HANDLERS = (default, ping, register, subscribe, unsubscribe)


class ManagementServer(ThreadingHTTPServer):
    """Answers posts to connections; `answers[id]` are the statuses of the next ones.

    The status 0 closes the socket without an answer, -1 keeps the client waiting.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = {}
        self.posts = []
        self.requests = []
        self.sockets = set()
        self.waiting = threading.Event()
        self.on_post = None
        self.conversations = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}/stream"

    def texts(self, connection_id):
        return [text for to, text in self.posts if to == connection_id]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.server.sockets.add(self.client_address)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        connection_id = unquote(self.path.rsplit("/", 1)[1])
        self.server.requests.append((self.path, dict(self.headers), body))
        planned = self.server.answers.get(connection_id) or [200]
        status = planned.pop(0)
        if status == -1:
            self.server.waiting.wait(10)
            status = 0
        if status == 0:
            self.close_connection = True
            return
        if status == 200:
            self.server.posts.append((connection_id, body))
            stage, is_to_client, _ = self.path.strip("/").partition("/@connections/")
            if self.server.conversations and is_to_client:
                self.server.conversations.received(stage, connection_id, body.decode())
        if self.server.on_post:
            self.server.on_post(connection_id, body)
        self.send_response(status)
        text = b"" if status == 200 else b'{"message":null}'
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Conversations:
    """What handlers are sent and say; `faults` are the messages that no stage's are."""

    def __init__(self):
        self.faults = []
        self._talks = {}

    def received(self, stage, connection_id, text):
        try:
            self._talk(stage, connection_id).received(text)
        except AssertionError as fault:  # in a thread of the server, where no test would see it
            self.faults.append(str(fault))

    def of(self, handler):
        """The handler, its messages and its own answers heard."""

        def hear(event, context):
            about = event["requestContext"]
            at = about["stage"], about["connectionId"]
            self._talk(*at).sent(event["body"] or "")
            response = handler(event, context)
            if response.get("body"):
                self.received(*at, response["body"])
            return response

        return hear

    def _talk(self, stage, connection_id):
        fresh = protocol_schema.Talk(stage)
        return self._talks.setdefault((stage, connection_id), fresh)


@pytest.fixture
def management():
    """A management API under the test's control."""
    server = ManagementServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.waiting.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session", autouse=True)
def only_what_is_granted():
    """A handler that asks AWS for what its module does not name fails its test."""
    with pytest.MonkeyPatch.context() as monkeypatch, function_needs.held_to(monkeypatch):
        yield


@pytest.fixture(scope="session")
def new_tables(dynamodb):
    """`new_tables()`: the functions' variables for tables that nobody else has."""
    return lambda: function_tables.create(dynamodb)


@pytest.fixture(scope="session")
def table_variables(new_tables):
    """The functions' variables for tables of these tests' own."""
    return new_tables()


@pytest.fixture(scope="session")
def database(dynamodb):
    """A client to look at the tables with."""
    return function_tables.client_of(dynamodb)


@pytest.fixture
def functions(table_variables, management, monkeypatch, s3_endpoint):
    """The functions' environment, read anew; yields the management API that they post to."""
    variables = {
        **table_variables,
        "CALLBACK_URL_STREAM": management.endpoint,
        "CALLBACK_URL_WS": management.endpoint.replace("/stream", "/ws"),
        "CALLBACK_URL_CANDLES": management.endpoint.replace("/stream", "/candles"),
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    management.conversations = Conversations()
    for module in MESSAGE_HANDLERS:
        monkeypatch.setattr(module, "handler", management.conversations.of(module.handler))
    _forget()
    yield management
    posting.close()
    _forget()
    assert management.conversations.faults == []


@pytest.fixture
def s3_endpoint():
    """Where the functions look for S3; nobody is there unless a test overrides this."""
    return "http://127.0.0.1:9"


def _forget():
    """Everything that a warm function keeps."""
    modules = [module for name, module in sys.modules.items() if name.startswith("functions.")]
    for module in modules:
        for made in vars(module).values():
            if hasattr(made, "cache_clear"):
                made.cache_clear()
