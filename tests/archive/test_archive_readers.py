"""Single records through the fold: the cases that a tape has seldom or never."""

import msgspec
import pytest

from marketdata.archive_fold import ArchiveFold
from marketdata.archive_layout import object_path, read_path
from marketdata.archive_readers import RECENT_KEPT
from marketdata.archive_state import (
    DAYS_KEPT,
    PartitionState,
    UnitState,
    closed_days,
    day_count,
    decode_state,
    encode_state,
)
from marketdata.archive_wanted import WANTED_KEPT
from marketdata.completeness import ledger

DAY = "2024-08-09"
NOON_MS = 1_723_204_800_000
BOOK = f"data/orderbook/binance/{DAY}_BTCUSDT"


def headers(stream_type, epoch=1, queue="q", **more):
    found = {"type": stream_type, "queue_id": queue, "epoch": str(epoch), **more}
    return [(name, value.encode()) for name, value in found.items()]


def book(kind, last, *, first=None, time=NOON_MS, bids=(), asks=(), **more):
    message = {
        "e": kind,
        "E": time,
        "s": "BTCUSDT",
        "u": last,
        "b": bids,
        "a": asks,
        "x": "binance",
    }
    if first is not None:
        message["U"] = first
    return msgspec.json.encode(message | more)


def lines(fold, value, *, stream_type="ws_diff_depth", key=b"binance:BTCUSDT", **header):
    """Path → text of what one record adds."""
    found = {}
    for rows in fold.fold(key, headers(stream_type, **header), value):
        found[rows.path] = found.get(rows.path, "") + rows.data.decode()
    return found


@pytest.fixture
def fold():
    return ArchiveFold("orderbook", PartitionState())


def test_exponents_are_written_out_and_the_exchange_s_own_value_is_kept(fold):
    value = book("depthSnapshot", 5, bids=[["1E-7", "2e3"]], asks=[["10.50", "3", "31.49"]])
    assert lines(fold, value)[f"{BOOK}.csv"] == (
        "2024-08-09T12:00:00.000Z,0.0000001,2000,0.0002,BUY\n"
        "2024-08-09T12:00:00.000Z,10.50,3,31.49,SELL\n"
    )


@pytest.mark.parametrize(
    "level", [["x", "1"], ["1"], [], ["1", "2", "3", "4"], ["1,5", "1"], ["1", "NaN"]]
)
def test_a_level_that_is_no_level_gives_no_rows_at_all(fold, level):
    assert lines(fold, book("depthSnapshot", 5, bids=[["1", "1"], level])) == {}
    assert fold.poisoned == 1
    assert fold.state.units["binance:BTCUSDT ws_diff_depth"].last is None


def test_a_delta_without_a_book_is_marked(fold):
    marks = lines(fold, book("depthUpdate", 9, first=7, bids=[["1", "1"]]))[f"{BOOK}.marks.csv"]
    assert marks == "0,0,gap,,6,sequence,,2024-08-09T12:00:00.000Z\n"


def test_a_stale_epoch_gives_nothing_and_another_queue_has_its_own_floor(fold):
    lines(fold, book("depthSnapshot", 5), epoch=7)
    delta = book("depthUpdate", 6, first=6, bids=[["1", "1"]])
    assert lines(fold, delta, epoch=6) == {}
    assert lines(fold, delta, epoch=6, queue="other") != {}


def test_a_stream_of_snapshots_has_no_gaps_by_id(fold):
    path = f"{BOOK}.ws_depth.marks.csv"
    first = lines(fold, book("depthSnapshot", 5, bids=[["1", "1"]]), stream_type="ws_depth")
    second = lines(fold, book("depthSnapshot", 99, bids=[["1", "1"]]), stream_type="ws_depth")
    assert [one[path].split(",")[:5] for one in (first, second)] == [
        ["0", "1", "snapshot", "5", "5"],
        ["1", "1", "snapshot", "99", "99"],
    ]


def test_one_side_restated_says_which(fold):
    lines(fold, book("depthSnapshot", 5))
    told = lines(fold, book("depthSnapshot", 5, time=NOON_MS + 1, asks=[["1", "1"]], side="a"))
    assert told[f"{BOOK}.marks.csv"].split(",")[2] == "snapshot_asks"


def test_numbers_of_our_own_begin_again_in_every_epoch(fold):
    lines(fold, book("depthSnapshot", 500), epoch=1, ids="ours")
    told = lines(fold, book("depthSnapshot", 1, time=NOON_MS + 9), epoch=2, ids="ours")
    assert [line.split(",")[2:6] for line in told[f"{BOOK}.marks.csv"].splitlines()] == [
        ["gap", "", "", "restart"],
        ["snapshot", "1", "1", ""],
    ]


def test_stockbit_s_day_is_jakarta_s(fold):
    value = book("depthSnapshot", 5, time=1_770_137_415_000, bids=[["7000", "12"]])
    told = lines(fold, value, stream_type="ws_depth", key=b"stockbit:BBCA")
    path = "data/orderbook/stockbit/2026-02-03_BBCA.csv"
    assert told[path] == "2026-02-03T23:50:15+07:00,7000,12,84000,BUY\n"


def test_retention_is_told_when_the_next_record_shows_a_hole(fold):
    lines(fold, book("depthSnapshot", 5))
    fold.lose()
    assert lines(fold, book("depthUpdate", 6, first=6, bids=[["1", "1"]])).keys() == {
        f"{BOOK}.csv"
    }
    fold.lose()
    told = lines(fold, book("depthUpdate", 20, first=11, bids=[["1", "1"]]))
    assert told[f"{BOOK}.marks.csv"].split(",")[2:6] == ["gap", "7", "10", "retention"]


def test_a_fold_that_began_in_the_middle_knows_no_row_numbers_of_that_day():
    fold = ArchiveFold("orderbook", PartitionState(truncated=True))
    [mark, rows] = fold.fold(
        b"binance:BTCUSDT",
        headers("ws_diff_depth"),
        book("depthUpdate", 9, first=7, bids=[["1", "1"]]),
    )
    assert mark.data == b",0,gap,,6,retention,,2024-08-09T12:00:00.000Z\n"
    assert (mark.before, rows.before) == (None, None)


def test_a_ticker_s_name_cannot_leave_its_folder(fold):
    told = lines(fold, book("depthSnapshot", 5, bids=[["1", "1"]]), key=b"binance:../../x y")
    assert min(told).startswith(f"data/orderbook/binance/{DAY}_..%2F..%2Fx%20y")


def test_a_field_with_a_comma_is_quoted():
    fold = ArchiveFold("prices", PartitionState())
    value = (
        b'{"type":"price_update","symbol":"A,\\"B\\"","price":1e3,"volume":null,'
        b'"timestamp":"2024-08-09T12:00:00Z","source":"binance","trade_id":1,"quantity":2,'
        b'"side":"BUY"}'
    )
    told = lines(fold, value, stream_type="ws_trades")
    assert told[f"data/prices/binance/{DAY}_BTCUSDT.csv"] == (
        '2024-08-09T12:00:00Z,"A,""B""",1000,2,BUY,1,binance\n'
    )


@pytest.mark.parametrize(
    "time", ["now", "2024-08-09T12:00:00", "2024-W01-1T00:00:00Z", "T" * 10]
)
def test_a_trade_s_time_that_is_none_never_makes_an_odd_path(time):
    fold = ArchiveFold("prices", PartitionState())
    value = (
        f'{{"type":"price_update","symbol":"A","price":1,"volume":null,"timestamp":"{time}",'
        '"source":"b","trade_id":1,"quantity":2,"side":"BUY"}'
    ).encode()
    told = lines(fold, value, stream_type="ws_trades")
    assert set(told) <= {"data/prices/binance/2024-01-01_BTCUSDT.csv"}


def test_the_days_that_a_state_knows_are_bounded_and_a_forgotten_one_has_no_count():
    unit = UnitState()
    for number in range(DAYS_KEPT + 5):
        day_count(
            unit, f"{2000 + number // 300}-{number % 300 // 25 + 1:02d}-{number % 25 + 1:02d}"
        )
    assert len(unit.days) == DAYS_KEPT
    assert not day_count(unit, "2000-01-02").whole
    assert day_count(unit, "2030-01-01").whole


@pytest.mark.parametrize(("late_ms", "closed"), [(299_999, []), (300_000, ["2024-08-08"])])
def test_a_day_is_closed_five_minutes_after_its_end(late_ms, closed):
    unit = UnitState(watermark=1_723_161_600_000 + late_ms)
    for day in ("2024-08-08", "2024-08-09"):
        day_count(unit, day)
    assert list(closed_days(unit, "binance")) == closed


def event(id_, *, ledger=7, time="2024-08-09T12:00:00Z"):
    message = {
        "type": "contract_event",
        "ledger": ledger,
        "transaction_hash": "ab",
        "contract_id": "CA",
        "topics": [{"symbol": "transfer"}],
        "data": {"i128": "5"},
        "id": id_,
        "timestamp": time,
        "event_type": "contract",
        "transaction_index": 0,
        "operation_index": 0,
        "in_successful_call": True,
    }
    return msgspec.json.encode(message)


def told(first, last, *, cause="disconnect", since=NOON_MS, until=None):
    mark = {"e": "gap", "E": since, "s": "t", "x": "x", "first": first, "last": last}
    return msgspec.json.encode(mark | {"cause": cause, "from": since, "to": until})


def trade(id_, time="2024-08-09T12:00:00Z"):
    return (
        f'{{"type":"price_update","symbol":"A","price":1,"volume":null,"timestamp":"{time}",'
        f'"source":"b","trade_id":{id_},"quantity":2,"side":"BUY"}}'
    ).encode()


def kinds(found):
    """The kind, ids and cause of every mark that a record gave."""
    marks = [text for path, text in found.items() if path.endswith(".marks.csv")]
    return [tuple(line.split(",")[2:6]) for text in marks for line in text.splitlines()]


def test_events_have_one_object_a_day_and_their_json_is_compact():
    fold = ArchiveFold("events", PartitionState())
    value = event("001-1").replace(b'"topics":[', b'"topics" : [ ')
    found = lines(fold, value, stream_type="contract_events", key=b"stellar:events")
    assert found == {
        f"data/events/stellar/{DAY}.csv": "7,2024-08-09T12:00:00Z,001-1,CA,ab,contract,"
        '"[{""symbol"":""transfer""}]","{""i128"":""5""}"\n'
    }
    assert lines(fold, value, stream_type="contract_events", key=b"stellar:events") == {}


def test_a_gap_of_ledgers_is_told_before_any_event_comes_after_it():
    fold = ArchiveFold("events", PartitionState())
    unit = {"stream_type": "contract_events", "key": b"stellar:events"}
    lines(fold, event("001-1"), **unit)
    closed = told(8, 90, cause="retention", until=NOON_MS + 5_000)
    assert kinds(lines(fold, closed, **unit)) == [("gap", "8", "90", "retention")]
    assert lines(fold, closed, **unit) == {}, "said again"


def test_a_late_trade_that_no_gap_told_missing_gives_no_row():
    fold = ArchiveFold("prices", PartitionState())
    for id_ in (5, 6, 9):
        lines(fold, trade(id_), stream_type="ws_trades")
    for id_, rows in ((5, 0), (9, 0), (7, 1), (7, 0), (4, 0), (8, 1)):
        found = lines(fold, trade(id_), stream_type="ws_trades", backfill="1")
        assert sum(path.endswith("BTCUSDT.csv") for path in found) == rows, id_
    assert kinds(lines(fold, trade(10), stream_type="ws_trades")) == [
        ("backfill", "7", "8", "sequence")
    ]


def test_a_late_trade_above_all_others_shows_the_gap_itself():
    fold = ArchiveFold("prices", PartitionState())
    lines(fold, trade(5), stream_type="ws_trades")
    found = lines(fold, trade(8), stream_type="ws_trades", backfill="1")
    assert kinds(found) == [("gap", "6", "8", "sequence")]
    assert lines(fold, trade(8), stream_type="ws_trades") == {}
    assert kinds(lines(fold, trade(9), stream_type="ws_trades")) == [
        ("backfill", "8", "8", "sequence")
    ]


def test_what_was_lost_before_the_first_trade_ever_can_come_late_too():
    for first in ((trade(9), False), (trade(6), True)):
        fold = ArchiveFold("prices", PartitionState())
        assert lines(fold, told(6, 8, until=NOON_MS), stream_type="ws_trades") == {}
        value, late = first
        header = {"backfill": "1"} if late else {}
        found = lines(fold, value, stream_type="ws_trades", **header)
        assert kinds(found) == [("gap", "6", "8", "disconnect")]
        found = lines(fold, trade(7), stream_type="ws_trades", backfill="1")
        assert f"data/prices/binance/{DAY}_BTCUSDT.csv" in found
        assert lines(fold, value, stream_type="ws_trades", **header) == {}
        [figures] = ledger(fold.state)
        assert (figures.missing, figures.backfilled) == (2 - late, 1 + late)


def test_a_candle_that_came_is_not_written_again_by_a_gap_that_names_it():
    fold = ArchiveFold("candles", PartitionState())

    def candle(minute, **header):
        start = NOON_MS + minute * 60_000
        value = (
            f'{{"pair":"A","timestamp":{start},"open":1,"high":1,"low":1,"close":1,'
            '"volume":1,"source":"binance","interval":"1m","closed":true}'
        ).encode()
        found = lines(fold, value, stream_type="ws_candles", **header)
        return f"data/candles/binance/{DAY}_BTCUSDT.csv" in found

    assert candle(0)
    gap = told(NOON_MS, NOON_MS + 120_000, since=NOON_MS, until=NOON_MS + 180_000)
    lines(fold, gap, stream_type="ws_candles")
    assert [candle(minute, backfill="1") for minute in (0, 1, 2, 1)] == [
        False,
        True,
        True,
        False,
    ]
    assert [candle(minute) for minute in (2, 3)] == [False, True]


def test_a_day_that_begins_in_an_open_gap_says_so(fold):
    unit = {"stream_type": "ws_depth", "key": b"stockbit:BBCA"}
    side = {"bids": [["1", "1"]], "side": "b"}
    lines(fold, book("depthSnapshot", 1, **side), **unit)
    opened = {"e": "gap", "E": NOON_MS, "s": "t", "x": "x", "first": 2, "last": None}
    opened |= {"cause": "stall", "from": NOON_MS, "to": None}
    assert kinds(lines(fold, msgspec.json.encode(opened), **unit)) == [
        ("open", "2", "", "stall")
    ]
    again = msgspec.json.encode(opened | {"E": NOON_MS + 86_400_000})
    for expected in ([("open", "2", "", "stall")], []):
        assert kinds(lines(fold, again, **unit)) == expected


def test_a_gap_that_a_new_process_opens_is_closed_by_it_too(fold):
    unit = {"stream_type": "ws_depth", "key": b"stockbit:BBCA"}
    side = {"bids": [["1", "1"]], "side": "b"}
    lines(fold, book("depthSnapshot", 1, **side), **unit)
    lines(fold, told(2, None, cause="restart"), epoch=2, **unit)
    found = lines(fold, book("depthSnapshot", 9, time=NOON_MS + 1, **side), epoch=2, **unit)
    assert kinds(found) == [("snapshot_bids", "9", "9", "")]
    found = lines(fold, told(2, 8, cause="restart", until=NOON_MS + 5), epoch=2, **unit)
    assert kinds(found) == [("gap", "2", "8", "restart")]


def test_of_many_holes_the_one_that_was_told_first_is_given_up():
    fold = ArchiveFold("prices", PartitionState())
    for id_ in range(1, 2 * WANTED_KEPT + 4, 2):
        lines(fold, trade(id_), stream_type="ws_trades")
    assert len(fold.state.units["binance:BTCUSDT ws_trades"].wanted) == WANTED_KEPT
    found = [
        bool(lines(fold, trade(id_), stream_type="ws_trades", backfill="1")) for id_ in (2, 4)
    ]
    assert found == [False, True]


def test_ids_that_are_texts_are_remembered_up_to_a_bound():
    fold = ArchiveFold("prices", PartitionState())
    for number in range(RECENT_KEPT + 1):
        assert lines(fold, trade(f'"t{number}"'), stream_type="ws_trades")
    assert lines(fold, trade('"t1"'), stream_type="ws_trades") == {}
    assert len(fold.state.units["binance:BTCUSDT ws_trades"].recent) == RECENT_KEPT


def test_a_gap_of_one_sided_snapshots_waits_for_the_record_that_closes_it(fold):
    unit = {"stream_type": "ws_depth", "key": b"stockbit:BBCA", "ids": "ours"}
    side = {"bids": [["1", "1"]], "side": "b"}
    lines(fold, book("depthSnapshot", 1, **side), **unit)
    lines(fold, told(2, None), **unit)
    assert kinds(lines(fold, book("depthSnapshot", 3, time=NOON_MS + 1, **side), **unit)) == [
        ("snapshot_bids", "3", "3", "")
    ]
    found = lines(fold, told(2, 2, until=NOON_MS + 2), **unit)
    assert kinds(found) == [("gap", "2", "2", "disconnect")]


def test_numbers_of_the_exchange_may_begin_again_after_a_loss_and_only_then(fold):
    unit = {"stream_type": "ws_depth", "key": b"stockbit:BBCA"}
    side = {"bids": [["1", "1"]], "side": "b"}
    lines(fold, book("depthSnapshot", 900, **side), **unit)
    assert lines(fold, book("depthSnapshot", 1, time=NOON_MS + 1, **side), **unit) == {}
    again = lines(fold, book("depthSnapshot", 1, time=NOON_MS + 2, **side), epoch=2, **unit)
    assert kinds(again) == [("gap", "", "", "restart"), ("snapshot_bids", "1", "1", "")]


def test_records_of_seven_and_eight_headers_are_known_by_all_of_them():
    fold = ArchiveFold("prices", PartitionState())
    common = [("type", b"ws_trades"), ("queue_id", b"q"), ("epoch", b"1"), ("id", b"1"),
              ("received_ns", b"1"), ("time", b"exchange")]  # fmt: skip
    ours, late = ("ids", b"ours"), ("backfill", b"1")
    for extra in ((), (ours,), (late,), (ours, late)):
        for _ in range(2):
            sender = fold._identify(b"binance:BTCUSDT", [*common, *extra])
            assert (sender.ours, sender.late) == (ours in extra, late in extra)


@pytest.mark.parametrize(
    "path",
    [
        "data/events/stellar/2024-08-09.csv",
        "data/events/stellar/2024-08-09.marks.csv",
        "data/prices/coinbase/2024-08-09_BTC-USD.ws_ticker.csv",
        "data/prices/coinbase/2024-08-09_BTC-USD.marks.csv",
        "data/orderbook/binance/2024-08-09_BTCUSDT.ws_depth.marks.csv",
    ],
)
def test_the_name_of_an_object_says_what_it_is(path):
    name = read_path(path)
    assert name is not None
    assert path == object_path(
        name.topic, name.exchange, name.ticker, name.type, name.day, marks=name.marks
    )


def test_a_day_without_a_ticker_is_only_one_of_events():
    assert read_path("data/prices/binance/2024-08-09.csv") is None


def test_a_state_of_an_older_version_goes_on_and_its_days_are_not_counted_whole():
    fold = ArchiveFold("prices", PartitionState())
    lines(fold, trade(5), stream_type="ws_trades")
    old = msgspec.json.decode(encode_state(fold.state))
    [unit] = old["units"].values()
    for name in ("recent", "wanted", "run", "ledger", "began", "uncounted", "uncovered"):
        unit.pop(name, None)
    fold = ArchiveFold("prices", decode_state(msgspec.json.encode(old)))
    assert lines(fold, trade(5), stream_type="ws_trades") == {}
    for id_, day in ((6, DAY), (7, "2024-08-10")):
        lines(fold, trade(id_, f"{day}T23:00:00Z"), stream_type="ws_trades")
        [figures] = ledger(fold.state, day)
        assert (figures.events, figures.whole) == (1, day != DAY)


def test_a_derived_candle_makes_no_row_and_no_unit():
    fold = ArchiveFold("candles", PartitionState())
    candle = (
        b'{"pair":"BTC/USD","timestamp":1723204800000,"open":1,"high":1,"low":1,"close":1,'
        b'"volume":1,"source":"coinbase","interval":"5m","closed":true}'
    )
    key = b"coinbase:BTC-USD"
    assert lines(fold, candle, stream_type="derived_candles", key=key, id="1723204800000") == {}
    assert list(fold.closed()) == []
    assert lines(fold, candle, stream_type="ws_candles", key=key, id="1723204800000") != {}
