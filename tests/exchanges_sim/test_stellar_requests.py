"""What the simulated Stellar RPC node refuses, in the node's own words (protocols 4.5)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.exchanges.stellar.chain import Chain
from local.exchanges.stellar.filters import RpcError
from local.exchanges.stellar.get_events import Bounds, get_events
from local.exchanges.stellar.methods import Methods

USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
TYPE_RULE = "if set, type must be either 'system' or 'contract'"
WILDCARD_RULE = "wildcard '**' is only allowed as the last segment"


def refused(params):
    chain = Chain(1, 1_795_168_830_000, ledger_ms=5_000, retention=100)
    with pytest.raises(RpcError) as caught:
        get_events(chain, Bounds(most_events=500, scanned_ledgers=50), params)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({}, -32602, "startLedger must be positive"),
        ({"startLedger": 0}, -32602, "startLedger must be positive"),
        (
            {"startLedger": 5, "pagination": {"cursor": f"{5 << 32:019d}-0000000001"}},
            -32602,
            "ledger ranges and cursor cannot both be set",
        ),
        (
            {"endLedger": 5, "pagination": {"cursor": f"{5 << 32:019d}-0000000001"}},
            -32602,
            "ledger ranges and cursor cannot both be set",
        ),
        ({"startLedger": 5, "pagination": {"limit": 501}}, -32602, "limit must not exceed 500"),
        ({"startLedger": 5, "filters": [{}] * 6}, -32602, "maximum 5 filters per request"),
        (
            {"startLedger": 5, "filters": [{"contractIds": [USDC] * 6}]},
            -32602,
            "filter 1 invalid: maximum 5 contract IDs per filter",
        ),
        (
            {"startLedger": 5, "filters": [{}, {"topics": [["*"]] * 6}]},
            -32602,
            "filter 2 invalid: maximum 5 topics per filter",
        ),
        (
            {"startLedger": 5, "filters": [{"type": "diagnostic"}]},
            -32602,
            f"filter 1 invalid: filter type invalid: {TYPE_RULE}",
        ),
        (
            {"startLedger": 5, "filters": [{"contractIds": [USDC[:-1] + "A"]}]},
            -32602,
            "filter 1 invalid: contract ID 1 invalid",
        ),
        (
            {"startLedger": 5, "filters": [{"topics": [[]]}]},
            -32602,
            "filter 1 invalid: topic 1 invalid: topic must have at least 1 segment",
        ),
        (
            {"startLedger": 5, "filters": [{"topics": [["*"] * 5]}]},
            -32602,
            "filter 1 invalid: topic 1 invalid: topic cannot have more than 4 segments",
        ),
        (
            {"startLedger": 5, "filters": [{"topics": [["**", "*"]]}]},
            -32602,
            f"filter 1 invalid: topic 1 invalid: segment 1 invalid: {WILDCARD_RULE}",
        ),
    ],
)
def test_requests_are_refused_in_the_nodes_own_words(params, code, message) -> None:
    assert refused(params) == (code, message)


@pytest.mark.parametrize(
    "params",
    [
        {"startLedger": "5"},
        {"startLedger": -5},
        {"startLedger": 5.5},
        {"startLedger": 5, "filters": {}},
        {"startLedger": 5, "filters": ["*"]},
        {"startLedger": 5, "filters": [{"topics": [[7]]}]},
        {"startLedger": 5, "filters": [{"topics": [["transfer!"]]}]},
        {"startLedger": 5, "xdrFormat": "yaml"},
        {"pagination": {"cursor": "here"}},
        {"pagination": []},
        {"startLedger": 5, "pagination": "x"},
    ],
)
def test_what_has_the_wrong_form_is_an_invalid_parameter(params) -> None:
    assert refused(params)[0] == -32602


CHAIN = Chain(1, 1_795_168_830_000, ledger_ms=5_000, retention=20)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANY = st.recursive(
    LEAF | st.sampled_from(["*", "**", USDC, CHAIN.latest, "contract"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "topics", "contractIds", "cursor"]), inner)
    ),
    max_leaves=8,
)
PARAMS = st.dictionaries(
    st.sampled_from(["startLedger", "endLedger", "filters", "pagination", "xdrFormat"]), ANY
)


@settings(deadline=None)
@given(ANY | st.builds(lambda params: {"startLedger": CHAIN.latest} | params, PARAMS), ANY)
def test_any_request_is_answered_by_a_result_or_an_error_of_json_rpc(params, id_) -> None:
    methods = Methods(CHAIN, Bounds(most_events=100, scanned_ledgers=50))
    body = {"jsonrpc": "2.0", "id": id_, "method": "getEvents", "params": params}
    for raw in (json.dumps(body).encode(), json.dumps(params).encode()):
        answer = methods.answer(raw).body
        if answer is not None:
            told = json.loads(answer)
            assert ("result" in told) != ("error" in told)
            assert told.get("error", {"code": -32600})["code"] in {-32600, -32602, -32700}


@given(st.binary(max_size=60))
def test_any_bytes_are_answered(raw) -> None:
    methods = Methods(CHAIN, Bounds(most_events=100, scanned_ledgers=50))
    assert json.loads(methods.answer(raw).body)["error"]["code"] in {-32600, -32700}
