"""docs/client-protocol.md says what the code does, and its program runs."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
import websocket

from local.gateway.http_api import ROUTES as HTTP_ROUTES
from local.gateway.sockets import ROUTES
from marketdata import client_protocol
from marketdata.subscriptions import MAX_SYMBOLS

pytestmark = pytest.mark.services

PAGE = (Path(__file__).parents[2] / "docs" / "client-protocol.md").read_text(encoding="utf-8")
SENT = {
    *("subscribed", "unsubscribed", "pong", "price_update", "error", "candle", "depth"),
    *("welcome", "registered", "contract_event", "reconnect"),
}


def test_every_code_is_on_the_page_with_its_text():
    for code, message in client_protocol.MESSAGES.items():
        assert f"| `{code}` | {message} |" in PAGE


def test_every_message_is_on_the_page():
    named = set(re.findall(r'"type":"([a-z_]+)"', PAGE))
    assert named == SENT | set(client_protocol.KNOWN_TYPES)
    assert set(client_protocol.KNOWN_TYPES) == {name for name in ROUTES if name[0] != "$"}
    tags = {kind.__struct_config__.tag for kind in get_args(client_protocol.ServerMessage)}
    assert tags | {"contract_event"} == SENT


def test_the_limits_are_on_the_page():
    assert f"| names a connection | {MAX_SYMBOLS} | {MAX_SYMBOLS} |" in PAGE
    assert f"of at most {client_protocol.MAX_NAME_LENGTH} characters" in PAGE


def test_the_first_client_runs(gateway):
    """The program up to its loop, and what its loop would print first."""
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    program = program.split("while True:")[0].replace("localhost:3000", gateway.stream)
    names = {}
    exec(compile(program, "client", "exec"), names)
    stream = names["stream"]
    assert isinstance(stream, websocket.WebSocket)
    gateway.clients.append(stream)
    assert json.loads(stream.recv())["symbols"] == ["BTC/USDT", "ETHUSDT"]


PROMISES = PAGE.partition("## What each document promises")[2].splitlines()
DOCUMENTS = [
    *("chrono-stream", "save-to-websocket", "crypto-streams"),
    *("loader-ws-orderbook", "stockbit-orderbook-l2"),
]


def test_each_document_has_its_promises_in_rows_of_their_own():
    lines = [line for line in PROMISES if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", one)[1:-1]] for one in lines]
    assert all(len(row) == 4 and all(row[1:]) for row in rows)
    assert [row[0] for row in rows[2:] if row[0]] == DOCUMENTS


def test_a_request_that_is_promised_is_served_or_said_not_to_be_there():
    """Each row that prints a path of the HTTP API: one that has no route says so twice."""
    served = {f"{method} {path}" for method, path in HTTP_ROUTES}
    for row in PROMISES:
        for request in re.findall(r"`((?:GET|POST|PUT) /api/[^`?]*)", row):
            assert row.lower().count("not yet") == (0 if request in served else 2), row
