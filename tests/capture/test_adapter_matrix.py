"""What every exchange must keep, numbered; each case runs for every entry of the registry."""

import contextlib
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from capture_rig import FAST
from hypothesis import given
from hypothesis import strategies as st
from venues_rig import TICKERS as CAPTURED
from venues_rig import MultiCapture, Venues

import container_worker.exchanges as package
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel, Session
from container_worker.exchanges.outcomes import Outcome, Refused, Unknown
from container_worker.exchanges.polling import Query
from local.exchanges.recordings import read
from marketdata.errors import DecodeError, ExchangeError
from marketdata.messages import ContractEvent
from marketdata.topics import MAIN_TYPE, TOPIC_OF_TYPE

FOLDER = Path(package.__file__).parent
PROJECT = FOLDER.parents[1]
SESSION = Session("4826457", "key", "token", None)
TICKERS = {
    "binance": "T{}USDT",
    "coinbase": "T{}-USD",
    "blockchain": "T{}-USD",
    "stockbit": "T{:03d}",
    "stellar": "events",
}
OWN_FILES = {"stockbit": {"protobuf_wire.py"}, "stellar": {"xdr_json.py"}}
"""Beside the three: a wire format that no library of ours reads."""

ADAPTERS = {
    f"{adapter.name}{f' {name}' if name else ''}": variant
    for adapter in REGISTRY.values()
    for name, variant in (adapter.variants or {"": adapter}).items()
}
every = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=list(ADAPTERS))
SOCKETS = {name: adapter for name, adapter in ADAPTERS.items() if adapter.socket}
every_socket = pytest.mark.parametrize("adapter", SOCKETS.values(), ids=list(SOCKETS))


def test_01_the_registry_is_the_folders() -> None:
    folders = {path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists()}
    assert set(REGISTRY) == folders
    assert all(name == adapter.name for name, adapter in REGISTRY.items())


@every
def test_02_an_exchange_is_the_same_three_files(adapter) -> None:
    files = {path.name for path in (FOLDER / adapter.name).glob("*.py")}
    own = OWN_FILES.get(adapter.name, set())
    assert files == {"__init__.py", "wire.py", "decode.py", "subscribe.py"} | own


@every
def test_03_its_types_are_known_and_have_the_main_one(adapter) -> None:
    assert adapter.types <= set(TOPIC_OF_TYPE)
    assert MAIN_TYPE[adapter.name] in adapter.types


@every
def test_04_it_is_listened_to_or_asked_and_never_both(adapter) -> None:
    assert (adapter.socket is None) != (adapter.polling is None)
    assert (adapter.instruments is None) != (adapter.instrument is None)


@every
def test_05_only_a_book_that_is_numbered_is_joined_with_a_rest_book(adapter) -> None:
    joined = adapter.numbering.get("ws_diff_depth") == "exchange"
    assert (adapter.books is not None) == joined


@every_socket
def test_06_the_url_of_the_socket_keeps_scheme_and_host(adapter) -> None:
    assert adapter.socket.url("ws://127.0.0.1:5/ws").startswith("ws://127.0.0.1:5/")


@every_socket
def test_07_every_channel_is_subscribed_and_what_is_awaited_is_named_once(adapter) -> None:
    tickers = [TICKERS[adapter.name].format(number) for number in range(100)]
    channels = [Channel(ticker, type_) for ticker in tickers for type_ in sorted(adapter.types)]
    sent = adapter.socket.subscriptions(channels, SESSION)
    awaited = [name for each in sent for name in each.awaits]
    assert len(set(awaited)) == len(awaited)
    payloads = b"".join(
        each.payload if isinstance(each.payload, bytes) else each.payload.encode()
        for each in sent
    ).lower()
    assert all(ticker.lower().encode() in payloads for ticker in tickers)


@every_socket
def test_08_a_channel_can_be_stated_anew(adapter) -> None:
    ticker = TICKERS[adapter.name].format(7)
    for type_ in adapter.types:
        sent = adapter.socket.resubscribe(Channel(ticker, type_), SESSION)
        for each in sent:
            raw = each.payload if isinstance(each.payload, bytes) else each.payload.encode()
            assert ticker.lower().encode() in raw.lower()
            assert not each.awaits


@every
def test_09_limits_leave_room(adapter) -> None:
    limits = adapter.limits
    assert 0 < limits.control_per_second < 20
    assert 0 < limits.streams_per_request <= limits.streams_per_socket
    assert limits.connection_life_s > 600
    assert limits.connects_per_minute > 0
    assert limits.weight_burst is None or limits.weight_burst <= limits.weight_per_minute
    if adapter.books is not None:
        assert adapter.books.request("T").weight * 2 < limits.weight_per_minute


@every
@given(raw=st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
def test_10_any_bytes_give_what_is_promised_or_a_decode_error(adapter, raw) -> None:
    calls = []
    if adapter.socket:
        calls.append(lambda: adapter.socket.decode(raw, 1_700_000_000_000_000_000))
    if adapter.polling:
        calls.append(lambda: adapter.polling.decode_window(raw))
        calls.append(lambda: adapter.polling.decode_page(raw, Query()))
    if adapter.books:
        calls.append(lambda: adapter.books.decode(raw, "T"))
    if adapter.trades:
        calls.append(lambda: adapter.trades.decode(raw, "T"))
    if adapter.candles:
        calls.append(lambda: adapter.candles.decode(raw, "T", 1_700_000_000_000))
    if adapter.instruments:
        calls.append(lambda: adapter.instruments.decode(raw))
    for call in calls:
        with contextlib.suppress(DecodeError, ExchangeError):
            call()


@every_socket
@given(raw=st.binary(max_size=80))
def test_11_a_frame_gives_outcomes_and_nothing_else(adapter, raw) -> None:
    outcomes = ()
    with contextlib.suppress(DecodeError):
        outcomes = adapter.socket.decode(raw, 1_700_000_000_000_000_000)
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)


@every
def test_12_a_refusal_by_location_says_what_to_do(adapter) -> None:
    assert "451" in adapter.restricted
    assert adapter.name.lower() in adapter.restricted.lower()


@every
def test_13_its_decoder_is_held_to_be_pure(adapter) -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]
    pure = next(one for one in contracts["contracts"] if one["name"] == "A decoder is pure too")
    own = {name.removesuffix(".py") for name in OWN_FILES.get(adapter.name, ())}
    for module in {"wire", "decode"} | own:
        assert f"container_worker.exchanges.{adapter.name}.{module}" in pure["source_modules"]


@every
def test_14_a_page_of_the_past_is_bounded(adapter) -> None:
    for past in (adapter.trades, adapter.candles):
        if past is None:
            continue
        assert 0 < past.per_page <= 10_000
        request = past.request("BTC-USD", 1_700_000_000_000, 1_700_000_060_000)
        assert request.path.startswith("/")
        assert 0 < request.weight <= adapter.limits.weight_per_minute


RECORDED = {
    "binance": [
        "cryptofeed/BINANCE_2021-04-17.ws.1.0",
        "cryptofeed/BINANCE_2021-10-12.ws.1.0",
        "cryptofeed/BINANCE_US_2021-10-12.ws.1.0",
    ],
    "blockchain": [
        "cryptofeed/BLOCKCHAIN_2021-04-17.ws.23.0",
        "cryptofeed/BLOCKCHAIN_2021-07-22.ws.1.0",
    ],
    "coinbase": ["cryptofeed/COINBASE_2021-04-17.ws.28.0"],
    "stellar": [
        "stellar/rs-stellar-rpc-client_events_response_p22.json",
        "stellar/rs-stellar-rpc-client_events_response_p23.json",
    ],
    "stockbit": [],
}
"""Real traffic, and real answers of a node. Of Stockbit there is none that may be kept: its own
tests have the documented frames."""
NOT_OURS = {"binance": re.compile(r"the stream '\w+@(bookTicker|aggTrade)' was not asked for")}
"""What whoever recorded had asked for, and no type of ours does."""
recorded = [(name, file) for name, files in RECORDED.items() for file in files]


def test_15_every_exchange_is_held_against_what_was_recorded_of_it() -> None:
    assert set(RECORDED) == set(REGISTRY)
    assert [name for name, files in RECORDED.items() if not files] == ["stockbit"]


@pytest.mark.recordings
@pytest.mark.parametrize(("name", "file"), recorded)
def test_15_every_recorded_frame_is_understood(name, file, recordings) -> None:
    adapter = REGISTRY[name]
    if adapter.polling is not None:
        page = adapter.polling.decode_page((recordings / file).read_bytes(), Query())
        assert page.events
        assert [one for one in page.events if not isinstance(one, ContractEvent)] == []
        return
    seen, not_ours = 0, NOT_OURS.get(name, re.compile(r"(?!)"))
    for line in read(recordings / file):
        if line.kind != "frame":
            continue
        outcomes = adapter.socket.decode(line.payload, line.time_ns)
        assert not any(isinstance(one, Refused) for one in outcomes), line.number
        unknown = [one.reason for one in outcomes if isinstance(one, Unknown)]
        assert all(not_ours.fullmatch(reason) for reason in unknown), (line.number, unknown)
        seen += not unknown
    assert seen > 50


LIVE = replace(FAST, stall=30.0, silence=20.0)
captured_names = pytest.mark.parametrize("name", sorted(REGISTRY))


class Captured:
    """All exchanges captured for some seconds, then cut, then at rest."""

    def __init__(self, wait_until):
        self.venues = Venues()
        try:
            self._capture(wait_until)
        except BaseException:
            self.venues.close()
            raise

    def _capture(self, wait_until):
        capture = self.capture = MultiCapture(self.venues, timing=LIVE)
        try:
            wait_until(lambda: self._rows(10), 30, "ten records of every unit")
            self.before = {unit: capture.records(*unit) for unit in capture.units()}
            for name in set(self.venues.names) - {"stellar"}:
                self.venues.fault(name, kind="cut")
            wait_until(lambda: self._rows(10, beside=self.before), 30, "ten more after a cut")
            self.venues.pause()
            wait_until(self._is_true, 20, "every book as the simulators have it")
            self.records = {unit: capture.records(*unit) for unit in capture.units()}
            events = [one for one in capture.producer.records if one.topic == "queue-events"]
            self.telemetry = [json.loads(one.value) for one in events]
            self.rejects = [one for one in capture.producer.records if one.topic == "rejects"]
        finally:
            self.code = capture.end()

    def _rows(self, count, beside=None):
        slow = {"ws_candles": 2, "contract_events": 2}
        beside = beside or {}
        return all(
            len(self.capture.records(*unit)) - len(beside.get(unit, ()))
            >= slow.get(unit[2], count)
            for unit in self.capture.units()
        )

    def _is_true(self):
        return all(
            self.capture.book(name, ticker) == (self.venues.book(name, ticker), True)
            for name in self.venues.names
            if name != "stellar"
            for ticker in CAPTURED[name]
        )


@pytest.fixture(scope="module")
def captured(wait_until):
    done = Captured(wait_until)
    yield done
    done.venues.close()


def test_16_after_a_cut_every_book_is_the_simulators_own_and_known_to_be(captured) -> None:
    assert captured.code == 0


@captured_names
def test_17_nothing_is_told_as_missing_before_anything_was_disturbed(captured, name) -> None:
    for unit, records in captured.before.items():
        if unit[0] == name:
            assert [message for message, _ in records if message.get("e") == "gap"] == []


@captured_names
def test_18_a_books_first_record_states_it(captured, name) -> None:
    for unit, records in captured.records.items():
        if unit[0] == name and unit[2] in {"ws_diff_depth", "ws_depth"}:
            assert records[0][0]["e"] == "depthSnapshot"


@captured_names
def test_19_the_headers_say_whose_ids_and_whose_time_they_are(captured, name) -> None:
    for unit, records in captured.records.items():
        if unit[0] != name:
            continue
        is_ours = REGISTRY[name].numbering[unit[2]] == "ours"
        for message, headers in records:
            assert headers["type"].decode() == unit[2]
            assert headers["time"] in {b"exchange", b"received"}
            assert int(headers["received_ns"]) > 1_700_000_000_000_000_000
            if message.get("e") in {"depthSnapshot", "depthUpdate"}:
                assert (headers.get("ids") == b"ours") == is_ours


@captured_names
def test_20_a_cut_is_told_by_every_unit_whose_losses_do_not_show_by_ids(captured, name) -> None:
    numbering = REGISTRY[name].numbering
    for unit, records in captured.records.items():
        if unit[0] != name or name == "stellar" or unit[2] == "ws_candles":
            continue
        gaps = [message for message, _ in records if message.get("e") == "gap"]
        if numbering[unit[2]] == "exchange":
            told = {id_ for gap in gaps for id_ in range(gap["first"], gap["last"] + 1)}
            assert told == missing_ids(records), unit
        else:
            assert [gap for gap in gaps if gap["cause"] == "disconnect"], unit


def missing_ids(records):
    """The ids that live records jump over; a book begins with its first statement."""
    missing, last = set(), None
    for message, headers in records:
        if "backfill" in headers or message.get("e") in {"gap", "watermark"}:
            continue
        final = message.get("trade_id", message.get("u"))
        first = message.get("U", final)
        if last is not None:
            missing |= set(range(last + 1, first))
        last = final if last is None else max(last, final)
    assert last is not None
    return missing


def test_20_a_cut_shows_in_some_ids_too(captured) -> None:
    lost = [
        unit
        for unit, records in captured.records.items()
        if REGISTRY[unit[0]].numbering[unit[2]] == "exchange" and missing_ids(records)
    ]
    assert lost


@captured_names
def test_21_nothing_that_its_simulator_sends_is_rejected(captured, name) -> None:
    key = name.encode()
    assert [one.value[:200] for one in captured.rejects if one.key == key] == []


@captured_names
def test_22_every_gap_is_in_the_streams_telemetry(captured, name) -> None:
    gaps = {
        unit[1:]
        for unit, records in captured.records.items()
        if unit[0] == name and any(one.get("e") == "gap" for one, _ in records)
    }
    told = {
        (event["symbol"], event["type"])
        for event in captured.telemetry
        if event["queue_id"] == name
        and event["status"] == "error"
        and "missing" in event["message"]
    }
    assert told == gaps
