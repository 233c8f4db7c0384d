"""The stage `ws` over real sockets, as sources/save-to-websocket.md has it, without a key."""

import json
import time

import boto3
import pytest

from functions.ring import RingRecord, RingTable
from marketdata.ring_items import Source

pytestmark = pytest.mark.services

ISSUER = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"


@pytest.fixture
def ring(tables):
    """The ring that the gateway's functions read."""
    client = boto3.client("dynamodb", endpoint_url=tables["AWS_ENDPOINT_URL_DYNAMODB"])
    return RingTable(client, tables["RING_TABLE"])


def payment(number, asset):
    return {
        "type": "contract_event",
        "ledger": number,
        "transaction_hash": "ab" * 32,
        "contract_id": "C",
        "topics": [{"symbol": "transfer"}, {"string": asset}],
        "data": {"i128": str(number * 10**7)},
        "id": f"{number:019d}-0000000000",
        "timestamp": "2026-01-01T00:00:00Z",
        "event_type": "contract",
        "transaction_index": 0,
        "operation_index": 0,
        "in_successful_call": True,
    }


def put(ring, events):
    source = Source("events", 0)
    head = ring.heads([source]).get(source)
    first = head.next if head else 0
    records = [
        RingRecord(first + at, b"stellar:events", json.dumps(event).encode(), 0, {})
        for at, event in enumerate(events)
    ]
    end = first + len(records)
    ring.append(source, "events", first, end, records, int(time.time()) + 60)
    ring.advance(source, "events", end)


def test_the_flow_of_the_document_without_a_key(gateway, ring):
    client = gateway.connect(url=gateway.ws, header=[])
    assert client.receive() == {
        "type": "welcome",
        "message": "Please send registration message to begin receiving events",
        "format": {
            "type": "register",
            "filters": {
                "types": [],
                "account_ids": [],
                "asset_codes": [],
                "min_amount": "",
            },
        },
    }
    usdc = f"USDC:{ISSUER}"
    put(ring, [payment(99, usdc), payment(100, usdc), payment(101, "native")])
    filters = {
        "types": ["payment"],
        "account_ids": [],
        "asset_codes": ["USDC"],
        "min_amount": "100",
    }
    assert client.ask({"type": "register", "filters": filters}) == {
        "type": "registered",
        "message": "Registration successful, processing queued events",
        "filters": filters,
    }
    assert client.receive() == payment(100, usdc)
    assert client.is_silent()


def test_a_client_that_registers_in_onopen_is_welcomed_first(gateway):
    for _ in range(5):
        client = gateway.connect(url=gateway.ws, header=[])
        client.send({"type": "register"})
        assert [client.receive()["type"] for _ in range(2)] == ["welcome", "registered"]
        assert client.is_silent()


def test_bad_filters_are_named_and_the_connection_goes_on(gateway):
    client = gateway.connect(url=gateway.ws, header=[])
    assert client.receive()["type"] == "welcome"
    refused = client.ask({"type": "register", "filters": {"min_amount": "much"}})
    assert (refused["code"], refused["message"]) == (
        "VALIDATION_ERROR",
        "Invalid message format",
    )
    assert "`min_amount`" in refused["detail"]
    assert client.ask({"type": "register"})["type"] == "registered"
