"""The simulated Stellar RPC node as a stranger sees it: its rules, limits and texts."""

import base64
import http.client
import json
import struct
import subprocess
import sys
import time

import pytest

USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
SCANNED, KEPT, MOST = 60, 150, 500


def symbol(text):
    raw = text.encode()
    return base64.b64encode(
        struct.pack(">II", 15, len(raw)) + raw + b"\0" * (-len(raw) % 4)
    ).decode()


OPTIONS = (
    *("--speed", "4", "--seed", "5", "--set", f"stellar.retention_ledgers={KEPT}"),
    *("--set", f"stellar.scan_ledgers={SCANNED}", "--set", f"stellar.most_events={MOST}"),
)
"""Ledgers of 5 s at four times the speed, few of them kept."""


@pytest.fixture(scope="module")
def running(request):
    plugins = request.config.pluginmanager.get_plugins()
    [conftest] = [each for each in plugins if hasattr(each, "Follower")]
    exchange = conftest.Exchange(OPTIONS, name="stellar")
    yield exchange
    exchange.stop()


@pytest.fixture
def node(running):
    """The module's node, without faults before and after."""
    yield Node(running)
    running.request("/_control/faults", method="DELETE")


class Node:
    """A running simulator and the calls of a client."""

    def __init__(self, exchange):
        self.exchange = exchange

    def post(self, body, **headers):
        headers = {"Content-Type": "application/json"} | headers
        return self.exchange.request("/", method="POST", body=body, headers=headers)

    def call(self, method, params=None, **more):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params} | more
        status, _, answer = self.post(body)
        assert status == 200
        return answer

    def events(self, **params):
        answer = self.call("getEvents", params)
        assert "result" in answer, answer
        return answer["result"]

    def refused(self, **params):
        error = self.call("getEvents", params)["error"]
        return error["code"], error["message"]

    def health(self):
        return self.call("getHealth")["result"]

    def truth(self, first, last):
        return self.exchange.get(f"/_control/events?from={first}&to={last}")["events"]

    def all_pages(self, first, last, **params):
        """Every event of the ledgers, as a client pages through them."""
        found, cursor = [], None
        while True:
            pagination = {"limit": params.get("limit", 100), "cursor": cursor}
            start = {} if cursor else {"startLedger": first}
            more = {name: value for name, value in params.items() if name != "limit"}
            page = self.events(pagination=pagination, xdrFormat="json", **start, **more)
            found += [event for event in page["events"] if event["ledger"] <= last]
            cursor = page["cursor"]
            if int(cursor.partition("-")[0]) >> 32 >= last + (cursor[20:] != "4294967295"):
                return found


@pytest.fixture
def asked(node):
    """Ledgers that are all closed and stay in the window for the length of a test."""
    latest = node.health()["latestLedger"]
    return latest - 90, latest - 10


def test_pages_of_any_size_give_every_event_once_and_in_order(node, asked) -> None:
    truth = node.truth(*asked)
    assert len(truth) > 200
    for limit in (7, 100, 400):
        assert node.all_pages(*asked, limit=limit) == truth
    assert [event["id"] for event in truth] == sorted({event["id"] for event in truth})


def test_a_full_page_ends_at_its_last_event_another_at_the_end_of_what_was_scanned(
    node, asked
) -> None:
    first, _ = asked
    full = node.events(startLedger=first, pagination={"limit": 3})
    assert full["cursor"] == full["events"][-1]["id"]
    part = node.events(startLedger=first, endLedger=first + 2, pagination={"limit": MOST})
    assert {event["ledger"] for event in part["events"]} <= {first, first + 1}
    assert part["cursor"] == f"{(first + 1) << 32 | 0xFFFFFFFF:019d}-4294967295"
    none = node.events(startLedger=first, filters=[{"topics": [[symbol("no_such")]]}])
    assert none["events"] == []
    assert int(none["cursor"][:19]) >> 32 == first + SCANNED - 1


def test_at_the_head_the_cursor_waits_for_the_next_ledger(node, wait_until) -> None:
    latest = node.health()["latestLedger"]
    page = node.events(startLedger=latest, pagination={"limit": MOST})
    cursor = page["cursor"]
    again = node.events(pagination={"cursor": cursor})
    if again["latestLedger"] == page["latestLedger"]:
        assert (again["events"], again["cursor"]) == ([], cursor)
    wait_until(
        lambda: node.events(pagination={"cursor": cursor})["cursor"] > cursor,
        what="the next ledger",
    )


def test_times_are_texts_of_seconds_and_grow_with_the_ledgers(node) -> None:
    page = node.events(startLedger=node.health()["latestLedger"])
    seconds = [page["oldestLedgerCloseTime"], page["latestLedgerCloseTime"]]
    assert all(isinstance(each, str) for each in seconds)
    assert int(seconds[1]) - int(seconds[0]) == (KEPT - 1) * 5
    assert page["latestLedger"] - page["oldestLedger"] == KEPT - 1


@pytest.mark.parametrize(
    ("segments", "fits"),
    [
        (["**"], lambda names: True),
        (["*"], lambda names: len(names) == 1),
        (["*", "**"], lambda names: len(names) >= 1),
        (["*", "*", "*", "*"], lambda names: len(names) == 4),
        ([symbol("transfer"), "**"], lambda names: names[0] == {"symbol": "transfer"}),
        ([symbol("transfer")], lambda names: names == [{"symbol": "transfer"}]),
        ([symbol("fee"), "*"], lambda names: names[0] == {"symbol": "fee"} and len(names) == 2),
    ],
)
def test_segments_match_as_documented(node, asked, segments, fits) -> None:
    wanted = [event for event in node.truth(*asked) if fits(event["topicJson"])]
    assert node.all_pages(*asked, filters=[{"topics": [segments]}]) == wanted


def test_filters_join_by_or_and_their_members_by_and(node, asked) -> None:
    filters = [
        {"type": "contract", "contractIds": [USDC], "topics": [[symbol("transfer"), "**"]]},
        {"type": "system"},
    ]
    wanted = [
        event
        for event in node.truth(*asked)
        if event["type"] == "system"
        or (event["contractId"] == USDC and event["topicJson"][0] == {"symbol": "transfer"})
    ]
    assert len(wanted) > 20
    assert node.all_pages(*asked, filters=filters) == wanted


def test_the_window_is_named_above_and_below_it(node) -> None:
    for start in (1, 2**32 - 1):
        code, message = node.refused(startLedger=start)
        health = node.health()
        assert code == -32600
        words = message.split()
        assert message.startswith("startLedger must be within the ledger range: ")
        assert abs(int(words[-3]) - health["oldestLedger"]) <= 2
        assert abs(int(words[-1]) - health["latestLedger"]) <= 2
    old = f"{1 << 32:019d}-0000000001"
    code, message = node.call("getEvents", {"pagination": {"cursor": old}})["error"].values()
    assert (code, message.split(":")[0]) == (
        -32600, "startLedger must be within the ledger range",
    )  # fmt: skip


def test_null_stands_for_absent_and_ids_are_numbers_or_texts(node) -> None:
    start = node.health()["latestLedger"] - 5
    params = {
        "startLedger": start,
        "endLedger": None,
        "filters": [{"type": None, "contractIds": None, "topics": None}],
        "pagination": {"cursor": None, "limit": None},
        "xdrFormat": None,
    }
    for id_ in ("0123456789abcdef0123456789abcdef", 77):
        answer = node.call("getEvents", params, id=id_)
        assert answer["id"] == id_
        assert len(answer["result"]["events"]) <= 100
        assert "topic" in answer["result"]["events"][0]


def test_json_rpc_itself_is_checked(node) -> None:
    def code(body):
        return node.post(body)[2]["error"]["code"]

    assert code(b"{") == -32700
    assert code([{"jsonrpc": "2.0", "id": 1, "method": "getHealth"}]) == -32600
    assert code({"id": 1, "method": "getHealth"}) == -32600
    assert code({"jsonrpc": "2.0", "id": 1, "method": "getNothing"}) == -32601
    assert code({"jsonrpc": "2.0", "id": 1, "method": "getEvents", "params": [1]}) == -32602
    assert code({"jsonrpc": "2.0", "id": [1], "method": "getHealth"}) == -32600
    assert node.exchange.request("/")[0] == 405
    assert node.post(b"{}", **{"Content-Type": "text/plain"})[0] == 415
    assert node.post(b" " * 600_000)[0] == 413


def test_a_header_is_asked_for_where_one_is_set(start_exchange) -> None:
    node = Node(start_exchange("--set", "stellar.authorization=Bearer key", name="stellar"))
    body = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    assert node.post(body)[0] == 401
    assert node.post(body, Authorization="Bearer key")[0] == 200


def test_the_same_seed_gives_the_same_ledgers_to_another_server(node, start_exchange) -> None:
    latest = node.health()["latestLedger"]
    truth = node.truth(latest - 40, latest - 20)
    for seed, is_same in (("5", True), ("6", False)):
        other = Node(start_exchange("--seed", seed, name="stellar"))
        assert (other.truth(latest - 40, latest - 20) == truth) is is_same


def test_faults_refuse_slow_garble_and_cut_answers(node) -> None:
    exchange = node.exchange
    body = {"jsonrpc": "2.0", "id": 1, "method": "getEvents", "params": {"startLedger": 1}}
    exchange.fault(kind="refuse", status=429, retry_after_s=7)
    status, headers, _ = node.post(body)
    assert (status, headers["Retry-After"]) == (429, "7")
    exchange.fault(kind="slow", seconds=0.3)
    began_s = time.monotonic()
    assert node.post(body)[0] == 200
    assert time.monotonic() - began_s >= 0.3
    for form in ("text", "truncated", "binary"):
        exchange.fault(kind="garbage", form=form, replace=True, stream="getEvents")
        with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
            node.post(body)
    for kind in ({"kind": "drop"}, {"kind": "cut", "after": 0}):
        number = exchange.fault(stream="getEvents", **kind)
        with pytest.raises((OSError, http.client.HTTPException)):
            node.post(body)
        assert len(exchange.hits(number)) == 1
    assert node.post(body)[0] == 200


def test_the_clock_fault_moves_every_time_of_an_answer(node) -> None:
    start = node.health()["latestLedger"] - 10
    before = node.events(startLedger=start, endLedger=start + 8)["events"]
    node.exchange.fault(kind="clock", ahead_s=7200, stream="getEvents")
    after = node.events(startLedger=start, endLedger=start + 8)["events"]
    assert [each["id"] for each in after] == [each["id"] for each in before]
    hours = [int(each["ledgerClosedAt"][11:13]) for each in before]
    assert [int(each["ledgerClosedAt"][11:13]) for each in after] == [
        (hour + 2) % 24 for hour in hours
    ]


def test_a_paused_chain_stands_still(node, wait_until) -> None:
    node.exchange.pause()
    try:
        stood_ms = node.exchange.status()["time_ms"]
        assert all(node.exchange.status()["time_ms"] == stood_ms for _ in range(80))
    finally:
        node.exchange.resume()
    wait_until(lambda: node.exchange.status()["time_ms"] > stood_ms, what="time")


def test_stellar_sdks_own_client_understands_everything(node) -> None:
    sdk = pytest.importorskip("stellar_sdk")
    from stellar_sdk import scval, xdr  # noqa: PLC0415 - optional and slow

    server = sdk.SorobanServer(node.exchange.rest_url)
    assert server.get_health().ledger_retention_window == KEPT
    assert server.get_network().passphrase == sdk.Network.PUBLIC_NETWORK_PASSPHRASE
    ledger = server.get_latest_ledger()
    header = xdr.LedgerHeader.from_xdr(ledger.header_xdr)
    assert header.ledger_seq.uint32 == ledger.sequence
    assert xdr.LedgerCloseMeta.from_xdr(ledger.metadata_xdr).v1 is not None
    first = ledger.sequence - 50
    page = server.get_events(start_ledger=first, limit=MOST)
    truth = {event["id"]: event for event in node.truth(first, page.latest_ledger)}
    assert len(page.events) > 100
    for event in page.events:
        told = truth[event.id]
        forms = [xdr.SCVal.from_xdr(topic).to_json_dict() for topic in event.topic]
        assert forms == told["topicJson"]
        assert xdr.SCVal.from_xdr(event.value).to_json_dict() == told["valueJson"]
        assert not event.contract_id or sdk.StrKey.is_valid_contract(event.contract_id)
        if told["topicJson"][0] == {"symbol": "fee"}:
            payer = scval.from_address(event.topic[1]).address
            assert sdk.StrKey.is_valid_ed25519_public_key(payer)
    assert sdk.Asset.native().contract_id(sdk.Network.PUBLIC_NETWORK_PASSPHRASE) in {
        event.contract_id for event in page.events
    }
    with pytest.raises(sdk.exceptions.SorobanRpcErrorResponse, match="must be within"):
        server.get_events(start_ledger=1)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--set=stellar.ledger_seconds=0.01", "ledger_seconds: '0.01' is not 0.2 to 3600"),
        ("--set=stellar.retention_ledgers=0", "retention_ledgers: '0'"),
        ("--stellar-tickers=USDC", "one ticker events"),
    ],
)
def test_a_bad_setting_is_named(option, words) -> None:
    command = [sys.executable, "-m", "local.exchanges", "--stellar-rpc-port", "0", option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr
