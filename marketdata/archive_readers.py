"""How the records of each archived topic become rows (rules 7, 10, 12).

unit, epoch, value ─► reader of the topic ─► rows, and the unit's new state
"""

from collections.abc import Callable
from functools import lru_cache

from marketdata.archive_books import read_book
from marketdata.archive_following import (
    NO_ROWS,
    advance,
    day_of_text,
    gap_lines,
    note_restart,
    read_mark,
)
from marketdata.archive_late import LateRow, late_row, settle
from marketdata.archive_ledger import Ids, Missing
from marketdata.archive_unit import NO_IDS, Rows, Unit
from marketdata.archive_wanted import begin_series, want_history
from marketdata.book import Verdict, follow
from marketdata.codec import decode_candle, decode_event, decode_mark, decode_price, is_mark
from marketdata.csv_rows import candle_row, event_row, event_time, price_row
from marketdata.messages import Candle, PriceUpdate
from marketdata.topics import CANDLES, EVENTS, MINUTE_MS, ORDERBOOK, PRICES, TICKER

RECENT_KEPT = 100
"""How many ids that tell only repeats are remembered."""
_LENGTHS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def read_price(unit: Unit, epoch: int, value: bytes, *, ours: bool, late: bool) -> list[Rows]:
    """A record of `prices`: a trade, or what a ticker says. Raises DecodeError."""
    del ours
    state = unit.state
    if is_mark(value):
        ids = NO_IDS if isinstance(state.last, str) else unit.ids
        return read_mark(unit, decode_mark(value), ids)
    trade = decode_price(value)
    id_ = trade.trade_id
    if unit.type == TICKER or isinstance(id_, str):
        return _read_opaque(unit, epoch, trade, late=late)
    last = state.last if isinstance(state.last, int) else None
    hole = state.hole
    if late and last is None and hole and hole.until and hole.ids[0] is not None:
        last = hole.ids[0] - 1
    if late and last is not None:
        return _read_late_trade(unit, epoch, trade, id_, last)
    step = follow(last, id_, id_)
    if step.verdict is Verdict.DROP:
        return NO_ROWS
    missing: Missing | None = step.missing
    if last is None and hole and hole.cause == "retention" and not state.last_time:
        missing = (None, id_ - 1)
    return _write(unit, epoch, trade, last=id_, missing=missing)


def _read_opaque(unit: Unit, epoch: int, trade: PriceUpdate, *, late: bool) -> list[Rows]:
    """Ids only tell repeats; a ticker has none at all, so that its row says what is new."""
    state = unit.state
    if unit.type == TICKER:
        row = price_row(trade).decode()
        return NO_ROWS if row == state.last else _write(unit, epoch, trade, last=row)
    id_ = str(trade.trade_id)
    if id_ in state.recent:
        return NO_ROWS
    if late and state.last is not None:
        day = day_of_text(trade.timestamp, unit.exchange)
        late_trade = LateRow(day, trade.timestamp, id_, price_row(trade))
        written = late_row(unit, late_trade, NO_IDS)
    else:
        written = _write(unit, epoch, trade, last=id_)
    state.recent = [*state.recent[1 - RECENT_KEPT :], id_]
    return written


def _write(
    unit: Unit,
    epoch: int,
    trade: PriceUpdate,
    *,
    last: int | str,
    missing: Missing | None = None,
) -> list[Rows]:
    data, time = price_row(trade), trade.timestamp
    day = day_of_text(time, unit.exchange)
    ids = unit.ids
    if isinstance(last, str):
        ids = NO_IDS
        note_restart(unit.state, epoch, since=unit.state.last_time)
    told = gap_lines(unit, day, time, epoch=epoch, missing=missing, ids=ids)
    written = unit.marks(told)
    advance(unit, day, last, time, epoch)
    written.append(unit.rows(day, data, 1))
    return written


def _read_late_trade(
    unit: Unit, epoch: int, trade: PriceUpdate, id_: int, last: int
) -> list[Rows]:
    data, time = price_row(trade), trade.timestamp
    day = day_of_text(time, unit.exchange)
    written: list[Rows] = []
    if id_ > last:
        written, last = settle(unit, unit.ids, last, epoch)
        if id_ > last:
            # Nobody said that it was missing: its own number does.
            unseen = (last + 1, id_)
            told = gap_lines(unit, day, time, epoch=epoch, missing=unseen, ids=unit.ids)
            written += unit.marks(told)
            last = id_
        unit.state.last = last
    return written + late_row(unit, LateRow(day, time, id_, data), unit.ids)


def read_candle(unit: Unit, epoch: int, value: bytes, *, ours: bool, late: bool) -> list[Rows]:
    """A record of `candles`: closed ones by rising start, each once. Raises DecodeError."""
    del ours
    if is_mark(value):
        return read_mark(unit, decode_mark(value), unit.ids)
    candle = decode_candle(value)
    if not candle.closed:
        return NO_ROWS
    series = f"{candle.source} {candle.interval}"
    if late:
        return _read_late_candle(unit, epoch, candle, series)
    last = unit.state.candles.get(series)
    if last is not None and candle.timestamp <= last:
        return NO_ROWS
    step = _candle_ids(series).step
    if last is not None and candle.timestamp > last + step:
        missing = last + step, candle.timestamp - step
        since = event_time(missing[0], unit.exchange)
        note_restart(unit.state, epoch, since=since, ids=missing)
    return _write_candle(unit, epoch, candle, series, None)


def _write_candle(
    unit: Unit, epoch: int, candle: Candle, series: str, missing: Missing | None
) -> list[Rows]:
    state, start = unit.state, candle.timestamp
    time = event_time(start, unit.exchange)
    data = candle_row(time, candle)
    if series not in state.candles and not begin_series(state, series, start):
        state.candles[series] = start
        return NO_ROWS
    day = unit.day_at(start)
    ids = _candle_ids(series)
    told = gap_lines(unit, day, time, epoch=epoch, missing=missing, ids=ids)
    written = unit.marks(told)
    state.candles[series] = start
    advance(unit, day, None, time, epoch)
    written.append(unit.rows(day, data, 1))
    return written


def _read_late_candle(unit: Unit, epoch: int, candle: Candle, series: str) -> list[Rows]:
    state, start = unit.state, candle.timestamp
    time = event_time(start, unit.exchange)
    data = candle_row(time, candle)
    ids = _candle_ids(series)
    last = state.candles.get(series)
    written: list[Rows] = []
    if last is None:
        if all(one.series != series for one in state.wanted):
            want_history(state, series)
    elif start > last:
        written, last = settle(unit, ids, last, epoch)
        state.candles[series] = last
        if start > last:
            unseen = last + ids.step, start - ids.step
            restarted = epoch > state.epoch and unseen[0] <= unseen[1]
            missing = unseen if restarted else None
            return written + _write_candle(unit, epoch, candle, series, missing)
    row = LateRow(unit.day_at(start), time, start, data)
    return written + late_row(unit, row, ids)


@lru_cache(maxsize=1_000)
def _candle_ids(series: str) -> Ids:
    """What the starts of a series can show: `binance 5m` has one every five minutes."""
    interval = series.rpartition(" ")[2]
    count, unit = interval[:-1], _LENGTHS_MS.get(interval[-1:])
    known = unit is not None and count.isascii() and count.isdigit() and int(count) > 0
    step = int(count) * unit if known and unit else MINUTE_MS
    return Ids(follow=False, step=step, late=True, series=series)


def read_event(unit: Unit, epoch: int, value: bytes, *, ours: bool, late: bool) -> list[Rows]:
    """A record of `events`, by rising id. Raises DecodeError."""
    del ours, late
    if is_mark(value):
        return read_mark(unit, decode_mark(value), unit.ids)
    event = decode_event(value)
    state = unit.state
    if isinstance(state.last, str) and event.id <= state.last:
        return NO_ROWS
    data = event_row(event)
    time = event.timestamp
    day = day_of_text(time, unit.exchange)
    told = gap_lines(unit, day, time, epoch=epoch, missing=None, ids=unit.ids)
    written = unit.marks(told)
    advance(unit, day, event.id, time, epoch)
    written.append(unit.rows(day, data, 1))
    return written


Reader = Callable[..., list[Rows]]
READERS: dict[str, Reader] = {
    ORDERBOOK.name: read_book,
    PRICES.name: read_price,
    CANDLES.name: read_candle,
    EVENTS.name: read_event,
}
"""What reads the records of each topic; a new archived topic is a new line here."""
