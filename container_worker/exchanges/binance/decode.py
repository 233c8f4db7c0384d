"""Binance's bytes to outcomes: any bytes give outcomes or a DecodeError (protocols 1.3-1.5).

combined frame ─► stream name ─► its decoder ─► DepthUpdate, BookState, Trade, CandleState
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

import msgspec

from container_worker.exchanges.binance import wire
from container_worker.exchanges.binance.subscribe import STREAMS
from container_worker.exchanges.outcomes import (
    Accepted,
    CandleState,
    Leaving,
    Outcome,
    Refused,
    RestBook,
    Trade,
    Unknown,
)
from container_worker.exchanges.outcomes import BookState as Book
from marketdata import topics
from marketdata.decimals import plain
from marketdata.errors import DecodeError
from marketdata.instruments import Instrument, symbol_of
from marketdata.messages import DepthSnapshot, DepthUpdate, Level

EXCHANGE = "binance"

T = TypeVar("T")
Outcomes = tuple[Outcome, ...]

_LATEST_MS = 10**14
_MINUTE_MS = 60_000
_PREFIX = b'{"stream":"'
_NUMBER = rb"[0-9]{1,40}+\.[0-9]{1,40}+"
_LEVEL = rb'\["%b","%b"\],?' % (_NUMBER, _NUMBER)
_PLAIN_LEVELS = re.compile(
    rb'(?:,"b":|,"bids":)\[(?:%b)*+\],(?:"a":|"asks":)\[(?:%b)*+\]\}' % (_LEVEL, _LEVEL)
)
"""Both sides as Binance prints them; what does not match is looked at level by level."""

_diff = msgspec.json.Decoder(wire.Combined[wire.DiffDepth])
_partial = msgspec.json.Decoder(wire.Combined[wire.PartialDepth])
_trade = msgspec.json.Decoder(wire.Combined[wire.TradeEvent])
_kline = msgspec.json.Decoder(wire.Combined[wire.KlineEvent])
_envelope = msgspec.json.Decoder(wire.Envelope)
_rest_book = msgspec.json.Decoder(wire.PartialDepth)
_exchange_info = msgspec.json.Decoder(wire.ExchangeInfo)
_past_trades = msgspec.json.Decoder(list[wire.PastTrade])
_past_candles = msgspec.json.Decoder(list[wire.PastCandle])


def decode(frame: bytes, received_ns: int) -> Outcomes:
    """The outcomes of one frame of a combined connection.

    Raises:
        DecodeError: the frame is not JSON or not what its stream's name says.
    """
    if frame.startswith(_PREFIX):
        end = frame.find(b'"', 11)
        reader = _READERS.get(frame[frame.find(b"@", 11, end) + 1 : end])
        if reader is not None:
            return (reader(frame, received_ns),)
    return (_decode_other(frame, received_ns),)


def _read(decoder: "msgspec.json.Decoder[T]", raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(str(error)) from error


def _decode_diff(frame: bytes, _received_ns: int) -> Outcome:
    data = _read(_diff, frame).data
    if not 0 <= data.U <= data.u:
        raise DecodeError(f"the update ids {data.U} to {data.u} are no range")
    bids, asks = _levels(frame, b',"b":', data.b, data.a)
    event_ms = data.E if 0 < data.E < _LATEST_MS else _milliseconds(data.E)
    return DepthUpdate(event_ms, data.s, data.U, data.u, bids, asks, EXCHANGE)


def _decode_partial(frame: bytes, received_ns: int) -> Outcome:
    combined = _read(_partial, frame)
    data = combined.data
    ticker = combined.stream.partition("@")[0].upper()
    bids, asks = _levels(frame, b',"bids":', data.bids, data.asks)
    received_ms = received_ns // 1_000_000
    message = DepthSnapshot(received_ms, ticker, data.lastUpdateId, bids, asks, EXCHANGE)
    return Book(topics.DEPTH_SNAPSHOTS, "received", message)


def _decode_trade(frame: bytes, _received_ns: int) -> Outcome:
    data = _read(_trade, frame).data
    return Trade(
        ticker=data.s,
        id=data.t,
        time_ms=_milliseconds(data.T),
        price=plain(data.p),
        quantity=plain(data.q),
        side="SELL" if data.m else "BUY",
    )


def _decode_kline(frame: bytes, _received_ns: int) -> Outcome:
    data = _read(_kline, frame).data
    candle = data.k
    start_ms = _milliseconds(candle.t)
    return CandleState(
        ticker=data.s,
        event_ms=_milliseconds(data.E),
        start_ms=start_ms,
        length_ms=_MINUTE_MS,
        interval=candle.i,
        open=plain(candle.o),
        high=plain(candle.h),
        low=plain(candle.l),
        close=plain(candle.c),
        volume=plain(candle.v),
        closed=candle.x,
    )


_READERS: dict[bytes, Callable[[bytes, int], Outcome]] = {
    STREAMS[topics.DIFF_DEPTH].encode(): _decode_diff,
    STREAMS[topics.DEPTH_SNAPSHOTS].encode(): _decode_partial,
    STREAMS[topics.TRADES].encode(): _decode_trade,
    STREAMS[topics.CANDLE_UPDATES].encode(): _decode_kline,
}


def _decode_other(frame: bytes, received_ns: int) -> Outcome:
    """Replies, notices, and frames that are spaced or ordered in another way."""
    seen = _read(_envelope, frame)
    if seen.stream is not None and seen.data:
        return _decode_spaced(seen.stream, seen.data, received_ns)
    error = seen.error
    if error is not None or seen.code is not None:
        code, text = (error.code, error.msg) if error else (seen.code, seen.msg or "")
        return Refused(f"{code} {text}"[:200])
    if seen.e is None and isinstance(seen.id, int):
        return Accepted(frozenset((str(seen.id),)))
    if seen.e == "serverShutdown":
        return Leaving()
    return Unknown(f"no stream, and e is {seen.e!r}"[:80])


def _decode_spaced(stream: str, data: msgspec.Raw, received_ns: int) -> Outcome:
    if stream == "!serverShutdown":
        return Leaving()
    suffix = stream.partition("@")[2].encode()
    reader = _READERS.get(suffix)
    if reader is None:
        return Unknown(f"the stream {stream!r} was not asked for"[:80])
    name = msgspec.json.encode(stream)
    return reader(b'{"stream":' + name + b',"data":' + bytes(data) + b"}", received_ns)


def decode_snapshot(body: bytes, ticker: str) -> RestBook:
    """The answer of `GET /api/v3/depth`. Raises DecodeError."""
    data = _read(_rest_book, body)
    bids, asks = _levels(body, b',"bids":', data.bids, data.asks)
    return RestBook(ticker, data.lastUpdateId, bids, asks)


def decode_instruments(body: bytes) -> Mapping[str, Instrument]:
    """The answer of `GET /api/v3/exchangeInfo`, by ticker. Raises DecodeError."""
    return {
        row.symbol: Instrument(
            exchange=EXCHANGE,
            ticker=row.symbol,
            symbol=symbol_of(row.baseAsset, row.quoteAsset),
            base=row.baseAsset,
            quote=row.quoteAsset,
        )
        for row in _read(_exchange_info, body).symbols
    }


def decode_trades(body: bytes, ticker: str) -> list[Trade]:
    """The answer of `GET /api/v3/historicalTrades`, by rising id. Raises DecodeError."""
    rows = _read(_past_trades, body)
    return [
        Trade(
            ticker=ticker,
            id=row.id,
            time_ms=_milliseconds(row.time),
            price=plain(row.price),
            quantity=plain(row.qty),
            side="SELL" if row.isBuyerMaker else "BUY",
        )
        for row in sorted(rows, key=lambda row: row.id)
    ]


def decode_candles(body: bytes, ticker: str, before_ms: int) -> list[CandleState]:
    """The minutes of `GET /api/v3/klines` that had ended by `before_ms`, by rising start.

    Raises:
        DecodeError: not an answer of klines, or not of minutes.
    """
    rows = _read(_past_candles, body)
    candles = [_past_candle(row, ticker) for row in sorted(rows, key=lambda row: row.start)]
    return [one for one in candles if one.start_ms + one.length_ms <= before_ms]


def _past_candle(row: wire.PastCandle, ticker: str) -> CandleState:
    start_ms, end_ms = _milliseconds(row.start), _milliseconds(row.end) + 1
    if end_ms - start_ms != _MINUTE_MS:
        raise DecodeError(f"a candle of {end_ms - start_ms} ms is not one of a minute")
    return CandleState(
        ticker=ticker,
        event_ms=end_ms,
        start_ms=start_ms,
        length_ms=_MINUTE_MS,
        interval="1m",
        open=plain(row.open),
        high=plain(row.high),
        low=plain(row.low),
        close=plain(row.close),
        volume=plain(row.volume),
        closed=True,
    )


def _levels(
    raw: bytes, begin: bytes, bids: list[wire.Level], asks: list[wire.Level]
) -> tuple[list[Level], list[Level]]:
    """The levels, every text a plain decimal; at `begin` both sides start in `raw`."""
    if _PLAIN_LEVELS.match(raw, raw.find(begin)) is None:
        return [_level(level) for level in bids], [_level(level) for level in asks]
    return cast("list[Level]", bids), cast("list[Level]", asks)


def _level(level: wire.Level) -> Level:
    price, quantity = plain(level[0]), plain(level[1])
    if price.startswith("-") or quantity.startswith("-"):
        raise DecodeError("a level has a negative number")
    return price, quantity


def _milliseconds(time: int) -> int:
    """A time field in ms, also from a connection in µs (protocols 1.1)."""
    if time >= _LATEST_MS:
        time //= 1000
    if not 0 < time < _LATEST_MS:
        raise DecodeError(f"{time} is not a time")
    return time
