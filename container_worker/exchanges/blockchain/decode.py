"""Blockchain.com Exchange's bytes to outcomes: any bytes give outcomes or a DecodeError.

frame ─► seqnum ─► ConnectionNumber
     └─► event and channel ─► BookState, BookDelta, Trade, CandleState, TickerState … (3.3-3.5)
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec

from container_worker.exchanges.blockchain import wire
from container_worker.exchanges.blockchain.subscribe import CHANNELS, SYMBOLS
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    CandleState,
    Clock,
    ConnectionNumber,
    Heartbeat,
    Outcome,
    Refused,
    Side,
    TickerState,
    Trade,
    TradingStatus,
    Unknown,
)
from marketdata import topics
from marketdata.decimals import is_zero, plain
from marketdata.errors import DecodeError
from marketdata.instruments import Instrument, symbol_of
from marketdata.messages import DepthSnapshot, DepthUpdate, Level
from marketdata.times import parse_iso_ms

EXCHANGE = "blockchain"

T = TypeVar("T")
Outcomes = tuple[Outcome, ...]

_SIDES: dict[str, Side] = {"buy": "BUY", "sell": "SELL"}
_LAST_SECOND, _LAST_MS = 10**11, 10**14
_MINUTE_MS = 60_000
_ALREADY, _NOT = "already subscribed", "not subscribed"
_OPEN = "open"
_TYPES = {channel: type_ for type_, channel in CHANNELS.items()}

_envelope = msgspec.json.Decoder(wire.Envelope)
_book = msgspec.json.Decoder(wire.Book)
_deal = msgspec.json.Decoder(wire.Deal)
_price = msgspec.json.Decoder(wire.Price)
_ticker = msgspec.json.Decoder(wire.Ticker)
_traded_symbols = msgspec.json.Decoder(wire.TradedSymbols)
_traded_symbol = msgspec.json.Decoder(wire.TradedSymbol)
_symbols: msgspec.json.Decoder[dict[str, wire.Symbol] | list[wire.ListedSymbol]] = (
    msgspec.json.Decoder(dict[str, wire.Symbol] | list[wire.ListedSymbol])
)


def decode(frame: bytes, received_ns: int) -> Outcomes:
    """The outcomes of one frame: its number on the connection, where it has one, comes first.

    Raises:
        DecodeError: the frame is not JSON or not what its channel and event say.
    """
    seen = _read(_envelope, frame)
    reader = _READERS.get((seen.channel, seen.event))
    said = reader(frame, received_ns // 1_000_000) if reader else _about(seen)
    if seen.seqnum is None:
        return said
    if seen.seqnum < 0:
        raise DecodeError(f"the seqnum is {seen.seqnum}")
    return (ConnectionNumber(seen.seqnum), *said)


def _read(decoder: "msgspec.json.Decoder[T]", raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(str(error)) from error


def _about(seen: wire.Envelope) -> Outcomes:
    """Answers to requests, and what nobody asked for."""
    name = f"{seen.channel}:{seen.symbol}" if seen.symbol else seen.channel
    if seen.event == "rejected":
        return _rejected(seen, name)
    if seen.event == "subscribed":
        return (Accepted(frozenset((name,))),)
    if seen.event == "unsubscribed":
        return ()
    return (Unknown(f"the event {seen.event!r} of the channel {seen.channel!r}"[:80]),)


def _rejected(seen: wire.Envelope, name: str) -> Outcomes:
    """What is so already is no refusal; else it is one symbol's, where that is named."""
    text = seen.text.lower()
    if text == _ALREADY:
        return (Accepted(frozenset((name,))),)
    if text == _NOT:
        return ()
    if seen.channel == SYMBOLS:
        return (Unknown(f"the channel {SYMBOLS} cannot be had: {seen.text}"[:80]),)
    said = (f"{name}: {seen.text}" if name else seen.text)[:200]
    type_ = _TYPES.get(seen.channel)
    if type_ is None or not seen.symbol:
        return (Refused(said),)
    return (Refused(said, (seen.symbol,), type_),)


def _snapshot(frame: bytes, received_ms: int) -> Outcomes:
    data = _read(_book, frame)
    clock, event_ms = _time(data.timestamp, received_ms)
    bids, asks = _best_first(data.bids, -1), _best_first(data.asks, 1)
    book = DepthSnapshot(event_ms, data.symbol, 0, bids, asks, EXCHANGE)
    return (BookState(topics.DIFF_DEPTH, clock, book),)


def _best_first(levels: list[wire.Level], sign: int) -> list[Level]:
    """Both sides come by rising price, though nobody promises it; zero is no level."""
    read = [_level(level) for level in levels]
    read.sort(key=lambda level: sign * Decimal(level[0]))
    return [level for level in read if not is_zero(level[1])]


def _update(frame: bytes, received_ms: int) -> Outcomes:
    data = _read(_book, frame)
    clock, event_ms = _time(data.timestamp, received_ms)
    bids, asks = [_level(one) for one in data.bids], [_level(one) for one in data.asks]
    delta = DepthUpdate(event_ms, data.symbol, 0, 0, bids, asks, EXCHANGE)
    return (BookDelta(clock, delta),)


def _trade(frame: bytes, received_ms: int) -> Outcomes:
    data = _read(_deal, frame)
    side = _SIDES.get(data.side)
    if side is None or not data.trade_id:
        raise DecodeError("a trade has neither side buy nor sell, or no trade_id")
    clock, time_ms = _time(data.timestamp, received_ms)
    price, quantity = _number(data.price), _number(data.qty)
    return (Trade(data.symbol, data.trade_id, time_ms, price, quantity, side, clock),)


def _candle(frame: bytes, received_ms: int) -> Outcomes:
    data = _read(_price, frame)
    start, *numbers = data.price
    first, high, low, last, volume = map(_number, numbers)
    return (
        CandleState(
            ticker=data.symbol,
            event_ms=received_ms,
            start_ms=_start_ms(start),
            length_ms=_MINUTE_MS,
            interval="1m",
            open=first,
            high=high,
            low=low,
            close=last,
            volume=volume,
            closed=None,
        ),
    )


def _ticker_state(frame: bytes, received_ms: int) -> Outcomes:
    data = _read(_ticker, frame)
    clock, time_ms = _time(data.timestamp, received_ms)
    price, volume = _said(data.last_trade_price), _said(data.volume_24h)
    return (TickerState(data.symbol, time_ms, clock, price, volume),)


def _said(raw: msgspec.Raw) -> str | None:
    return None if bytes(raw) in {b"", b"null"} else _number(raw)


def _first_ticker(frame: bytes, received_ms: int) -> Outcomes:
    """The documents print the ticker's `subscribed` without its symbol: this one has it."""
    states = _ticker_state(frame, received_ms)
    names = [f"ticker:{one.ticker}" for one in states if isinstance(one, TickerState)]
    return (Accepted(frozenset(names)), *states)


def _all_statuses(frame: bytes, _received_ms: int) -> Outcomes:
    listed = _read(_traded_symbols, frame).symbols
    return tuple(_status(symbol, traded.status) for symbol, traded in listed.items())


def _one_status(frame: bytes, _received_ms: int) -> Outcomes:
    said = _read(_traded_symbol, frame)
    return () if said.status is None else (_status(said.symbol, said.status),)


def _status(symbol: str, word: str) -> TradingStatus:
    return TradingStatus(symbol, word[:40], is_open=word == _OPEN)


def _heartbeat(_frame: bytes, _received_ms: int) -> Outcomes:
    return (Heartbeat(),)


_READERS: dict[tuple[str, str], Callable[[bytes, int], Outcomes]] = {
    ("l2", "snapshot"): _snapshot,
    ("l2", "updated"): _update,
    ("trades", "updated"): _trade,
    ("prices", "updated"): _candle,
    ("ticker", "snapshot"): _first_ticker,
    ("ticker", "updated"): _ticker_state,
    ("symbols", "snapshot"): _all_statuses,
    ("symbols", "updated"): _one_status,
    ("heartbeat", "updated"): _heartbeat,
}


def decode_instruments(body: bytes) -> Mapping[str, Instrument]:
    """The answer of `/v3/exchange/symbols` or `/mercury-gateway/v1/instruments`, by ticker.

    Raises:
        DecodeError: it is neither.
    """
    listed = _read(_symbols, body)
    if isinstance(listed, dict):
        return {
            ticker: _instrument(ticker, row.base_currency, row.counter_currency)
            for ticker, row in listed.items()
        }
    return {
        row.symbol: _instrument(row.symbol, row.base_currency, row.counter_currency)
        for row in listed
    }


def _instrument(ticker: str, base: str, quote: str) -> Instrument:
    return Instrument(EXCHANGE, ticker, symbol_of(base, quote), base, quote)


def _level(level: wire.Level) -> Level:
    return _number(level.px), _number(level.qty)


def _number(raw: msgspec.Raw) -> str:
    """The plain text of a JSON number; nothing here is ever below zero."""
    text = plain(bytes(raw).decode("utf-8", "replace"))
    if not text.startswith("-"):
        return text
    if is_zero(text):
        return text[1:]
    raise DecodeError("a price or a quantity is negative")


def _time(text: str | None, received_ms: int) -> tuple[Clock, int]:
    """The exchange's time, floored to ms, or the receipt's where the frame has none."""
    if text is None:
        return "received", received_ms
    try:
        event_ms = parse_iso_ms(text)
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"{text[:40]!r} is not a time") from error
    if not 0 < event_ms < _LAST_MS:
        raise DecodeError(f"{text[:40]!r} is not a time")
    return "exchange", event_ms


def _start_ms(raw: msgspec.Raw) -> int:
    """Seconds in the documents, ms on the wire: told by the size."""
    start = Decimal(_number(raw))
    if start < _LAST_SECOND:
        start *= 1000
    if not 0 < start < _LAST_MS or start != int(start):
        raise DecodeError("the candle's start is not a time")
    return int(start)
