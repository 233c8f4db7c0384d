"""The newest value of everything that flows, and when each name last had one (rule 22).

    records of ticks, candles, depth ─► Newest ─► a late subscriber's texts, the names' flow

One thread takes, others read. At most `MAX_VALUES` values are kept; those that have not moved
for longest go first.
"""

import threading
from typing import NamedTuple

from marketdata import client_protocol, codec
from marketdata.codec import HeaderFields
from marketdata.errors import DecodeError
from marketdata.messages import Candle, DepthTop, Tick
from marketdata.subscriptions import names_of
from marketdata.topics import CANDLES, DEPTH, TICKS

MAX_VALUES = 100_000
MAX_NAMES = 100_000

Value = Tick | Candle | DepthTop


class Wish(NamedTuple):
    """What a subscriber asked for: a feed's name at a pace or interval; both may be empty.

    `bare`: candles as sources/crypto-streams.md prints them. `source`: of that exchange only.
    """

    feed: str
    name: str
    rate: str = ""
    interval: str = ""
    bare: bool = False
    source: str = ""


class _Kind(NamedTuple):
    feed: str
    name: str
    variant: str


class Newest:
    """What a keeper knows of the topics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[_Kind, str], Value] = {}
        self._sources: dict[_Kind, set[str]] = {}
        self.flowed_ms: dict[str, int] = {}
        """When each name last had a message, in UTC ms; to be read with `get` only."""

    def take(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: list[tuple[str, bytes | None]] | None,
        now_ms: int,
    ) -> bool:
        """Takes one record, in the order of its partition; False when it is none of ours."""
        try:
            fields = codec.parse_headers(headers)
            exchange, ticker = codec.split_key(key)
            found = _decoded(topic, value, fields)
        except DecodeError:
            return False
        if found is None:
            return True
        symbol, variants = _described(found)
        with self._lock:
            for name in names_of(symbol, ticker):
                self._flow(name, now_ms)
                for variant in variants:
                    self._keep(_Kind(topic, name, variant), exchange, found)
        return True

    def texts(self, wish: Wish) -> list[bytes]:
        """The newest message of each exchange that is wanted; none when nothing is known.

        Raises:
            DecodeError: a number of the value is none.
        """
        variant = wish.rate if wish.feed == TICKS.name else wish.interval
        kind = _Kind(wish.feed, wish.name, "" if wish.feed == DEPTH.name else variant)
        with self._lock:
            sources = sorted(self._sources.get(kind, ()))
            found = [self._values[kind, one] for one in sources if wish.source in ("", one)]
        return [_encoded(value, wish) for value in found]

    def _flow(self, name: str, now_ms: int) -> None:
        self.flowed_ms.pop(name, None)
        self.flowed_ms[name] = now_ms
        if len(self.flowed_ms) > MAX_NAMES:
            del self.flowed_ms[next(iter(self.flowed_ms))]

    def _keep(self, kind: _Kind, source: str, value: Value) -> None:
        self._values.pop((kind, source), None)
        self._values[kind, source] = value
        self._sources.setdefault(kind, set()).add(source)
        if len(self._values) > MAX_VALUES:
            oldest = next(iter(self._values))
            del self._values[oldest]
            sources = self._sources[oldest[0]]
            sources.discard(oldest[1])
            if not sources:
                del self._sources[oldest[0]]


def _decoded(topic: str, value: bytes, fields: HeaderFields) -> Value | None:
    """The message of a record; None for what goes to nobody."""
    if fields.backfill or codec.is_mark(value):
        return None
    if topic == TICKS.name:
        return codec.decode_tick(value)
    return codec.decode_candle(value) if topic == CANDLES.name else codec.decode_depth(value)


def _described(value: Value) -> tuple[str, tuple[str, ...]]:
    """The symbol, and the paces or intervals that the value stands for."""
    if isinstance(value, Candle):
        return value.pair, (value.interval,)
    return value.symbol, value.rates if isinstance(value, Tick) else ("",)


def _encoded(value: Value, wish: Wish) -> bytes:
    if isinstance(value, Tick):
        return client_protocol.price_update(value, wish.name)
    if isinstance(value, DepthTop):
        return client_protocol.depth(value, wish.name)
    encode = client_protocol.bare_candle if wish.bare else client_protocol.candle
    return encode(value, wish.name)
