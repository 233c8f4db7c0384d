"""From an event source's batch of `candles` to the newest state of each candle in it.

event ─► records ─► mark | poison | CandleRecord ─► the newest of each candle
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from functions.events import KafkaEvent, KafkaRecord, read
from functions.logic.candle_items import (
    DIGITS,
    LAST_MS,
    CandleRecord,
    PairSource,
    supersedes,
)
from marketdata import codec
from marketdata.client_messages import MAX_NAME_LENGTH
from marketdata.decimals import plain
from marketdata.errors import DecodeError
from marketdata.messages import Candle

MAX_DIGITS = 40
"""The longest number that is kept, so that a full answer fits into Lambda's 6 MB."""


@dataclass(slots=True)
class CandleBatch:
    """What a batch held: `newest` has one state of each candle, by the keys of its item."""

    records: int = 0
    marks: int = 0
    poison: int = 0
    newest: dict[tuple[str, str], CandleRecord] = field(default_factory=dict)

    @property
    def pairs(self) -> set[PairSource]:
        """The pairs that the candles are of."""
        return {
            PairSource(one.candle.source, one.candle.pair, one.ticker)
            for one in self.newest.values()
        }


def read_candles(event: Mapping[str, Any], topic_id: str) -> CandleBatch:
    """Understand a batch; what cannot be understood is counted as poison and passed over."""
    batch = CandleBatch()
    for records in read(event, KafkaEvent).records.values():
        for raw in records:
            batch.records += 1
            _take(batch, raw, topic_id)
    return batch


def _take(batch: CandleBatch, raw: object, topic_id: str) -> None:
    try:
        record = msgspec.convert(raw, KafkaRecord)
        value = _bytes(record.value)
        if codec.is_mark(value):
            batch.marks += 1
            return
        state = _state(record, value, topic_id)
    except (DecodeError, msgspec.ValidationError):
        batch.poison += 1
        return
    before = batch.newest.get(state.key)
    if before is None or supersedes(state, before):
        batch.newest[state.key] = state


def _state(record: KafkaRecord, value: bytes, topic_id: str) -> CandleRecord:
    exchange, ticker = codec.split_key(_bytes(record.key))
    epoch = codec.parse_headers(_headers(record.headers)).epoch
    candle = codec.decode_candle(value)
    if candle.source != exchange:
        raise DecodeError("the candle's source is not the exchange of its key")
    if not 0 <= candle.timestamp <= LAST_MS:
        raise DecodeError("the candle's start is no usable time")
    if max(len(candle.pair), len(ticker), len(candle.interval)) > MAX_NAME_LENGTH:
        raise DecodeError("the candle's pair, ticker or interval is too long")
    return CandleRecord(_plain(candle), ticker, topic_id, record.offset, epoch)


def _plain(candle: Candle) -> Candle:
    """The same with exponents written out. Raises DecodeError for what is no number."""
    texts = {name: plain(bytes(getattr(candle, name)).decode()) for name in DIGITS}
    if max(map(len, texts.values())) > MAX_DIGITS:
        raise DecodeError(f"a number of more than {MAX_DIGITS} characters")
    raw = {name: msgspec.Raw(text.encode()) for name, text in texts.items()}
    return msgspec.structs.replace(candle, **raw)


def _headers(
    given: Iterable[Mapping[str, Sequence[int]]],
) -> list[tuple[str, bytes | None]]:
    """An event has Java's bytes, from -128 to 127."""
    return [
        (name, bytes(byte & 0xFF for byte in raw)) for one in given for name, raw in one.items()
    ]


def _bytes(text: str | None) -> bytes:
    if text is None:
        raise DecodeError("a record without key or value")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError("a record that is not base64") from None
