"""How the records of each archived topic become rows (rules 7, 10, 12).

unit, epoch, value ─► reader of the topic ─► rows, and the unit's new state
"""

from collections.abc import Callable
from datetime import datetime

from marketdata.archive_marks import MarkLine, hear_gap, snapshot_line, tell_gap
from marketdata.archive_state import Hole, UnitState
from marketdata.archive_unit import Rows, Unit
from marketdata.book import Step, Verdict, follow, follow_snapshot
from marketdata.codec import decode_book, decode_candle, decode_mark, decode_price, is_mark
from marketdata.csv_rows import book_rows, candle_row, event_time, price_row
from marketdata.errors import DecodeError
from marketdata.messages import DepthSnapshot, DepthUpdate, Mark, Watermark
from marketdata.times import ZONES, day_of, parse_iso_ms
from marketdata.topics import CANDLES, DEPTH_SNAPSHOTS, ORDERBOOK, PRICES

Missing = tuple[int | None, int | None]
NO_ROWS: list[Rows] = []


def read_book(unit: Unit, epoch: int, value: bytes, *, ours: bool) -> list[Rows]:
    """A record of `orderbook`. `ours`: capture numbers the updates. Raises DecodeError."""
    message = decode_book(value)
    if not isinstance(message, DepthUpdate | DepthSnapshot):
        return _read_mark(unit, message, sequential=ours or unit.type != DEPTH_SNAPSHOTS)
    state = unit.state
    if ours and epoch > state.epoch and state.last is not None:
        # Numbers of our own begin again in every epoch.
        state.hole = state.hole or Hole("restart", state.last_time)
        state.last = None
    last = state.last if isinstance(state.last, int) else None
    if isinstance(message, DepthSnapshot):
        side = message.side or ""
        step = follow_snapshot(last, message.u)
        same = (message.u, message.E, side)
        if step.verdict is Verdict.DROP or (last == message.u and state.snapshot == same):
            return NO_ROWS
        missing = _snapshot_missing(unit, step, last, ours=ours)
    else:
        step = follow(last, message.U, message.u)
        if step.verdict is Verdict.DROP:
            return NO_ROWS
        missing = (None, message.U - 1) if step.verdict is Verdict.START else step.missing
    return _write_book(unit, epoch, message, step.last, missing)


def _snapshot_missing(
    unit: Unit, step: Step, last: int | None, *, ours: bool
) -> Missing | None:
    """A stream of snapshots skips ids by its nature, except those that we number."""
    if unit.type != DEPTH_SNAPSHOTS:
        return step.missing
    if ours and last is not None and step.last > last + 1:
        return last + 1, step.last - 1
    return None


def _write_book(
    unit: Unit,
    epoch: int,
    message: DepthUpdate | DepthSnapshot,
    last: int,
    missing: Missing | None,
) -> list[Rows]:
    time = event_time(message.E, unit.exchange)
    data = book_rows(time, message)
    day = unit.day_at(message.E)
    count = len(message.b) + len(message.a)
    written = unit.marks(_gap_lines(unit, day, time, epoch, missing))
    if isinstance(message, DepthSnapshot):
        side = message.side or ""
        line = snapshot_line(unit.state, day, rows=count, side=side, id_=message.u, time=time)
        written += unit.marks([line])
        unit.state.snapshot = (message.u, message.E, side)
    _advance(unit, last, time, epoch)
    if count:
        written.append(unit.rows(day, data, count))
    return written


def read_price(unit: Unit, epoch: int, value: bytes, *, ours: bool) -> list[Rows]:
    """A record of `prices`. Raises DecodeError."""
    del ours
    if is_mark(value):
        return _read_mark(unit, decode_mark(value), sequential=True)
    trade = decode_price(value)
    state, id_ = unit.state, trade.trade_id
    missing: Missing | None = None
    if isinstance(id_, int):
        step = follow(state.last if isinstance(state.last, int) else None, id_, id_)
        if step.verdict is Verdict.DROP:
            return NO_ROWS
        missing = step.missing
        if step.verdict is Verdict.START and _is_cut_off(state):
            missing = (None, id_ - 1)
    elif id_ == state.last:
        return NO_ROWS
    data = price_row(trade)
    day = _day_of_text(trade.timestamp, unit.exchange)
    written = unit.marks(_gap_lines(unit, day, trade.timestamp, epoch, missing))
    _advance(unit, id_, trade.timestamp, epoch)
    written.append(unit.rows(day, data, 1))
    return written


def read_candle(unit: Unit, epoch: int, value: bytes, *, ours: bool) -> list[Rows]:
    """A record of `candles`: closed ones by rising start, each once. Raises DecodeError."""
    del ours
    if is_mark(value):
        return _read_mark(unit, decode_mark(value), sequential=False)
    candle = decode_candle(value)
    series = f"{candle.source} {candle.interval}"
    last = unit.state.candles.get(series)
    if not candle.closed or (last is not None and candle.timestamp <= last):
        return NO_ROWS
    time = event_time(candle.timestamp, unit.exchange)
    data = candle_row(time, candle)
    day = unit.day_at(candle.timestamp)
    written = unit.marks(_gap_lines(unit, day, time, epoch, None))
    unit.state.candles[series] = candle.timestamp
    _advance(unit, None, time, epoch)
    written.append(unit.rows(day, data, 1))
    return written


def _read_mark(unit: Unit, mark: Mark, *, sequential: bool) -> list[Rows]:
    if isinstance(mark, Watermark):
        unit.state.watermark = max(unit.state.watermark, mark.E)
        return NO_ROWS
    return unit.marks(hear_gap(unit.state, unit.exchange, mark, sequential=sequential))


def _gap_lines(
    unit: Unit, day: str, time: str, epoch: int, missing: Missing | None
) -> list[MarkLine]:
    state = unit.state
    if _is_cut_off(state):
        # The fold began in the middle of this day: its rows before are not known.
        state.forgotten = max(state.forgotten, day)
    if missing is None and state.hole is None:
        return []
    return tell_gap(state, day, unit.exchange, missing=missing, time=time, epoch=epoch)


def _is_cut_off(state: UnitState) -> bool:
    """Whether retention took what a unit began with before anything of it was folded."""
    return not state.last_time and state.hole is not None and state.hole.cause == "retention"


def _advance(unit: Unit, last: int | str | None, time: str, epoch: int) -> None:
    state = unit.state
    state.last, state.last_time, state.epoch = last, time, epoch


def _day_of_text(time: str, exchange: str) -> str:
    """The day of an ISO time; `2024-08-08T…Z` needs no arithmetic where the zone is UTC."""
    try:
        moment = datetime.fromisoformat(time)
        if exchange not in ZONES and time[10:11] == "T" and time.endswith("Z"):
            return time[:10] if time[4] == time[7] == "-" else f"{moment:%Y-%m-%d}"
        return day_of(parse_iso_ms(time), exchange)
    except (ValueError, IndexError):
        raise DecodeError("a trade's timestamp is not ISO 8601 with an offset") from None


Reader = Callable[..., list[Rows]]
READERS: dict[str, Reader] = {
    ORDERBOOK.name: read_book,
    PRICES.name: read_price,
    CANDLES.name: read_candle,
}
"""What reads the records of each topic; a new archived topic is a new line here."""
