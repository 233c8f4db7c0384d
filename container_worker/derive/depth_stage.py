"""Depth: the tops of the books of `orderbook` (design.md §4, rule 8).

orderbook ─► DepthFold ─► depth
"""

from collections.abc import Mapping

from container_worker.derive.fold_stage import Due, Folded, Plan
from container_worker.derive.marked_consumer import Start
from container_worker.derive.symbols import Symbols
from container_worker.kafka_consumer import Partition
from marketdata import codec
from marketdata.depth_fold import DepthFold
from marketdata.tick_key import OFFSET
from marketdata.topics import DAY_MS, DEPTH, HOUR_MS, ORDERBOOK

GROUP = "derive-depth"
LOOK_BACK_MS = DAY_MS + HOUR_MS
"""A first start reads so much of the past: every book is stated once a day."""


def plan(symbols: Symbols) -> Plan:
    """What the stage of depth reads and writes."""

    def begin(starts: Mapping[Partition, Start]) -> dict[Partition, Folded]:
        return {partition: _folded(symbols) for partition in starts}

    return Plan("depth", GROUP, (ORDERBOOK,), begin, LOOK_BACK_MS)


def _folded(symbols: Symbols) -> Folded:
    fold = DepthFold(symbols.of)
    return Folded(fold, lambda now, live: _records(fold, now, is_live=live))


def _records(fold: DepthFold, now_ms: int, *, is_live: bool) -> Due:
    for top in fold.due(now_ms, is_live=is_live):
        headers = [*top.headers, (OFFSET, b"%d" % top.offset)]
        yield codec.Record(DEPTH.name, top.key, codec.encode(top.message), headers), None
