"""The handlers of the HTTP API on real tables and a real object store."""

import json

import boto3
import pytest
import requests

from functions import archive_link, symbols

pytestmark = pytest.mark.services


def http_event(**parameters):
    return {"version": "2.0", "queryStringParameters": parameters}


def test_symbols_are_listed_once_each(functions):
    response = symbols.handler(http_event(), None)
    body = json.loads(response["body"])
    assert (response["statusCode"], body["success"]) == (200, True)
    tickers = [one["ticker"] for one in body["symbols"]]
    assert len(tickers) == len(set(tickers)) >= 32
    assert body["symbols"][0] == {
        "exchange": "binance",
        "ticker": "BTCUSDT",
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "channels": ["prices"],
    }


class TestArchive:
    """`GET /api/archive` on a real object store."""

    @pytest.fixture
    def s3_endpoint(self, s3):
        return s3

    def test_a_link_gives_the_object(self, functions, s3):
        path = "data/orderbook/binance/2024-08-08_BTCUSDT.marks.csv"
        boto3.client("s3", endpoint_url=s3).put_object(
            Bucket="tapedeck", Key=path, Body=b"row\n"
        )
        event = http_event(
            exchange="binance", ticker="BTCUSDT", date="2024-08-08", kind="marks"
        )
        response = archive_link.handler(event, None)
        body = json.loads(response["body"])
        assert (response["statusCode"], body["expires_in"]) == (200, 900)
        assert requests.get(body["url"], timeout=10).content == b"row\n"

    def test_an_object_that_is_not_there_is_404(self, functions):
        event = http_event(
            exchange="binance", ticker="NONE", date="2024-08-08", type="ws_trades"
        )
        response = archive_link.handler(event, None)
        assert response["statusCode"] == 404
        assert json.loads(response["body"])["error"] == {
            "code": "NOT_FOUND",
            "message": "the archive has no data/prices/binance/2024-08-08_NONE.csv",
        }


GOOD = {"exchange": "binance", "ticker": "BTCUSDT", "date": "2024-08-08"}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "'exchange'"),
        ({**GOOD, "exchange": "nyse"}, "'exchange'"),
        ({**GOOD, "ticker": ""}, "'ticker'"),
        ({**GOOD, "ticker": "x" * 65}, "'ticker'"),
        ({**GOOD, "date": "2024-8-8"}, "'date'"),
        ({**GOOD, "date": "2024-02-30"}, "'date'"),
        ({**GOOD, "date": "٢٠٢٤-٠٨-٠٨"}, "'date'"),
        ({**GOOD, "type": "ws_dept"}, "'type'"),
        ({**GOOD, "kind": "mark"}, "'kind'"),
        ({**GOOD, "day": "2024-08-08"}, "'day'"),
    ],
)
def test_a_bad_parameter_is_400_and_named(functions, parameters, named):
    response = archive_link.handler(http_event(**parameters), None)
    assert response["statusCode"] == 400
    error = json.loads(response["body"])["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert named in error["message"]


def test_a_store_that_is_not_there_is_503_without_its_details(functions):
    response = archive_link.handler(http_event(**GOOD), None)
    assert response["statusCode"] == 503
    assert json.loads(response["body"])["error"]["code"] == "INTERNAL"
    assert "S3" not in response["body"]
