"""What a Stellar node is asked, and which filters are told to be wrong or narrow."""

import json

import pytest

from container_worker.exchanges.polling import Query
from container_worker.exchanges.stellar import ADAPTER
from container_worker.exchanges.stellar.subscribe import filter_faults, one_topic_filters

USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
TRANSFER = "AAAADwAAAAh0cmFuc2Zlcg=="
DOCUMENT = [{"type": "contract", "contractIds": [USDC], "topics": [["*"]]}]


def faults(*filters):
    return filter_faults(json.dumps(filters).encode())


def test_a_page_is_asked_from_a_ledger_or_after_a_cursor_never_both() -> None:
    filters = b'[{"topics" : [["**"]] }]'
    query = Query(filters=filters, limit=500, auth_header="Bearer s3cret")
    first = ADAPTER.polling.page(query, 77, "")
    assert json.loads(first.body) == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "getEvents",
        "params": {
            "startLedger": 77,
            "filters": [{"topics": [["**"]]}],
            "pagination": {"limit": 500},
            "xdrFormat": "json",
        },
    }
    assert filters in first.body
    assert dict(first.headers) == {
        "Content-Type": "application/json",
        "Authorization": "Bearer s3cret",
    }
    later = json.loads(ADAPTER.polling.page(query, 77, "0001-0002").body)["params"]
    assert "startLedger" not in later
    assert later["pagination"] == {"limit": 500, "cursor": "0001-0002"}


def test_the_window_is_asked_of_get_health_without_a_header_that_nobody_gave() -> None:
    request = ADAPTER.polling.window(Query())
    assert json.loads(request.body)["method"] == "getHealth"
    assert dict(request.headers) == {"Content-Type": "application/json"}


def test_events_is_the_only_ticker() -> None:
    instrument = ADAPTER.instrument("events")
    assert (instrument.exchange, instrument.ticker, instrument.symbol) == (
        "stellar", "events", "events",
    )  # fmt: skip
    assert ADAPTER.instrument("USDC") is None


@pytest.mark.parametrize(
    "filters",
    [
        [],
        DOCUMENT,
        [{}],
        [{"type": "", "contractIds": None, "topics": None}],
        [{"type": "contract,system"}],
        [{"topics": [["**"], [TRANSFER, "*", "*", "*"], [TRANSFER, "*", "*", "*", "**"]]}],
    ],
)
def test_sound_filters_have_no_fault(filters) -> None:
    assert faults(*filters) == []


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ([{}] * 6, "6 filters; a node takes 5"),
        (["contract"], "filter 1: it is not an object"),
        ([{}, {"type": "diagnostic"}], 'filter 2: type "diagnostic" is not contract, system'),
        ([{"type": 5}], "type 5"),
        ([{"contractIds": USDC}], "contractIds is not a list"),
        ([{"contractIds": [USDC] * 6}], "6 contractIds; a node takes 5"),
        ([{"contractIds": [USDC[:-1] + "A"]}], "contractIds 1"),
        ([{"contractIds": ["G" + USDC[1:]]}], "contractIds 1"),
        ([{"contractId": [USDC]}], "'contractId' is none of type, contractIds, topics"),
        ([{"topics": [["*"]] * 6}], "6 topics; a node takes 5"),
        ([{"topics": ["*"]}], "topics 1: it is not a list of segments"),
        ([{"topics": [[]]}], "topics 1: it is not a list of segments"),
        ([{"topics": [["*"], ["*"] * 5]}], "topics 2: 5 segments"),
        ([{"topics": [["**", "*"]]}], 'topics 1: segment 1: "**" may only be the last'),
        ([{"topics": [["*", "transfer!"]]}], "topics 1: segment 2"),
        ([{"topics": [["*", {"symbol": "transfer"}]]}], "topics 1: segment 2"),
    ],
)
def test_a_fault_names_the_filter_and_what_is_wrong_with_it(filters, words) -> None:
    [fault] = faults(*filters)
    assert words in fault


def test_what_is_no_list_of_filters_is_one_fault() -> None:
    for raw in (b"{}", b"", b"\xff", b"[" * 100_000, b'"x"'):
        assert len(filter_faults(raw)) == 1


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (DOCUMENT, [1]),
        ([{"topics": [["**"]]}, {"topics": [["*"], [TRANSFER]]}], [2]),
        ([{"topics": [["*"], ["*", "*"]]}, {"topics": [["*", "**"]]}, {}, {"topics": []}], []),
    ],
)
def test_filters_that_match_nothing_but_one_topic_events_are_found(filters, numbers) -> None:
    notes = one_topic_filters(json.dumps(filters).encode())
    assert [note.split(":")[0] for note in notes] == [f"filter {number}" for number in numbers]
    assert all("exactly one topic" in note and '[["**"]]' in note for note in notes)
