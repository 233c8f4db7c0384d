"""Stellar RPC answers, recorded and documented; any bytes give a page or one of our errors."""

import base64
import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_worker.exchanges.polling import BadEvent, Query
from container_worker.exchanges.stellar import ADAPTER, decode
from marketdata.errors import DecodeError, ExchangeError, ExchangeUnavailable, OutOfWindow
from marketdata.messages import ContractEvent

QUERY = Query()
USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
TRANSFER = "AAAADwAAAAh0cmFuc2Zlcg=="
EVENT = {
    "type": "contract",
    "ledger": 3727845,
    "ledgerClosedAt": "2026-11-20T10:00:05Z",
    "contractId": USDC,
    "id": "0016010972359577600-0000000001",
    "operationIndex": 0,
    "transactionIndex": 5,
    "inSuccessfulContractCall": True,
    "txHash": "ab" * 32,
    "topicJson": [{"symbol": "transfer"}, {"address": USDC}],
    "valueJson": {"i128": "12300000000000000000000"},
}
RESULT = {
    "events": [EVENT],
    "cursor": "0016010972359577600-0000000001",
    "latestLedger": 3727850,
    "oldestLedger": 3607000,
    "latestLedgerCloseTime": "1795168830",
    "oldestLedgerCloseTime": "1794564000",
}


def answer(**changes):
    body = {"jsonrpc": "2.0", "id": 1, "result": RESULT | changes}
    return decode.decode_page(json.dumps(body).encode(), QUERY)


def one(**changes):
    [event] = answer(events=[EVENT | changes]).events
    return event


def without(*names):
    return {name: value for name, value in EVENT.items() if name not in names}


def test_an_event_keeps_its_json_and_says_again_what_its_id_says() -> None:
    page = answer()
    [event] = page.events
    assert event == ContractEvent(
        ledger=3727845,
        transaction_hash="ab" * 32,
        contract_id=USDC,
        topics=event.topics,
        data=event.data,
        id="0016010972359577600-0000000001",
        timestamp="2026-11-20T10:00:05Z",
        event_type="contract",
        transaction_index=5,
        operation_index=0,
        in_successful_call=True,
    )
    assert json.loads(bytes(event.topics)) == EVENT["topicJson"]
    assert json.loads(bytes(event.data)) == EVENT["valueJson"]
    assert page.cursor == RESULT["cursor"]
    assert page.window == (3607000, 3727850, 1795168830000)


def test_a_published_event_is_valid_json_with_the_documents_members() -> None:
    [event] = answer().events
    read = json.loads(msgspec.json.encode(event))
    assert read["type"] == "contract_event"
    assert set(read) >= {"ledger", "transaction_hash", "contract_id", "topics", "data"}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ledger": 3727846}, "ledger"),
        ({"ledger": "37278x"}, "ledger"),
        ({"transactionIndex": 6}, "transactionIndex"),
        ({"operationIndex": 1}, "operationIndex"),
        ({"id": "16010972359577600-1"}, "id"),
        ({"ledgerClosedAt": "yesterday"}, "ledgerClosedAt"),
        ({"ledgerClosedAt": "2026-13-20T10:00:05Z"}, "ledgerClosedAt"),
        ({"ledgerClosedAt": "2026-11-20T10:00:05+07:00"}, "ledgerClosedAt"),
        ({"type": "rumour"}, "rumour"),
        ({"type": None}, "type"),
        ({"txHash": "AB"}, "txHash"),
        ({"contractId": "=cmd()"}, "contractId"),
        ({"topicJson": {"symbol": "x"}}, "array"),
        ({"valueJson": None}, "value"),
        ({"inSuccessfulContractCall": "yes"}, "bool"),
        ({"id": 5}, "str"),
        ({"topicJson": None, "topic": ["AAAADwAA"]}, "ScVal"),
        ({"valueJson": None, "value": "AAAAAQAAAAE="}, "ScVal"),
    ],
)
def test_an_event_that_cannot_be_used_says_why_and_leaves_its_page_whole(changes, word) -> None:
    bad_id = EVENT | changes
    page = answer(events=[bad_id, EVENT])
    [bad] = [each for each in page.events if isinstance(each, BadEvent)]
    [good] = [each for each in page.events if isinstance(each, ContractEvent)]
    assert word in bad.reason
    assert json.loads(bytes(bad.raw)) == bad_id
    assert good.id == EVENT["id"]


def test_shapes_of_older_nodes_are_the_same_event() -> None:
    old = without("operationIndex", "transactionIndex", "topicJson", "valueJson", "type")
    old |= {
        "ledger": "3727845", "opIndex": 0, "txIndex": 5, "eventType": "contract",
        "pagingToken": EVENT["id"], "topic": [TRANSFER], "value": {"xdr": "AAAAAQ=="},
    }  # fmt: skip
    page = answer(events=[old])
    [event] = page.events
    assert (event.ledger, event.transaction_index, event.operation_index) == (3727845, 5, 0)
    assert (bytes(event.topics), bytes(event.data)) == (b'[{"symbol":"transfer"}]', b'"void"')
    [event] = answer(events=[without("inSuccessfulContractCall", "contractId")]).events
    assert (event.in_successful_call, event.contract_id) == (True, "")


def test_an_event_without_topics_has_an_empty_list() -> None:
    [event] = answer(events=[without("topicJson")]).events
    assert bytes(event.topics) == b"[]"


def test_null_stands_for_absent() -> None:
    nulls = {"contractId": None, "pagingToken": None, "opIndex": None, "topic": None}
    assert one(**nulls).contract_id == ""
    page = answer(events=None, latestLedgerCloseTime=None)
    assert (page.events, page.window.latest_ms) == ([], 0)
    assert answer(cursor=None).cursor == EVENT["id"]


def test_events_come_by_rising_id_whatever_the_node_does() -> None:
    later = EVENT | {"id": "0016010972359577600-0000000002"}
    bad = EVENT | {"ledger": 1}
    page = answer(events=[later, bad, EVENT], cursor=later["id"])
    assert [getattr(event, "id", "bad") for event in page.events] == [
        EVENT["id"], later["id"], "bad",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"cursor": None, "events": []}, "protocol 22"),
        ({"cursor": "0016010972359577600-0000000000"}, "before the event"),
        ({"cursor": "nonsense"}, "nonsense"),
        ({"latestLedger": None}, "latestLedger"),
        ({"latestLedgerCloseTime": "soon"}, "close time"),
        ({"latestLedgerCloseTime": -1}, "close time"),
        ({"events": {}}, "array"),
    ],
)
def test_a_page_that_contradicts_itself_is_no_page(changes, word) -> None:
    with pytest.raises(DecodeError, match=word):
        answer(**changes)


@pytest.mark.parametrize(
    ("code", "message", "error", "words"),
    [
        (
            -32600,
            "startLedger must be within the ledger range: 100 - 250",
            OutOfWindow,
            "100 - 250",
        ),
        (-32602, "limit must not exceed 10000", ExchangeError, "10000.*STELLAR_PAGE_LIMIT"),
        (-32001, "request exceeded processing limit threshold", ExchangeUnavailable, "limit"),
        (-32603, "data stores are not initialized", ExchangeUnavailable, "data stores"),
        (-32601, "method not found", ExchangeError, "STELLAR_RPC_URL"),
    ],
)
def test_the_nodes_errors_are_ours_with_its_own_words(code, message, error, words) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}
    raw = json.dumps(body).encode()
    with pytest.raises(error, match=words) as caught:
        decode.decode_page(raw, QUERY)
    assert type(caught.value) is error
    if error is OutOfWindow:
        assert (caught.value.oldest, caught.value.latest) == (100, 250)


def test_health_is_the_window_of_ledgers() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":{"latestLedger":9,"oldestLedger":2}}'
    assert ADAPTER.polling.decode_window(body) == (2, 9, 0)
    for bad in (
        b'{"result":{"latestLedger":1,"oldestLedger":2}}',
        b'{"result":{"latestLedger":"9"}}',
        b"{}",
        b"null",
        b"",
    ):
        with pytest.raises(DecodeError):
            ADAPTER.polling.decode_window(bad)


def test_text_that_is_no_utf_8_or_no_number_spoils_only_its_event() -> None:
    raw = json.dumps({"result": RESULT}).encode()
    for bad in (
        raw.replace(b'"transfer"', b'"\xff"'),
        raw.replace(b'"i128": "1', b'"i": 1e999, "x": "1'),
    ):
        assert bad != raw
        [event] = decode.decode_page(bad, QUERY).events
        assert isinstance(event, BadEvent)


LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
ANY_JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@given(
    st.dictionaries(st.sampled_from([*EVENT, "topic", "value"]), ANY_JSON, max_size=4),
    st.dictionaries(st.sampled_from(list(RESULT)), ANY_JSON, max_size=2),
)
def test_any_json_in_any_member_gives_events_rejects_or_a_decode_error(event, result) -> None:
    body = {"result": RESULT | {"events": [EVENT | event]} | result}
    with contextlib.suppress(DecodeError):
        page = decode.decode_page(json.dumps(body).encode(), QUERY)
        assert all(isinstance(each, ContractEvent | BadEvent) for each in page.events)


@given(st.binary(max_size=150))
def test_any_bytes_give_a_decode_error(raw) -> None:
    for call in (lambda: decode.decode_page(raw, QUERY), lambda: decode.decode_window(raw)):
        with contextlib.suppress(DecodeError):
            call()


@pytest.mark.recordings
@pytest.mark.parametrize("protocol", ["p22", "p23"])
def test_recorded_pages_decode_whole_and_their_ids_place_every_event(
    recordings, protocol
) -> None:
    name = f"stellar/rs-stellar-rpc-client_events_response_{protocol}.json"
    raw = (recordings / name).read_bytes()
    page, told = decode.decode_page(raw, QUERY), json.loads(raw)["result"]
    assert [event.id for event in page.events] == [one["id"] for one in told["events"]]
    assert page.cursor == told["cursor"]
    assert page.window.latest == told["latestLedger"]
    for event, theirs in zip(page.events, told["events"], strict=True):
        toid, _, _ = event.id.partition("-")
        assert event.ledger == theirs["ledger"] == int(toid) // 2**32
        assert event.transaction_index == int(toid) // 4096 % 2**20
        assert event.event_type == theirs["type"]
        assert len(json.loads(bytes(event.topics))) == len(theirs["topic"])
        assert json.loads(bytes(event.topics))[0] == {"symbol": name_of(theirs["topic"][0])}


@pytest.mark.recordings
def test_recorded_events_that_contradict_their_ids_are_rejects(recordings) -> None:
    path = recordings / "stellar/rs-stellar-rpc-client_event_response.json"
    result = json.loads(path.read_bytes()) | {
        "latestLedger": 43601290,
        "cursor": RESULT["cursor"],
    }
    page = decode.decode_page(json.dumps({"result": result}).encode(), QUERY)
    assert len(page.events) == 3
    assert all("by the id" in event.reason for event in page.events)


def name_of(encoded):
    raw = base64.b64decode(encoded)
    return raw[8 : 8 + int.from_bytes(raw[4:8], "big")].decode()


def test_an_error_that_is_not_ours_never_leaves_the_decoder() -> None:
    for raw in (b"[" * 100_000, b'{"result":{"events":' + b"[" * 100_000, b"\xff\xfe"):
        with pytest.raises(DecodeError):
            decode.decode_page(raw, QUERY)
    with pytest.raises(ExchangeUnavailable):
        decode.decode_page(b'{"error":{"code":-32603,"message":null}}', QUERY)
