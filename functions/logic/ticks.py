"""From an event source's batch to the prices that it holds, in their order.

event ─► records ─► poison | other pace | Price
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from functions.events import KafkaEvent, KafkaRecord, read
from marketdata import codec
from marketdata.client_protocol import price_update
from marketdata.errors import DecodeError
from marketdata.messages import Tick
from marketdata.subscriptions import names_of

PACE = "1s"
"""The default pace of `price_update`, as the document describes (design.md §7)."""
OLD_MS = 5_000


@dataclass(frozen=True, slots=True)
class Price:
    """One tick, ready to be sent to the subscribers of its names."""

    key: tuple[str, str]
    texts: Mapping[str, bytes]


@dataclass(slots=True)
class Batch:
    """What a batch held. `oldest_ms` is the time at which its oldest record came to Kafka."""

    records: int = 0
    poison: int = 0
    other_pace: int = 0
    cut: int = 0
    oldest_ms: int | None = None
    prices: list[Price] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names that the prices concern, each once."""
        return list(dict.fromkeys(name for price in self.prices for name in price.texts))


def read_batch(event: Mapping[str, Any], now_ms: int) -> Batch:
    """Understand a batch; what cannot be understood is counted as poison and passed over.

    When its oldest record is more than five seconds old, only the newest price of each key
    is left (rule 22).
    """
    batch = Batch()
    for records in read(event, KafkaEvent).records.values():
        for record in records:
            batch.records += 1
            _take(batch, record)
    if batch.oldest_ms is not None and now_ms - batch.oldest_ms > OLD_MS:
        newest = _newest(batch.prices)
        batch.cut = len(batch.prices) - len(newest)
        batch.prices = newest
    return batch


def _take(batch: Batch, raw: object) -> None:
    try:
        record = msgspec.convert(raw, KafkaRecord)
        exchange, ticker = codec.split_key(_bytes(record.key))
        tick = codec.decode_tick(_bytes(record.value))
        if PACE not in tick.rates:
            batch.other_pace += 1
            return
        price = Price((exchange, ticker), _texts(tick, ticker))
    except (DecodeError, msgspec.ValidationError):
        batch.poison += 1
        return
    batch.prices.append(price)
    if record.timestamp is not None:
        batch.oldest_ms = min(record.timestamp, batch.oldest_ms or record.timestamp)


def _texts(tick: Tick, ticker: str) -> dict[str, bytes]:
    return {name: price_update(tick, name) for name in names_of(tick.symbol, ticker)}


def _bytes(text: str | None) -> bytes:
    if text is None:
        raise DecodeError("a record without key or value")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError("a record that is not base64") from None


def _newest(prices: Sequence[Price]) -> list[Price]:
    """The last price of each key, in the order of those last ones."""
    last = {price.key: number for number, price in enumerate(prices)}
    return [prices[number] for number in sorted(last.values())]
