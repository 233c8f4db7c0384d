"""Kafka keys, headers and values: nobody else serialises what goes into a topic.

Evolution: a new field has a default and is ignored by old readers; a field never changes its
type or meaning; what would need that is a new topic name.

    message ─ encode_* ─► bytes ─► topic ─► bytes ─ decode_* ─► message
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import msgspec

from marketdata.errors import DecodeError
from marketdata.messages import (
    BookMessage,
    Candle,
    ContractEvent,
    ControlMessage,
    DepthTop,
    Mark,
    PriceUpdate,
    Telemetry,
    Tick,
)

T = TypeVar("T")
Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """What a producer sends: ready bytes, no partition (murmur2 of the key decides; rule 1)."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


class HeaderFields(NamedTuple):
    """The headers of a data record, parsed; what is absent is empty, zero or false.

    `backfill`: the record fills a gap that was told before it; its id is below the last one.
    """

    type: str = ""
    queue_id: str = ""
    epoch: int = 0
    id: str = ""
    received_ns: int = 0
    time: str = ""
    ids: str = ""
    backfill: bool = False


_encoder = msgspec.json.Encoder()
_book: msgspec.json.Decoder[BookMessage] = msgspec.json.Decoder(BookMessage)
_mark: msgspec.json.Decoder[Mark] = msgspec.json.Decoder(Mark)
_price = msgspec.json.Decoder(PriceUpdate)
_tick = msgspec.json.Decoder(Tick)
_event = msgspec.json.Decoder(ContractEvent)
_candle = msgspec.json.Decoder(Candle)
_depth = msgspec.json.Decoder(DepthTop)
_control: msgspec.json.Decoder[ControlMessage] = msgspec.json.Decoder(ControlMessage)
_telemetry = msgspec.json.Decoder(Telemetry)

encode = _encoder.encode
"""Any message of `marketdata.messages` as the UTF-8 JSON of its topic."""


def key(exchange: str, ticker: str) -> bytes:
    """The partition key of every data topic."""
    return f"{exchange}:{ticker}".encode()


def split_key(raw: bytes | None) -> tuple[str, str]:
    """The exchange and the ticker of a data record's key.

    Raises:
        DecodeError: not `exchange:ticker`.
    """
    exchange, colon, ticker = (raw or b"").decode("utf-8", "replace").partition(":")
    if not exchange or not colon or not ticker:
        raise DecodeError("the record's key is not exchange:ticker")
    return exchange, ticker


def base_headers(stream_type: str, queue_id: str, epoch: int) -> Headers:
    """The headers that all records of a capture unit share; add `record_headers` to each."""
    return [
        ("type", stream_type.encode()),
        ("queue_id", queue_id.encode()),
        ("epoch", b"%d" % epoch),
    ]


def record_headers(base: Headers, id_: int | str, received_ns: int, time: bytes) -> Headers:
    """The complete headers of one record; `time` is `b"exchange"` or `b"received"`."""
    id_bytes = b"%d" % id_ if isinstance(id_, int) else id_.encode()
    return [
        *base,
        ("id", id_bytes),
        ("received_ns", b"%d" % received_ns),
        ("time", time),
    ]


OURS = ("ids", b"ours")
"""Added where capture numbers what the exchange does not (rule 7)."""
BACKFILL = ("backfill", b"1")
"""Added to what was fetched later; see `HeaderFields`."""


def parse_headers(headers: Iterable[tuple[str, bytes | None]] | None) -> HeaderFields:
    """The headers that we know; unknown ones are passed over.

    Raises:
        DecodeError: `epoch` or `received_ns` is not a number.
    """
    found = {name: raw.decode("utf-8", "replace") for name, raw in headers or () if raw}
    try:
        return HeaderFields(
            type=found.get("type", ""),
            queue_id=found.get("queue_id", ""),
            epoch=int(found.get("epoch", "0")),
            id=found.get("id", ""),
            received_ns=int(found.get("received_ns", "0")),
            time=found.get("time", ""),
            ids=found.get("ids", ""),
            backfill="backfill" in found,
        )
    except ValueError:
        raise DecodeError("a header that must be a number is none") from None


def _decode(decoder: "msgspec.json.Decoder[T]", raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(str(error)) from error


def decode_book(raw: bytes) -> BookMessage:
    """A record of `orderbook`. Raises DecodeError."""
    return _decode(_book, raw)


def decode_mark(raw: bytes) -> Mark:
    """A gap or watermark of any data topic. Raises DecodeError."""
    return _decode(_mark, raw)


def decode_price(raw: bytes) -> PriceUpdate:
    """A trade of `prices`. Raises DecodeError."""
    return _decode(_price, raw)


def decode_tick(raw: bytes) -> Tick:
    """A record of `ticks`. Raises DecodeError."""
    return _decode(_tick, raw)


def decode_candle(raw: bytes) -> Candle:
    """A record of `candles`. Raises DecodeError."""
    return _decode(_candle, raw)


def decode_event(raw: bytes) -> ContractEvent:
    """A record of `events`. Raises DecodeError."""
    return _decode(_event, raw)


def decode_depth(raw: bytes) -> DepthTop:
    """A record of `depth`. Raises DecodeError."""
    return _decode(_depth, raw)


def decode_control(raw: bytes) -> ControlMessage:
    """A record of `queue-control`. Raises DecodeError."""
    return _decode(_control, raw)


def decode_telemetry(raw: bytes) -> Telemetry:
    """A record of `queue-events`. Raises DecodeError."""
    return _decode(_telemetry, raw)


def is_mark(raw: bytes) -> bool:
    """Whether a value of `prices`, `candles` or `events` is a gap or a watermark.

    Only marks have the member `e` first: our encoder writes the tag before all else.
    """
    return raw.startswith(b'{"e":')
