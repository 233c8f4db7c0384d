"""The table of instruments, in a real DynamoDB."""

import boto3
import pytest

from container_worker import instruments_table
from marketdata.errors import StoreError, StoreUnavailable
from marketdata.instruments import Instrument

BTC = Instrument("binance", "BTCUSDT", "BTC/USDT", "BTC", "USDT", ("depth", "prices"))
SHARE = Instrument("stockbit", "BBCA", "BBCA", "BBCA", "", ("depth",))


@pytest.mark.services
def test_an_instrument_is_found_by_symbol_and_by_ticker(dynamodb, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb)
    table = boto3.resource("dynamodb").create_table(
        TableName="instruments-of-capture",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for _ in range(2):
        instruments_table.write("instruments-of-capture", [BTC, SHARE])
    items = {(item["pk"], item["sk"]): item for item in table.scan()["Items"]}
    assert items.keys() == {
        ("NAME#BTC/USDT", "binance"),
        ("NAME#BTCUSDT", "binance"),
        ("NAME#BBCA", "stockbit"),
    }
    assert items["NAME#BTCUSDT", "binance"]["channels"] == ["depth", "prices"]
    with pytest.raises(StoreError, match="none-such"):
        instruments_table.write("none-such", [BTC])


def test_a_table_that_cannot_be_reached_is_worth_another_try(monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        instruments_table.write("any", [BTC])
