"""Candles: of minutes from trades, and the longer ones from minutes (rule 27).

prices ─► TradeFold ─┐
                     ├─► candles
candles ─► RollUp ───┘
"""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from container_worker.derive.fold_stage import Due, Folded, Plan
from container_worker.derive.marked_consumer import Start
from container_worker.derive.symbols import Symbols
from container_worker.exchanges import REGISTRY
from container_worker.kafka_consumer import Partition
from container_worker.sent_ticks import read_sent
from container_worker.settings import KafkaSettings
from marketdata import codec
from marketdata.candle_fold import TradeFold
from marketdata.candle_periods import Said
from marketdata.candle_rollup import RollUp
from marketdata.candle_values import MINUTE
from marketdata.codec import base_headers, record_headers
from marketdata.errors import DecodeError
from marketdata.messages import Candle
from marketdata.topics import CANDLE_UPDATES, CANDLES, DERIVED_CANDLES, PRICES, TRADES

GROUP = "derive-candles"
QUEUE_ID = "derive"
DERIVED = ("derived", b"1")


def sources() -> frozenset[str]:
    """The exchanges that tell trades and no candles."""
    return frozenset(
        name
        for name, adapter in REGISTRY.items()
        if TRADES in adapter.types and CANDLE_UPDATES not in adapter.types
    )


def plan(kafka: KafkaSettings, symbols: Symbols, stop: threading.Event) -> Plan:
    """What the stage of candles reads and writes."""
    made_here = sources()

    def begin(starts: Mapping[Partition, Start]) -> dict[Partition, Folded]:
        folded = {one: _longer(symbols, start) for one, start in starts.items()}
        minutes: dict[int, TradeFold] = {}
        for partition, start in starts.items():
            if partition.topic == PRICES.name:
                fold = TradeFold(made_here, start.mark, is_cut=start.is_cut)
                minutes[partition.number] = fold
                folded[partition] = _folded(fold, symbols)
        for number, key, candle in _sent(kafka, minutes, stop):
            minutes[number].seed(key, candle)
        return folded

    return Plan("candles", GROUP, (PRICES, CANDLES), begin)


def _longer(symbols: Symbols, start: Start) -> Folded:
    return _folded(RollUp(start.mark, is_cut=start.is_cut), symbols)


def _folded(fold: TradeFold | RollUp, symbols: Symbols) -> Folded:
    writer = _Writer(symbols)
    return Folded(fold, lambda now, live: writer.records(fold.due(now, is_live=live)))


class _Writer:
    """Makes records of what a partition's fold says.

    Its epoch is when the partition became ours: later than that of whoever had it before.
    """

    def __init__(self, symbols: Symbols) -> None:
        self._base = base_headers(DERIVED_CANDLES, QUEUE_ID, int(time.time() * 1000))
        self._symbols = symbols

    def records(self, due: Iterable[Said]) -> Due:
        for said in due:
            if isinstance(said.message, Candle):
                self._symbols.note(said.key, said.message.pair)
            headers = record_headers(self._base, said.id, said.received_ns, b"exchange")
            value = codec.encode(said.message)
            record = codec.Record(CANDLES.name, said.key, value, [*headers, DERIVED])
            yield record, said.acked


def _sent(
    kafka: KafkaSettings, numbers: Collection[int], stop: threading.Event
) -> Iterator[tuple[int, bytes, Candle]]:
    """The minutes that an earlier life has written last; the two topics' partitions agree."""
    for record in read_sent(kafka, numbers, stop, topic=CANDLES):
        try:
            is_ours = codec.parse_headers(record.headers).type == DERIVED_CANDLES
            if not is_ours or codec.is_mark(record.value):
                continue
            candle = codec.decode_candle(record.value)
        except DecodeError:
            continue  # not ours, whoever wrote it
        if candle.interval == MINUTE:
            yield record.partition, record.key or b"", candle
