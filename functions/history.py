"""Kafka's `candles` into their table: at least once in, the newest state of each kept.

    batch ─► the newest state of each candle ─► conditional puts ─► pairs

Needs `dynamodb:PutItem` on the candles and `dynamodb:GetItem` on the ring. A raised error makes
the event source send the batch again, which is harmless.
"""

import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from functions.candles import TOGETHER, CandlesTable, candles_table
from functions.logic.candle_batch import read_candles
from functions.logic.candle_items import CandleRecord
from functions.tables import ring_table
from functions.telemetry import logger
from marketdata.topics import CANDLES

WRITERS = 16


@functools.cache
def _writers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WRITERS, thread_name_prefix="candles")


def handler(event: Mapping[str, Any], context: object) -> None:  # noqa: ARG001
    """Keep one batch; one log line says what became of it.

    Raises:
        StoreError: DynamoDB failed.
    """
    batch = read_candles(event, ring_table().topic_id(CANDLES.name))
    table = candles_table()
    written = _write(table, list(batch.newest.values()))
    # After their first candles, so that whoever finds a pair finds a candle.
    pairs = sum(_writers().map(table.put_pair, batch.pairs))
    logger.info(
        "kept",
        extra={
            "records": batch.records,
            "candles": len(batch.newest),
            "written": written,
            "marks": batch.marks,
            "poison": batch.poison,
            "new_pairs": pairs,
        },
    )


def _write(table: CandlesTable, records: Sequence[CandleRecord]) -> int:
    """Keep what is newer; returns how many were.

    A full hundred goes in one transaction: a history of a thousand candles is there at once,
    and the few that grow at a time do not pay a transaction's double price.
    """
    hundreds = [records[first : first + TOGETHER] for first in range(0, len(records), TOGETHER)]
    left: list[CandleRecord] = []
    for hundred in hundreds:
        if len(hundred) < TOGETHER or not table.put_together(hundred):
            left += hundred
    return len(records) - len(left) + sum(_writers().map(table.put, left))
