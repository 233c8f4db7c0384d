"""Tables as the functions have them, filled for tests."""

import hashlib
import uuid

import boto3
from botocore.config import Config

from local.tables import create_table

KEY = "chrono_public_dev_key_001"
TICKERS = ("BTCUSDT", "ETHUSDT", *(f"C{number}USDT" for number in range(30)))


def client_of(endpoint):
    """A client for setting up and looking at tables."""
    return boto3.client(
        "dynamodb", endpoint_url=endpoint, config=Config(max_pool_connections=40)
    )


def create(endpoint):
    """Tables of new names, with a key and symbols; returns the functions' variables."""
    client = client_of(endpoint)
    unique = uuid.uuid4().hex[:8]
    kinds = ("connections", "keys", "instruments", "limits", "ring", "candles")
    names = {kind: f"{unique}-{kind}" for kind in kinds}
    for name in names.values():
        create_table(client, name)
    put_key(client, names["keys"], KEY)
    put_key(client, names["keys"], "a-key-that-has-expired", exp=1)
    for ticker in TICKERS:
        put_instrument(client, names["instruments"], ticker)
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        **{f"{kind.upper()}_TABLE": name for kind, name in names.items()},
        "ARCHIVE_BUCKET": "tapedeck",
        "WELCOME_FUNCTION": "welcome",
        "OPEN_WS": "true",
        "ALLOW_RATE_ALL": "true",
    }


def empty_connections(variables):
    """Remove every connection and subscription: what a test left must not meet the next one."""
    for kind in ("CONNECTIONS", "LIMITS"):
        _empty(variables, kind)


def empty_ring(variables):
    """Remove what was pushed and up to where: the next test's offsets may be lower."""
    _empty(variables, "RING")


def _empty(variables, kind):
    client, table = (
        client_of(variables["AWS_ENDPOINT_URL_DYNAMODB"]),
        variables[f"{kind}_TABLE"],
    )
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for item in (item for page in pages for item in page["Items"]):
        client.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def put_key(client, table, key, exp=None):
    """Store a key as the command does: its hash."""
    item = {
        "pk": {"S": f"KEY#{hashlib.sha256(key.encode()).hexdigest()}"},
        "sk": {"S": "META"},
        "id": {"S": "key-1"},
        "name": {"S": "test"},
        "scope": {"S": "read"},
    }
    if exp is not None:
        item["exp"] = {"N": str(exp)}
    client.put_item(TableName=table, Item=item)


def put_instrument(client, table, ticker, exchange="binance"):
    """Store an instrument as capture does: by symbol and by ticker."""
    base = ticker.removesuffix("USDT")
    attributes = {
        "symbol": {"S": f"{base}/USDT"},
        "ticker": {"S": ticker},
        "exchange": {"S": exchange},
        "base": {"S": base},
        "quote": {"S": "USDT"},
        "channels": {"L": [{"S": "prices"}]},
    }
    for name in (f"{base}/USDT", ticker):
        item = {"pk": {"S": f"NAME#{name}"}, "sk": {"S": exchange}, **attributes}
        client.put_item(TableName=table, Item=item)
