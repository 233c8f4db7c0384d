"""Whatever a client sends over a real socket, it is answered, and the connection goes on.

Every example is a connection of its own on one of the stages: gateway process, functions,
tables. One message is sent at a time, so that each answer has its message.
"""

import importlib.util
import json
import os
import uuid
from functools import partial
from pathlib import Path
from urllib.parse import quote_from_bytes

import msgspec
import pytest
import requests
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st

from functions.candles import CandlesTable
from functions.logic.candle_items import CandleRecord, PairSource
from marketdata.api_keys import StoredKey, key_hash, key_item
from marketdata.connection_items import STAGES
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
function_tables = _load("function_tables.py")
check = _load("protocol_schema.py").check

KEY = "a-key-that-may-do-much-in-little-time"
MUCH = 1_000_000
SEED = int(os.environ.get("TAPEDECK_FUZZ_SEED", uuid.uuid4().int % 10**9))
AGAIN = f"TAPEDECK_FUZZ_SEED={SEED} .venv/bin/python -m pytest -m soak"
OPTIONS = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
CONVERSATIONS = st.tuples(
    st.sampled_from(STAGES), st.lists(texts.FRAMES, min_size=4, max_size=8)
)
ODD_TYPES = [json.dumps({"type": kind}) for kind in (*texts.STRANGE_TYPES, "\ud800", None)]
PATHS = ("ohlcv", "symbols", "archive")
PARAMETERS = [b"pair", b"from", b"to", b"limit", b"source", b"exchange", b"ticker", b"date"]
VALUES = [
    b"BTC/USDT",
    b"0",
    b"9" * 5000,
    b"-1",
    b"NaN",
    b"binance",
    b"2024-08-08",
    b"../..",
    b"",
]
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(PARAMETERS) | st.binary(max_size=70),
        st.sampled_from(VALUES) | st.binary(max_size=70),
    ),
    max_size=6,
).map(lambda pairs: "&".join("=".join(map(quote_from_bytes, pair)) for pair in pairs))
MAX_QUERY = 7000
"""A longer request line is the web server's to refuse."""


@pytest.fixture(scope="module")
def variables(dynamodb, s3):
    """Tables of this module's own: every pair has a candle, and a key is never too fast."""
    own = function_tables.create(dynamodb)
    database = function_tables.client_of(dynamodb)
    stored = StoredKey("busy", "busy", "read", connections=MUCH, rate=MUCH, burst=MUCH)
    database.put_item(TableName=own["KEYS_TABLE"], Item=key_item(key_hash(KEY), stored))
    candles = CandlesTable(database, own["CANDLES_TABLE"])
    for name in texts.KNOWN:
        candles.put_pair(PairSource("binance", name, name))
        candle = Candle(name, 0, *[msgspec.Raw(b"1")] * 5, "binance", "1m", closed=True)
        candles.put(CandleRecord(candle, name, "candles", 0, 0))
    return {**own, "AWS_ENDPOINT_URL_S3": s3}


@pytest.fixture(scope="module")
def busy(start_gateway, variables):
    """A gateway process on these tables."""
    with start_gateway(**variables) as gateway:
        gateway.key = KEY
        yield gateway


@pytest.fixture(scope="module")
def items(variables):
    """`items(connection_id)`: what the tables hold of it."""
    database = function_tables.client_of(variables["AWS_ENDPOINT_URL_DYNAMODB"])
    return lambda one: verdicts.read_items(database, variables["CONNECTIONS_TABLE"], one)


@pytest.fixture(scope="module")
def hold_to_the_protocol(busy, items, wait_until):
    """`…(stage, texts)`: one connection, from its beginning to its end."""
    urls = {"stream": f"ws://{busy.stream}/stream", "ws": busy.ws, "candles": busy.candles}

    def one_answer(client, text, before, stage):
        client.socket.send(text)  # whether it may be taken, the verdict says
        answers = [client.receive()]
        if "pair" in answers[0]:
            pairs = {part.strip() for part in text.split(",")[1:]}
            answers += [client.receive() for _ in range(len(pairs) - 1)]
        held = partial(check, "client", channel=stage)
        may = verdicts.outcomes(text, before.names, texts.KNOWN, held)
        assert verdicts.outcome_of(answers) in may, (AGAIN, text[:500], answers, may)
        # A confirmation comes before what it confirms is served.
        what = verdicts.Awaited(text, answers, before, lambda: items(client.id))
        wait_until(what.fits, 10, what)
        return what.after

    def hold(stage, bodies):
        client = busy.connect(url=urls[stage])
        if stage == "ws":
            assert client.receive()["type"] == "welcome"
            wait_until(lambda: "welcomed" in items(client.id).meta, 5, "the welcome's note")
        after = items(client.id)
        for text in bodies:
            before = items(client.id)
            assert before == after, "something has changed after the answer"
            after = one_answer(client, text, before, stage)
        assert client.is_silent()
        assert items(client.id) == after
        client.socket.close()

    return hold


@settings(max_examples=8, derandomize=True, **OPTIONS)
@given(CONVERSATIONS)
@example(("stream", texts.TOUR + ODD_TYPES))
@example(("ws", ["", *ODD_TYPES]))
@example(("candles", ["unsubscribe," + ",".join(f"S{n}" for n in range(20_000))]))
def test_every_text_has_one_right_answer_and_a_refused_one_changes_nothing(
    hold_to_the_protocol, said
):
    hold_to_the_protocol(*said)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@seed(SEED)
@settings(max_examples=300, **OPTIONS)
@given(CONVERSATIONS)
def test_every_text_of_hundreds_of_connections_has_one_right_answer(hold_to_the_protocol, said):
    hold_to_the_protocol(*said)


def expect_an_answer_of_rest(busy, path, query):
    answer = requests.get(f"{busy.api}/api/{path}?{query[:MAX_QUERY]}", timeout=10)
    body = answer.json()
    said = (AGAIN, path, query[:MAX_QUERY], answer.text)
    if answer.status_code == 200:
        assert isinstance(body, list) if path == "ohlcv" else body["success"], said
        return
    code = {400: "VALIDATION_ERROR", 404: "NOT_FOUND"}.get(answer.status_code)
    assert (body["success"], body["error"]["code"]) == (False, code), said
    assert body["error"]["message"]


@settings(max_examples=60, derandomize=True, **OPTIONS)
@given(st.sampled_from(PATHS), QUERIES)
@example("archive", "exchange=binance&date=2024-08-08&ticker=" + "%C3%A9" * 64)
@example("archive", "exchange=binance&date=0001-01-01&ticker=%00")
@example("ohlcv", "pair=%ED%A0%80&from=0&to=" + "9" * 5000)
def test_every_request_of_rest_is_answered_in_its_words(busy, path, query):
    expect_an_answer_of_rest(busy, path, query)


@pytest.mark.soak
@pytest.mark.timeout(900)
@seed(SEED)
@seed(SEED)
@settings(max_examples=5000, **OPTIONS)
@given(st.sampled_from(PATHS), QUERIES)
def test_thousands_of_requests_of_rest_are_answered_in_its_words(busy, path, query):
    expect_an_answer_of_rest(busy, path, query)


@settings(max_examples=20, derandomize=True, **OPTIONS)
@given(QUERIES, st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))
@example("api_key=%ED%A0%80", "Bearer \xff")
def test_whoever_has_no_key_gets_401_and_why(busy, query, authorization):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Authorization": authorization.strip().encode("latin-1"),
    }
    answer = requests.get(
        f"http://{busy.stream}/stream?{query[:MAX_QUERY]}", headers=upgrade, timeout=10
    )
    assert answer.status_code == 401
    check("server", answer.text, "stream")
    assert answer.json()["code"] == "UNAUTHORIZED"
    assert answer.json()["detail"]
