"""Coinbase's bytes to outcomes: any bytes give outcomes or a DecodeError (protocols 5.2-5.5).

message ─► its type ─► its decoder ─► BookState, BookDelta, Trade, TickerState, LastTrade
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from container_worker.exchanges.coinbase import wire
from container_worker.exchanges.coinbase.subscribe import awaited
from container_worker.exchanges.outcomes import (
    Accepted,
    BookDelta,
    BookState,
    CandleState,
    Clock,
    Heartbeat,
    LastTrade,
    Leaving,
    Outcome,
    Refused,
    Side,
    TickerState,
    Trade,
    Unknown,
)
from marketdata import topics
from marketdata.decimals import plain
from marketdata.errors import DecodeError
from marketdata.instruments import Instrument, symbol_of
from marketdata.messages import DepthSnapshot, DepthUpdate, Level
from marketdata.times import parse_iso_ms

EXCHANGE = "coinbase"

T = TypeVar("T")
Outcomes = tuple[Outcome, ...]

_MINUTE_MS = 60_000
_PREFIX = b'{"type":"'
_NO_TIME = "0001-"
_TAKER_OF_MAKER: dict[str, Side] = {"buy": "SELL", "sell": "BUY"}
_SIDE: dict[str | None, Side] = {"buy": "BUY", "sell": "SELL"}
_ENDS = ("ErrSlowConsume", "ErrSlowRead", "Message too big")
"""Errors that announce the end of the connection (protocols 5.1)."""
_NO_UNSUBSCRIBE = "Failed to unsubscribe"
"""Only before a subscription of the same: that one's answer says what there is to say."""
_PRODUCT = re.compile(r"\b[A-Z0-9]{1,12}-[A-Z0-9]{2,12}\b", re.ASCII)
"""A product in the text of an error; the message has no other place for it."""

_envelope = msgspec.json.Decoder(wire.Envelope)
_snapshot = msgspec.json.Decoder(wire.Snapshot)
_l2update = msgspec.json.Decoder(wire.L2Update)
_match = msgspec.json.Decoder(wire.Match)
_last_match = msgspec.json.Decoder(wire.LastMatch)
_ticker = msgspec.json.Decoder(wire.Ticker)
_heartbeat = msgspec.json.Decoder(wire.Heartbeat)
_subscriptions = msgspec.json.Decoder(wire.Subscriptions)
_error = msgspec.json.Decoder(wire.Error)
_products = msgspec.json.Decoder(list[wire.Product])
_rest_trades = msgspec.json.Decoder(list[wire.RestTrade])
_rest_candles = msgspec.json.Decoder(list[wire.RestCandle])


def decode(frame: bytes, received_ns: int) -> Outcomes:
    """The outcomes of one message.

    Raises:
        DecodeError: the frame is not JSON or not what its type says.
    """
    if frame.startswith(_PREFIX):
        reader = _READERS.get(frame[9 : frame.find(b'"', 9)])
        if reader is not None:
            return reader(frame, received_ns)
    kind = _read(_envelope, frame).type
    reader = _READERS.get((kind or "").encode())
    if reader is not None:
        return reader(frame, received_ns)
    return (Unknown(f"no message that was asked for: its type is {kind!r}"[:80]),)


def _read(decoder: "msgspec.json.Decoder[T]", raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(str(error)) from error


def _decode_snapshot(frame: bytes, received_ns: int) -> Outcomes:
    data = _read(_snapshot, frame)
    event_ms, clock = _event_time(data.time, received_ns)
    bids, asks = _levels(data.bids), _levels(data.asks)
    message = DepthSnapshot(event_ms, data.product_id, 0, bids, asks, EXCHANGE)
    return (BookState(topics.DIFF_DEPTH, clock, message),)


def _decode_l2update(frame: bytes, received_ns: int) -> Outcomes:
    """One delta a message; of a price that comes twice the later size counts."""
    data = _read(_l2update, frame)
    event_ms, clock = _event_time(data.time, received_ns)
    bids: list[Level] = []
    asks: list[Level] = []
    for side, price, size in data.changes:
        (bids if side == "buy" else asks).append((_amount(price), _amount(size)))
    message = DepthUpdate(event_ms, data.product_id, 0, 0, bids, asks, EXCHANGE)
    return (BookDelta(clock, message),)


def _decode_match(frame: bytes, received_ns: int) -> Outcomes:
    data = _read(_match, frame)
    event_ms, clock = _event_time(data.time, received_ns)
    trade = Trade(
        ticker=data.product_id,
        id=data.trade_id,
        time_ms=event_ms,
        price=_amount(data.price),
        quantity=_amount(data.size),
        side=_TAKER_OF_MAKER[data.side],
        clock=clock,
    )
    return (trade,)


def _decode_last_match(frame: bytes, _received_ns: int) -> Outcomes:
    data = _read(_last_match, frame)
    return (LastTrade(data.product_id, data.trade_id),)


def _decode_ticker(frame: bytes, received_ns: int) -> Outcomes:
    data = _read(_ticker, frame)
    event_ms, clock = _event_time(data.time, received_ns)
    state = TickerState(
        ticker=data.product_id,
        time_ms=event_ms,
        clock=clock,
        price=_amount_or_none(data.price),
        volume=_amount_or_none(data.volume_24h),
        trade_id=data.trade_id,
        quantity=_amount_or_none(data.last_size),
        side=_SIDE.get(data.side),
    )
    return (state,)


def _decode_heartbeat(frame: bytes, _received_ns: int) -> Outcomes:
    data = _read(_heartbeat, frame)
    if not data.last_trade_id:
        return (Heartbeat(),)
    return Heartbeat(), LastTrade(data.product_id, data.last_trade_id)


def _decode_subscriptions(frame: bytes, _received_ns: int) -> Outcomes:
    channels = _read(_subscriptions, frame).channels
    names = (
        awaited(channel.name, ticker)
        for channel in channels
        for ticker in channel.product_ids or ()
    )
    return (Accepted(frozenset(names)),)


def _decode_error(frame: bytes, _received_ns: int) -> Outcomes:
    data = _read(_error, frame)
    text = ": ".join(part for part in (data.message, data.reason) if part) or "no reason given"
    if any(end in text for end in _ENDS):
        return (Leaving(),)
    if data.message == _NO_UNSUBSCRIBE:
        return ()
    return (Refused(text[:200], tuple(dict.fromkeys(_PRODUCT.findall(text)))),)


_READERS: dict[bytes, Callable[[bytes, int], Outcomes]] = {
    b"l2update": _decode_l2update,
    b"match": _decode_match,
    b"ticker": _decode_ticker,
    b"heartbeat": _decode_heartbeat,
    b"snapshot": _decode_snapshot,
    b"last_match": _decode_last_match,
    b"subscriptions": _decode_subscriptions,
    b"error": _decode_error,
}


def decode_instruments(body: bytes) -> Mapping[str, Instrument]:
    """The answer of `GET /products`, by product id, whatever its status. Raises DecodeError."""
    return {
        row.id: Instrument(
            exchange=EXCHANGE,
            ticker=row.id,
            symbol=symbol_of(row.base_currency, row.quote_currency),
            base=row.base_currency,
            quote=row.quote_currency,
        )
        for row in _read(_products, body)
    }


def decode_trades(body: bytes, ticker: str) -> list[Trade]:
    """The answer of `GET /products/{id}/trades`, by rising id. Raises DecodeError.

    What lies before the range that was asked for may be among it, where the exchange has not
    reached the range yet.
    """
    rows = _read(_rest_trades, body)
    return [
        Trade(
            ticker=ticker,
            id=row.trade_id,
            time_ms=_milliseconds(row.time),
            price=_amount(row.price),
            quantity=_amount(row.size),
            side=_TAKER_OF_MAKER[row.side],
        )
        for row in sorted(rows, key=lambda row: row.trade_id)
    ]


def decode_candles(body: bytes, ticker: str, ended_by_ms: int) -> list[CandleState]:
    """The answer of `GET /products/{id}/candles` of one minute. Raises DecodeError.

    A minute without a trade is not in it; a minute before the range that was asked for may be.
    """
    rows = {row[0]: row for row in _read(_rest_candles, body)}
    return [
        _candle(ticker, rows[start_s])
        for start_s in sorted(rows)
        if start_s * 1000 + _MINUTE_MS <= ended_by_ms
    ]


def _candle(ticker: str, row: wire.RestCandle) -> CandleState:
    start_s, low, high, first, last, volume = row
    if start_s <= 0:
        raise DecodeError(f"{start_s} is not a time")
    return CandleState(
        ticker=ticker,
        event_ms=start_s * 1000 + _MINUTE_MS,
        start_ms=start_s * 1000,
        length_ms=_MINUTE_MS,
        interval="1m",
        open=_literal(first),
        high=_literal(high),
        low=_literal(low),
        close=_literal(last),
        volume=_literal(volume),
        closed=True,
    )


def _literal(raw: msgspec.Raw) -> str:
    """A JSON number's own digits."""
    try:
        return _amount(bytes(raw).decode("ascii").strip())
    except UnicodeDecodeError as error:
        raise DecodeError("a candle has something that is no number") from error


def _levels(levels: list[wire.Level]) -> list[Level]:
    return [(_amount(price), _amount(size)) for price, size in levels]


def _amount(text: str) -> str:
    number = plain(text)
    if number.startswith("-"):
        raise DecodeError("a price or a size is negative")
    return number


def _amount_or_none(text: str | None) -> str | None:
    return _amount(text) if text else None


def _event_time(text: str | None, received_ns: int) -> tuple[int, Clock]:
    """The time in ms and whose it is: that of receipt where the exchange gives none."""
    if not text or text.startswith(_NO_TIME):
        return received_ns // 1_000_000, "received"
    return _milliseconds(text), "exchange"


def _milliseconds(text: str) -> int:
    try:
        time_ms = parse_iso_ms(text)
    except ValueError as error:
        raise DecodeError(f"{text[:40]!r} is not a time") from error
    if time_ms <= 0:
        raise DecodeError(f"{text[:40]!r} is not a usable time")
    return time_ms
