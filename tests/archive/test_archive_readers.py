"""Single records through the fold: the cases that a tape has seldom or never."""

import msgspec
import pytest

from marketdata.archive_fold import ArchiveFold
from marketdata.archive_state import (
    DAYS_KEPT,
    PartitionState,
    UnitState,
    closed_days,
    day_count,
)

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
