"""A process that was killed, and one that goes on without a word: the fold tells the hole."""

import msgspec
import pytest

from marketdata.archive_fold import ArchiveFold
from marketdata.archive_state import PartitionState, decode_state, encode_state
from marketdata.completeness import ledger
from marketdata.times import iso_ms

NOON_MS = 1_723_204_800_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def price(at_ms, trade_id, exchange):
    return (
        f'{{"type":"price_update","symbol":"A/B","price":{at_ms},"volume":null,'
        f'"timestamp":"{iso_ms(at_ms)}","source":"{exchange}","trade_id":"{trade_id}",'
        f'"quantity":2,"side":"BUY"}}'
    ).encode()


def book(at_ms):
    members = {"E": at_ms, "s": "T", "u": at_ms, "b": [("1", "1")], "a": [], "x": "binance"}
    return msgspec.json.encode({"e": "depthSnapshot", **members})


def candle(at_ms, *, closed=True):
    return (
        f'{{"pair":"A/B","timestamp":{at_ms},"open":1,"high":1,"low":1,"close":1,"volume":1,'
        f'"source":"binance","interval":"1m","closed":{"true" if closed else "false"}}}'
    ).encode()


def gap(from_ms, to_ms, first=None, last=None):
    mark = {"e": "gap", "E": to_ms, "s": "T", "x": "x", "first": first, "last": last}
    return msgspec.json.encode(mark | {"cause": "restart", "from": from_ms, "to": to_ms})


UNITS = {
    "opaque trades": ("prices", "blockchain", "ws_trades"),
    "ticker": ("prices", "coinbase", "ws_ticker"),
    "snapshots": ("orderbook", "binance", "ws_depth"),
    "candles": ("candles", "binance", "ws_candles"),
}
every = pytest.mark.parametrize("name", UNITS)


class Archive:
    """One unit's fold; its state goes through its JSON at each record, as in a restart."""

    def __init__(self, name) -> None:
        self.topic, self.exchange, self.type = UNITS[name]
        self.state = PartitionState()

    def take(self, value, epoch, **more):
        """The marks that a record gave, and whether it gave rows."""
        found = {"type": self.type, "queue_id": "q", "epoch": str(epoch), **more}
        headers = [(name, text.encode()) for name, text in found.items()]
        fold = ArchiveFold(self.topic, decode_state(encode_state(self.state)))
        rows = fold.fold(f"{self.exchange}:T".encode(), headers, value)
        self.state = fold.state
        marks = [one.data.decode() for one in rows if one.path.endswith(".marks.csv")]
        lines = [line.split(",")[2:] for text in marks for line in text.splitlines()]
        told = [line for line in lines if line[0] in {"gap", "open"}]
        return told, any(not one.path.endswith(".marks.csv") for one in rows)

    def event(self, at_ms, epoch):
        if self.topic == "orderbook":
            value = book(at_ms)
        elif self.topic == "candles":
            value = candle(at_ms)
        else:
            value = price(at_ms, f"t{at_ms}", self.exchange)
        return self.take(value, epoch)


@every
def test_a_new_epoch_that_tells_no_gap_is_one_from_the_last_time_on(name) -> None:
    archive = Archive(name)
    for step in range(3):
        assert archive.event(NOON_MS + step * MINUTE_MS, 1) == ([], True)
    last_ms, back_ms = NOON_MS + 2 * MINUTE_MS, NOON_MS + HOUR_MS
    ids = ["", ""]
    if name == "candles":
        last_ms += MINUTE_MS
        ids = [str(last_ms), str(back_ms - MINUTE_MS)]
    told = ["gap", *ids, "restart", iso_ms(last_ms), iso_ms(back_ms)]
    assert archive.event(back_ms, 2) == ([told], True)
    assert archive.event(back_ms + MINUTE_MS, 2) == ([], True)
    [figures] = ledger(archive.state)
    assert (figures.gaps, figures.causes) == (1, {"restart": 1})
    assert figures.uncovered_ms == back_ms - last_ms
    assert figures.missing == (57 if name == "candles" else 0)
    assert figures.unnumbered == (0 if name == "candles" else 1)


@every
def test_a_gap_that_is_told_is_told_once(name) -> None:
    archive = Archive(name)
    archive.event(NOON_MS, 1)
    back_ms = NOON_MS + HOUR_MS
    ids = (NOON_MS + MINUTE_MS, back_ms - MINUTE_MS) if name == "candles" else (None, None)
    assert archive.take(gap(NOON_MS + 9_000, back_ms, *ids), 2) == ([], False)
    [told], _ = archive.event(back_ms, 2)
    texts = ["" if one is None else str(one) for one in ids]
    assert told == ["gap", *texts, "restart", iso_ms(NOON_MS + 9_000), iso_ms(back_ms)]
    assert archive.event(back_ms + MINUTE_MS, 2) == ([], True)


@every
def test_the_first_process_of_all_and_one_that_is_stale_lost_nothing(name) -> None:
    archive = Archive(name)
    assert archive.event(NOON_MS, 7) == ([], True)
    assert archive.event(NOON_MS + HOUR_MS, 6) == ([], False)
    assert archive.event(NOON_MS + HOUR_MS, 7) == ([], True)


def test_a_hole_over_midnight_has_an_open_line_where_it_began() -> None:
    archive = Archive("ticker")
    archive.event(NOON_MS, 1)
    told, _ = archive.event(NOON_MS + 24 * HOUR_MS, 2)
    assert [line[0] for line in told] == ["open", "gap"]


def test_candles_that_go_on_where_the_last_one_ended_have_no_gap() -> None:
    archive = Archive("candles")
    archive.event(NOON_MS, 1)
    assert archive.take(candle(NOON_MS + MINUTE_MS, closed=False), 2) == ([], False)
    assert archive.event(NOON_MS + MINUTE_MS, 2) == ([], True)
    assert archive.event(NOON_MS + 5 * MINUTE_MS, 2) == ([], True)


def test_a_new_process_that_begins_with_a_history_tells_what_lies_before_that() -> None:
    archive = Archive("candles")
    archive.event(NOON_MS, 1)
    [told], _ = archive.take(candle(NOON_MS + 9 * MINUTE_MS), 2, backfill="1")
    ids = [str(NOON_MS + MINUTE_MS), str(NOON_MS + 8 * MINUTE_MS)]
    assert told[:4] == ["gap", *ids, "restart"]
    assert archive.event(NOON_MS + 10 * MINUTE_MS, 2) == ([], True)


def test_what_comes_late_shows_no_restart_and_can_fill_it() -> None:
    archive = Archive("candles")
    archive.event(NOON_MS, 1)
    archive.event(NOON_MS + 5 * MINUTE_MS, 2)
    found = archive.take(candle(NOON_MS + 3 * MINUTE_MS), 2, backfill="1")
    assert found == ([], True)
    [figures] = ledger(archive.state)
    assert (figures.missing, figures.backfilled) == (3, 1)
    trades = Archive("opaque trades")
    trades.event(NOON_MS, 1)
    late = price(NOON_MS - 9, "late", "blockchain")
    assert trades.take(late, 2, backfill="1") == ([], True)
    [told], _ = trades.event(NOON_MS + HOUR_MS, 2)
    assert told[3] == "restart"
