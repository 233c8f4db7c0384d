"""Whatever an event brings, the handlers answer; what is refused has changed nothing.

Real tables, real functions; the exact order of things: a handler has returned when its answer
and the tables are looked at.
"""

import importlib.util
import json
import os
import uuid
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st

from functions import (
    authorize,
    connect,
    default,
    disconnect,
    ohlcv,
    ping,
    register,
    subscribe,
    symbols,
    unsubscribe,
)
from functions.authorize import AuthorizerEvent
from functions.candles import candles_table
from functions.events import read
from functions.logic import archive_query
from functions.logic.candle_items import CandleRecord, PairSource
from local.gateway.sockets import route_of
from marketdata.connection_items import STAGES
from marketdata.errors import RequestError
from marketdata.messages import Candle

pytestmark = pytest.mark.services


def _load(path):
    path = Path(__file__).parents[1] / path
    spec = importlib.util.spec_from_file_location(f"fuzz_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


texts = _load("gateway/client_texts.py")
verdicts = _load("gateway/client_verdicts.py")
check = _load("protocol_schema.py").check

MODULES = {
    "$connect": connect,
    "$disconnect": disconnect,
    "$default": default,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "ping": ping,
    "register": register,
}
SEED = int(os.environ.get("TAPEDECK_FUZZ_SEED", uuid.uuid4().int % 10**9))
AGAIN = f"TAPEDECK_FUZZ_SEED={SEED} .venv/bin/python -m pytest -m soak"
OPTIONS = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
CONVERSATIONS = st.tuples(
    st.sampled_from(STAGES), st.lists(texts.TEXTS, min_size=3, max_size=6)
)
HEADERS = st.dictionaries(
    st.sampled_from(["Authorization", "sec-websocket-protocol"]) | texts.ANY_TEXT,
    st.sampled_from(["Bearer ", "bearer x", "Basic", ","]) | texts.ANY_TEXT,
    max_size=3,
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["pair", "from", "to", "limit", "source", "ticker", "date"])
    | texts.ANY_TEXT,
    st.sampled_from(["BTC/USDT", "0", "9" * 5000, "-1", "NaN", "2024-08-08"]) | texts.ANY_TEXT,
    max_size=5,
)
QUERY = st.dictionaries(st.just("api_key") | texts.ANY_TEXT, texts.ANY_TEXT, max_size=2)


class Talk:
    """A connection: what is sent to it, what the tables have of it."""

    def __init__(self, server, database, table, stage):
        self.id, self.stage = uuid.uuid4().hex, stage
        self._server, self._database, self._table = server, database, table

    def event(self, kind, body=None, **more):
        context = {
            "eventType": kind,
            "stage": self.stage,
            "connectionId": self.id,
            "connectedAt": 4_000_000_000_000,
            "authorizer": {"key_id": ""},
        }
        return {"requestContext": context, "body": body, **more}

    def items(self):
        return verdicts.read_items(self._database, self._table, self.id)

    def answers(self, body, module):
        """What is told to the client for one message; nothing else may be told."""
        first = len(self._server.texts(self.id))
        response = module.handler(self.event("MESSAGE", body), None)
        assert response["statusCode"] == 200
        told = [text.decode() for text in self._server.texts(self.id)[first:]]
        told += [response["body"]] if "body" in response else []
        for text in told:
            check("server", text, self.stage)
            assert len(text.encode()) <= verdicts.MAX_ANSWER_BYTES
        said = [json.loads(text) for text in told]
        return [one for one in said if one.get("type") != "welcome"]


@pytest.fixture
def talking(functions, database, table_variables, monkeypatch):
    """`talking(stage)`: a connection for as long as the context lasts."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", functions.endpoint)
    one = [msgspec.Raw(b"1")] * 5
    for name in texts.KNOWN:
        at = PairSource("binance", name, name)
        candles_table().put_pair(at)
        candle = Candle(name, 0, *one, "binance", "1m", closed=True)
        candles_table().put(CandleRecord(candle, name, "candles", 0, 0))

    @contextmanager
    def open_one(stage):
        talk = Talk(functions, database, table_variables["CONNECTIONS_TABLE"], stage)
        assert connect.handler(talk.event("CONNECT"), None) == {"statusCode": 200}
        yield talk
        assert disconnect.handler(talk.event("DISCONNECT"), None) == {"statusCode": 200}
        functions.posts.clear()

    return open_one


def hold_to_the_protocol(talking, stage, bodies, module=None):
    """`module` is given messages that are another's: these it may refuse."""
    with talking(stage) as talk:
        before = talk.items()
        for body in bodies:
            answers = talk.answers(body, module or MODULES[route_of(body)])
            assert answers, body
            after = talk.items()
            held = partial(check, "client", channel=stage)
            may = verdicts.outcomes(body, before.names, texts.KNOWN, held)
            may |= {"VALIDATION_ERROR"} if module else set()
            assert verdicts.outcome_of(answers) in may, (AGAIN, body[:500], answers, may)
            misfit = verdicts.misfit(body, answers, before, after)
            assert not misfit, (AGAIN, misfit, body[:500], answers)
            before = after


@settings(max_examples=25, derandomize=True, **OPTIONS)
@given(CONVERSATIONS)
@example(("stream", texts.TOUR))
@example(("ws", texts.TOUR))
@example(("ws", ['{"type":"register","from":["events:e:%s:0"]}' % ("1" * 5000)]))
@example(("stream", ["unsubscribe," + ",".join(f"S{n}" for n in range(20_000))]))
@example(("candles", ["subscribe,\ud800"]))
def test_a_message_has_one_right_answer_and_a_refused_one_changes_nothing(talking, said):
    hold_to_the_protocol(talking, *said)


@settings(max_examples=10, derandomize=True, **OPTIONS)
@given(CONVERSATIONS, st.sampled_from(list(MODULES.values())))
def test_a_message_of_another_function_is_refused_or_answered_rightly(talking, said, module):
    hold_to_the_protocol(talking, *said, module)


@pytest.mark.soak
@pytest.mark.timeout(900)
@seed(SEED)
@settings(max_examples=1000, **OPTIONS)
@given(CONVERSATIONS, st.none() | st.sampled_from(list(MODULES.values())))
def test_thousands_of_conversations_have_right_answers_only(talking, said, module):
    hold_to_the_protocol(talking, *said, module)


@settings(max_examples=60, derandomize=True, **OPTIONS)
@given(HEADERS, QUERY, st.sampled_from(["stream", "ws", "candles", "other", ""]))
def test_whoever_asks_to_be_let_in_gets_a_policy_or_the_one_word(
    talking, headers, query, stage
):
    event = {
        "methodArn": "arn:aws:execute-api:us-east-1:0:local/stream/$connect",
        "headers": headers,
        "queryStringParameters": query,
        "requestContext": {"stage": stage, "eventType": "CONNECT"},
    }
    if stage in {"ws", "candles"} and not authorize.given_key(read(event, AuthorizerEvent)):
        assert authorize.handler(event, None)["context"] == {"key_id": ""}
        return
    with pytest.raises(Exception, match=r"^Unauthorized$") as refused:
        authorize.handler(event, None)
    assert type(refused.value) is Exception


@settings(max_examples=20, derandomize=True, **OPTIONS)
@given(HEADERS)
@example({"Sec-WebSocket-Protocol": " , chat"})
def test_whatever_headers_come_a_connection_is_let_in_with_a_whole_subprotocol(
    talking, headers
):
    with talking("candles") as talk:
        answer = connect.handler(talk.event("CONNECT", headers=headers), None)
    assert answer["statusCode"] == 200
    assert all(answer.get("headers", {"none": "given"}).values()), headers


@settings(max_examples=60, derandomize=True, **OPTIONS)
@given(st.sampled_from([ohlcv, symbols]), PARAMETERS)
def test_whatever_parameters_come_rest_names_what_is_wrong(talking, module, parameters):
    response = module.handler({"queryStringParameters": parameters}, None)
    assert response["statusCode"] in {200, 400, 404}, parameters
    body = json.loads(msgspec.json.decode(msgspec.json.encode(response))["body"])
    if response["statusCode"] != 200:
        assert body["error"]["code"] in {"VALIDATION_ERROR", "NOT_FOUND"}
        assert body["error"]["message"]


@settings(max_examples=60, derandomize=True, **OPTIONS)
@given(PARAMETERS)
@example({"ticker": "\ud800", "date": "2024-08-08"})
def test_whatever_is_asked_of_the_archive_is_a_name_or_an_error(parameters):
    try:
        name = archive_query.object_wanted({"exchange": "binance", **parameters})
    except RequestError as refused:
        msgspec.json.encode(str(refused))
    else:
        assert name.encode()
