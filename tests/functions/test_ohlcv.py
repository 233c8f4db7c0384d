"""`GET /api/ohlcv` on a real table, as API Gateway calls it."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions import candles, dynamodb, ohlcv
from functions.candles import candles_table
from functions.logic.candle_batch import MAX_DIGITS
from functions.logic.candle_items import LAST_MS, CandleRecord, PairSource
from functions.logic.ohlcv_query import MAX_LIMIT, ohlcv_query
from functions.logic.ohlcv_rows import ohlcv_rows
from marketdata.client_messages import MAX_NAME_LENGTH
from marketdata.errors import RequestError
from marketdata.messages import Candle

pytestmark = pytest.mark.services

DOCUMENT = Path(__file__).parents[3] / "shared/sources/crypto-streams.md"
START = 1_606_165_140_000
MINUTE = 60_000
LAMBDA_BYTES = 6_000_000
WHOLE = {"from": "0", "to": "9999999999999"}


@pytest.fixture(autouse=True)
def table(functions):
    """The functions' table of candles, made anew."""
    for made in (candles.candles_table, dynamodb._client):
        made.cache_clear()
    yield candles_table()
    candles.candles_table.cache_clear()


@pytest.fixture
def pair():
    """A ticker that no other test has; its symbol has a slash for the dash."""
    return f"{uuid4().hex[:8].upper()}-EUR"


@pytest.fixture
def fill(table, pair):
    """`fill(number, source="blockchain")`: so many candles, `close` counts them from 0."""

    def put(number, source="blockchain", interval="1m"):
        at = PairSource(source, pair.replace("-", "/"), pair)
        for minute in range(number):
            table.put(state(at, START + minute * MINUTE, str(minute), interval))
        table.put_pair(at)

    return put


def state(at, start, close, interval="1m", **more):
    digits = {"open": "1", "high": "3", "low": "0.50", "volume": "0", "close": close, **more}
    candle = Candle(
        pair=at.symbol,
        timestamp=start,
        source=at.source,
        interval=interval,
        closed=True,
        **{name: msgspec.Raw(text.encode()) for name, text in digits.items()},
    )
    return CandleRecord(candle, at.ticker, "t", 1, 1)


def ask(**parameters):
    parameters = {name.rstrip("_"): value for name, value in parameters.items()}
    event = {"version": "2.0", "queryStringParameters": {**WHOLE, **parameters}}
    return ohlcv.handler(event, None)


def rows(response):
    assert response["statusCode"] == 200, response
    return json.loads(response["body"])


def closes(response):
    return [row["close"] for row in rows(response)]


def error(response):
    return response["statusCode"], json.loads(response["body"])["error"]


def test_the_answer_is_the_documents_array_to_the_letter(table, pair):
    if not DOCUMENT.is_file():
        pytest.skip(f"{DOCUMENT.name} is not here")
    document = DOCUMENT.read_text(encoding="utf-8")
    printed = re.search(r"```json\n(\[.*?\])\n```", document, re.DOTALL).group(1)
    at = PairSource("blockchain", pair.replace("-", "/"), pair)
    numbers = json.loads(printed, parse_float=str, parse_int=str)
    for row in numbers:
        digits = {name: row[name] for name in ("open", "high", "low", "close", "volume")}
        table.put(state(at, int(row["timestamp"]), **digits))
    table.put_pair(at)
    answer = ask(pair=pair)
    ids = [row["_id"] for row in rows(answer)]
    assert all(re.fullmatch("[0-9a-f]{24}", one) for one in ids)
    assert len(set(ids)) == len(numbers) == 6
    expected = printed.replace("BTC-EUR", pair)
    for row, own in zip(numbers, ids, strict=True):
        expected = expected.replace(row["_id"], own)
    assert msgspec.json.format(answer["body"], indent=2) == expected
    assert answer["headers"] == {"content-type": "application/json"}
    assert answer["body"] == ask(pair=pair)["body"]


def test_a_pair_is_asked_for_and_answered_by_symbol_or_ticker(fill, pair):
    fill(1)
    symbol = pair.replace("-", "/")
    [by_ticker], [by_symbol] = rows(ask(pair=pair)), rows(ask(pair=symbol))
    assert (by_ticker["pair"], by_symbol["pair"]) == (pair, symbol)
    assert {**by_ticker, "pair": symbol} == by_symbol


def test_both_ends_belong_to_the_time_asked_for(fill, pair):
    fill(4)
    assert closes(ask(pair=pair, from_=str(START), to=str(START + 2 * MINUTE))) == [2, 1, 0]
    assert closes(ask(pair=pair, from_=str(START + 1), to=str(START + MINUTE))) == [1]
    assert closes(ask(pair=pair, from_=str(START + 1), to=str(START + 2))) == []


@pytest.mark.parametrize("digits", [13, 15, 16, 19, 400, 8000])
def test_a_time_may_be_of_any_size(fill, pair, digits):
    fill(1)
    assert closes(ask(pair=pair, from_="000", to="9" * digits)) == [0]
    assert closes(ask(pair=pair, from_=f"{2 * LAST_MS}", to="9" * 20)) == []


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_following_the_link_gives_every_candle_once_newest_first(fill, pair, limit):
    """New candles come while it is followed: they change no later page."""
    fill(7)
    seen, parameters = [], {"pair": pair, "limit": str(limit), "from": str(START)}
    while parameters:
        answer = ask(**parameters)
        seen += closes(answer)
        link = answer["headers"].get("link")
        parameters = {}
        if link:
            [reference] = re.findall(r'^<\?([^>]+)>; rel="next"$', link)
            parameters = dict(parse_qsl(reference, strict_parsing=True))
            assert parameters["pair"] == pair
            assert parameters["source"] == "blockchain"
            fill(9)
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_a_page_that_is_just_full_has_no_link(fill, pair):
    fill(3)
    assert "link" not in ask(pair=pair, limit="3")["headers"]
    assert "link" in ask(pair=pair, limit="2")["headers"]


def test_a_thousand_candles_are_the_default_of_one_answer(fill, pair):
    assert ohlcv_query({"pair": "x", **WHOLE}).limit == 1000


def test_a_pair_of_several_exchanges_is_answered_from_the_first_of_the_order(
    fill, pair, monkeypatch
):
    for number, source in enumerate(("stockbit", "binance", "coinbase"), start=1):
        fill(number, source)
    assert len(rows(ask(pair=pair))) == 3
    assert len(rows(ask(pair=pair, source="binance"))) == 2
    table = candles_table()
    assert table.source_of(pair, ("x", "stellar")).source == "binance"
    assert table.source_of(pair, ("stockbit", "binance")).source == "stockbit"


def test_another_interval_is_another_series(fill, pair):
    fill(2)
    fill(1, interval="5m")
    assert len(rows(ask(pair=pair, interval="5m"))) == 1
    assert rows(ask(pair=pair, interval="1d")) == []


def test_the_latest_candle_is_the_newest_minute_of_the_first_exchange(fill, pair, table):
    assert table.latest(pair, ("blockchain",)) is None
    fill(3)
    fill(1, "coinbase")
    assert bytes(table.latest(pair, ("blockchain", "coinbase")).close) == b"2"
    newest = table.latest(pair.replace("-", "/"), ("coinbase",))
    assert (newest.pair, newest.timestamp) == (pair.replace("-", "/"), START)


def test_a_pair_that_is_found_is_remembered_for_a_minute_and_an_unknown_one_is_not(
    fill, pair, database, table_variables
):
    now = [0.0]
    table = candles.CandlesTable(
        database, table_variables["CANDLES_TABLE"], clock=lambda: now[0]
    )
    assert table.sources_of(pair) == {}
    fill(1)
    assert list(table.sources_of(pair)) == ["blockchain"]
    fill(1, "coinbase")
    assert list(table.sources_of(pair)) == ["blockchain"]
    now[0] = 60.0
    assert list(table.sources_of(pair)) == ["blockchain", "coinbase"]


def test_an_unknown_pair_is_404_and_named(fill, pair):
    status, told = error(ask(pair=pair))
    assert (status, told["code"]) == (404, "NOT_FOUND")
    assert told["message"].startswith(f"no exchange has candles of '{pair}'")
    fill(1)
    status, told = error(ask(pair=pair, source="coinbase"))
    assert (status, told["code"]) == (404, "NOT_FOUND")
    assert told["message"].startswith(f"coinbase has no candles of '{pair}'")


@pytest.mark.parametrize("listed", ["C29USDT", "C29/USDT"])
def test_a_pair_that_is_captured_and_has_no_candle_yet_is_an_empty_array(listed):
    """`GET /api/symbols` lists it, at one exchange."""
    assert rows(ask(pair=listed)) == rows(ask(pair=listed, source="binance")) == []
    status, told = error(ask(pair=listed, source="coinbase"))
    assert (status, told["code"]) == (404, "NOT_FOUND")
    assert told["message"].startswith(f"coinbase has no candles of '{listed}'")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"pair": ""}, "the parameter 'pair' is missing"),
        ({"from": ""}, "the parameter 'from' is missing"),
        ({"to": ""}, "the parameter 'to' is missing"),
        ({"pair": "x" * 65}, "the parameter 'pair' has more than 64 characters"),
        ({"from": "-1"}, "the parameter 'from' must be a time in milliseconds"),
        ({"to": "1e3"}, "the parameter 'to' must be a time in milliseconds"),
        ({"to": "1.0"}, "the parameter 'to' must be a time in milliseconds"),
        ({"to": "\u0661"}, "the parameter 'to' must be a time in milliseconds"),
        ({"from": "1,2"}, "the parameter 'from' must be a time in milliseconds"),
        ({"from": "2", "to": "1"}, "the parameter 'from' must not be later than 'to'"),
        ({"interval": "2m"}, "the parameter 'interval' must be one of 1m, 5m, 15m, 1h, 1d"),
        ({"interval": ""}, "the parameter 'interval' must be one of"),
        ({"source": "kraken"}, "the parameter 'source' must be one of binance, coinbase"),
        ({"limit": "0"}, "the parameter 'limit' must be a whole number, 1 to 10000"),
        ({"limit": "10001"}, "the parameter 'limit' must be"),
        ({"limit": "9" * 5000}, "the parameter 'limit' must be"),
        ({"limit": "x"}, "the parameter 'limit' must be"),
        ({"Pair": "BTC-EUR"}, "unknown parameter 'Pair': there are pair, from, to, interval"),
    ],
)
def test_a_bad_parameter_is_400_and_named(parameters, said):
    status, told = error(ask(**{"pair": "BTC-EUR", **parameters}))
    assert (status, told["code"]) == (400, "VALIDATION_ERROR")
    assert told["message"].startswith(said)


@given(
    st.dictionaries(
        st.sampled_from(["pair", "from", "to", "interval", "source", "limit", "x"]),
        st.text(max_size=70) | st.integers().map(str) | st.sampled_from(["1m", "binance"]),
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_parameters_are_answered_in_the_apis_own_words(parameters):
    answer = ohlcv.handler({"queryStringParameters": parameters or None}, None)
    assert answer["statusCode"] in {200, 400, 404}
    if answer["statusCode"] != 200:
        assert json.loads(answer["body"])["success"] is False


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_time_is_ascii_digits_and_nothing_else(text):
    try:
        query = ohlcv_query({"pair": "x", "from": "0", "to": text})
    except RequestError:
        assert not (text.isascii() and text.isdigit())
    else:
        assert query.to_ms == min(int(text), LAST_MS)


def test_the_largest_answer_there_can_be_fits_into_lambdas_response():
    """The body is a text in Lambda's JSON: its quotation marks are escaped there."""
    digits = msgspec.Raw(b"9" * MAX_DIGITS)
    longest = Candle("x" * 64, LAST_MS, *[digits] * 5, "blockchain", "1m", closed=True)
    body = ohlcv_rows([longest] * MAX_LIMIT, '"' * MAX_NAME_LENGTH)
    assert len(msgspec.json.encode({"body": body})) < LAMBDA_BYTES
