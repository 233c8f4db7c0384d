"""Stockbit's bytes to outcomes: any bytes give outcomes or a DecodeError (protocols 2).

frame ─► flat, or field 10 of a wrapper ─► body text ─► one side of a book ─► BookState
"""

import re
from typing import Literal, NamedTuple

import msgspec

from container_worker.exchanges.outcomes import (
    BookState,
    Clock,
    Heartbeat,
    Outcome,
    Refused,
    Unknown,
)
from container_worker.exchanges.stockbit import wire
from container_worker.exchanges.stockbit.protobuf_wire import LENGTH, Field, decode_fields
from marketdata import topics
from marketdata.decimals import plain
from marketdata.errors import DecodeError
from marketdata.instruments import Instrument, symbol_of
from marketdata.messages import DepthSnapshot, Level

EXCHANGE = "stockbit"
SIDES = {"BUY": "BUY", "BID": "BUY", "SELL": "SELL", "OFFER": "SELL"}
"""The side words of the guide and of the wire, and the side that they mean."""

Side = Literal["BUY", "SELL"]
Outcomes = tuple[Outcome, ...]

_NUMBER = r"(?:0|[1-9][0-9]{0,39}+)"
_PLAIN_LEVELS = re.compile(rf"(?:{_NUMBER};{_NUMBER};{_NUMBER}(?:\||$))*+")
"""Levels as Stockbit prints them; what does not match is looked at number by number."""


class OrderBookMessage(msgspec.Struct, frozen=True):
    """One side of a ticker's book, whole, as `decode_orderbook_message` gives it.

    `levels` are `(price, lots, value)` of a `BUY|…` or `SELL|…` body, and `(price, orders,
    shares)` of a `#O|…` one: the exchange's own numbers, in its order. The timestamps are
    fields 5 and 9 as sent (0 or empty where there is none), the numbers are 0 where the layout
    has none. `switch_reset` is field 7: that the sequence numbers begin anew, by its name.
    """

    ticker: str
    side: Side
    levels: list[Level]
    timestamp1: int | str
    timestamp2: int | str
    sequence_number: int = 0
    order_book_id: int = 0
    board: int = 0
    switch_reset: bool = False


class _Moment(NamedTuple):
    ms: int
    clock: Clock


def decode_flat(frame: bytes, received_ns: int) -> Outcomes:
    """The outcomes of a frame on a socket whose messages nobody numbers: `u` is 0.

    Raises:
        DecodeError: the frame is no message of either layout.
    """
    message = decode_orderbook_message(frame)
    if not isinstance(message, OrderBookMessage):
        return (message,)
    return (_state(message, 0, received_ns),)


def decode_channel(frame: bytes, received_ns: int) -> Outcomes:
    """The outcomes of a frame of the channel layout; `u` is its sequence number.

    Raises:
        DecodeError: the frame is no message of either layout, or a book without a number.
    """
    message = decode_orderbook_message(frame)
    if not isinstance(message, OrderBookMessage):
        return (message,)
    if not message.sequence_number:
        raise DecodeError("an order book without a sequence number (is STOCKBIT_WIRE right?)")
    return (_state(message, message.sequence_number, received_ns),)


def decode_orderbook_message(
    data: bytes,
) -> OrderBookMessage | Heartbeat | Refused | Unknown:
    """What one binary message says, in the flat layout or the wrapped one, told by itself.

    Fields that are not known are passed over.

    Raises:
        DecodeError: the bytes are no protobuf message, or its order book is none.
    """
    fields = decode_fields(data)
    texts = {field.number: field.value for field in fields if field.wire_type == LENGTH}
    if wire.ORDER_BOOK in texts:
        return _wrapped_order_book(fields)
    if 2 in texts and (1 in texts or bytes(texts[2]).startswith((b"BUY", b"SELL", b"#O|"))):
        return _order_book(fields)
    return _notice(fields, texts)


def _wrapped_order_book(fields: list[Field]) -> OrderBookMessage:
    books = [field.value for field in fields if field.number == wire.ORDER_BOOK]
    if len(books) != 1:
        raise DecodeError("a message with more than one order book")
    return _order_book(decode_fields(bytes(books[0])))


def _notice(
    fields: list[Field], texts: dict[int, int | bytes]
) -> Heartbeat | Refused | Unknown:
    if 2 in texts:
        decode_fields(bytes(texts[2]))
        return Heartbeat()
    if 7 in texts:
        error = wire.read_error(bytes(texts[7]))
        return Refused(f"{error.code} {error.message}"[:200])
    if not fields:
        return Unknown("an empty message")
    name = wire.WRAPPED.get(fields[0].number, f"field {fields[0].number}")
    return Unknown(f"{name} was not asked for")


def _order_book(fields: list[Field]) -> OrderBookMessage:
    seen = wire.read_order_book(fields)
    word, code, levels = _split_body(seen.body)
    side = SIDES.get(word)
    if side is None:
        raise DecodeError(f"{word[:20]!r} is not a side of a book")
    ticker = seen.stock_code or code
    if wire.TICKER.fullmatch(ticker) is None:
        raise DecodeError(f"{ticker[:20]!r} is not a ticker")
    if code and code != ticker:
        raise DecodeError(f"the body is of {code[:20]!r}, the message of {ticker!r}")
    return OrderBookMessage(
        ticker=ticker,
        side="BUY" if side == "BUY" else "SELL",
        levels=_levels(levels),
        timestamp1=seen.datetime,
        timestamp2=seen.itch_incoming_time,
        sequence_number=seen.sequence_number,
        order_book_id=seen.order_book_id,
        board=seen.board,
        switch_reset=bool(seen.switch_reset),
    )


def _split_body(body: str) -> tuple[str, str, str]:
    """Side word, code where the body has one, and the levels' text."""
    code = ""
    if body.startswith("#O|"):
        _, _, rest = body.partition("|")
        code, _, body = rest.partition("|")
    word, _, levels = body.partition("|")
    return word, code, levels


def _levels(text: str) -> list[Level]:
    """The levels, every text a plain decimal."""
    parts = [tuple(part.split(";")) for part in text.split("|") if part]
    if _PLAIN_LEVELS.fullmatch(text):
        return list(parts)
    return [_level(part) for part in parts]


def _level(part: tuple[str, ...]) -> Level:
    if len(part) != 3:
        raise DecodeError(f"a level has {len(part)} numbers instead of 3")
    level = tuple(map(plain, part))
    if any(number.startswith("-") for number in level):
        raise DecodeError("a level has a negative number")
    return level


def _state(message: OrderBookMessage, number: int, received_ns: int) -> BookState:
    moment = _event_time(message, received_ns // 1_000_000)
    is_bids = message.side == "BUY"
    snapshot = DepthSnapshot(
        E=moment.ms,
        s=message.ticker,
        u=number,
        b=message.levels if is_bids else [],
        a=[] if is_bids else message.levels,
        x=EXCHANGE,
        side="b" if is_bids else "a",
    )
    resets = message.switch_reset
    return BookState(topics.DEPTH_SNAPSHOTS, moment.clock, snapshot, resets=resets)


def _event_time(message: OrderBookMessage, received_ms: int) -> _Moment:
    """Field 5, else 9; the time of receipt only where neither was sent."""
    sent = [stamp for stamp in (message.timestamp1, message.timestamp2) if stamp]
    for stamp in sent:
        found = wire.time_ms(stamp, received_ms)
        if found is not None:
            return _Moment(found, "exchange")
    if sent:
        raise DecodeError(f"{str(sent[0])[:40]!r} is not a time")
    return _Moment(received_ms, "received")


def instrument(ticker: str) -> Instrument | None:
    """A share, which is its own symbol; None for what is no code of the exchange."""
    if wire.TICKER.fullmatch(ticker) is None:
        return None
    return Instrument(EXCHANGE, ticker, symbol_of(ticker, ""), ticker, "")
