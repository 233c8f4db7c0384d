"""docs/asyncapi.yaml: valid, complete, and the same protocol as the code and the documents."""

import json
import re
import subprocess
import typing

import msgspec
import pytest

from local import node_setup
from marketdata import client_errors, client_protocol
from marketdata.client_messages import ClientMessage
from marketdata.connection_items import STAGES
from marketdata.messages import ContractEvent
from marketdata.server_messages import BareCandle, ServerMessage

PARSE = """
const { Parser } = require("@asyncapi/parser");
const text = require("node:fs").readFileSync(process.argv[1], "utf8");
new Parser().parse(text).then(({ document, diagnostics }) => console.log(JSON.stringify({
  operations: document ? document.operations().all().length : 0,
  faults: diagnostics.filter((one) => one.severity < 2).map((one) => one.path + one.message),
})));
"""
CLIENT = typing.get_args(ClientMessage)
SERVER = (*typing.get_args(ServerMessage), BareCandle, ContractEvent)
PAGES = {"chrono-stream.md": "stream", "save-to-websocket.md": "ws"}
"""The documents that print messages, with the stage that they are of."""
ABBREVIATED = '"topics": [...]'
"""The one message that the documents print with something left out."""


def name_of(struct):
    tag = struct.__struct_config__.tag
    return tag or "pairCandle"


def test_the_parser_of_asyncapi_finds_nothing_wrong_with_it(node, protocol_schema):
    done = subprocess.run(
        [node, "-e", PARSE, protocol_schema.PAGE],
        cwd=node_setup.EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {"operations": 6, "faults": []}


@pytest.mark.parametrize("struct", [*CLIENT, *SERVER], ids=name_of)
def test_its_members_are_those_of_the_code(protocol_schema, struct):
    schema = protocol_schema.document()["components"]["schemas"][name_of(struct)]
    members = {field.encode_name for field in msgspec.structs.fields(struct)}
    described = set(schema["properties"]) - {"type"}
    assert described - members in (set(), {"cursor"})
    assert members <= described
    always = {one.encode_name for one in msgspec.structs.fields(struct) if one.required}
    assert set(schema.get("required", ())) - {"type"} <= members
    if struct not in {client_protocol.ErrorMessage, ContractEvent}:
        assert always <= set(schema.get("required", ()))


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_has_every_message_and_no_other(protocol_schema, stage):
    """One set of functions serves them all; `welcome` is the one thing that only `ws` says."""
    client, server = (protocol_schema.messages(one, stage) for one in ("client", "server"))
    assert client == {*map(name_of, CLIENT), "subscribePair"}
    assert server | {"welcome"} == {*map(name_of, SERVER), "failure"}
    assert ("welcome" in server) is (stage == "ws")


def test_it_has_every_error_with_its_fixed_text(protocol_schema):
    cases = protocol_schema.document()["components"]["schemas"]["error"]["oneOf"]
    texts = {
        one["properties"]["code"]["const"]: one["properties"]["message"]["const"]
        for one in cases
    }
    assert texts == client_errors.MESSAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_message_that_a_document_prints_is_of_its_form(
    page_text, fences, protocol_schema, page
):
    printed = [one.text for one in fences.fences(page_text(page)) if one.language == "json"]
    whole = [one for one in printed if ABBREVIATED not in one]
    assert len(printed) - len(whole) == (PAGES[page] == "ws")
    for text in whole:
        sent = json.loads(text)["type"] in protocol_schema.messages("client", PAGES[page])
        protocol_schema.check("client" if sent else "server", text, PAGES[page])


def test_what_crypto_streams_prints_is_of_its_form(page_text, protocol_schema):
    page = page_text("crypto-streams.md")
    [candle] = re.findall(r"`RECEIVED: (.*)`", page)
    [message] = re.findall(r"Send the following message: `(.*)`", page)
    protocol_schema.check("server", candle, "candles")
    protocol_schema.check("client", message, "candles")


PONG = '{"type":"pong","timestamp":"2025-10-10T14:30:00.000Z"}'
WELCOME = (
    '{"type":"welcome","message":"Please send registration message to begin receiving events",'
    '"format":{"type":"register","filters":{}}}'
)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"pong","timestamp":"2025-10-10T14:30:00.000Z","more":1}',
        '{"type":"pong","timestamp":"2025-10-10 14:30"}',
        '{"type":"error","message":"x","code":"INTERNAL","timestamp":"2025-10-10T14:30:00.000Z"}',
        '{"type":"subscribe","symbols":["BTC/USD"]}',
        '{"type":"unheard_of"}',
        "hello",
        "[]",
        WELCOME,
    ],
)
def test_what_is_not_of_the_protocol_or_of_the_stage_is_refused(protocol_schema, text):
    protocol_schema.check("server", WELCOME, "ws")
    with pytest.raises(AssertionError):
        protocol_schema.check("server", text, "stream")


def test_what_a_client_sent_counts_when_it_was_taken(protocol_schema):
    """A refused one may be anything; who answered is told by the type of the answer."""
    refused, taken = (protocol_schema.Talk("stream") for _ in range(2))
    for talk in (refused, taken):
        talk.sent('{"type":"subscribe","symbols":["BTC/USD"],"rate":"2s"}')
        talk.received(PONG)
    refused.received(
        '{"type":"error","message":"Invalid message format","code":"VALIDATION_ERROR",'
        '"timestamp":"2025-10-10T14:30:00.000Z"}'
    )
    subscribed = PONG.replace('"pong"', '"subscribed","symbols":["BTC/USD"]')
    refused.received(subscribed)
    with pytest.raises(AssertionError, match=r"subscribe at .*rate"):
        taken.received(subscribed)
