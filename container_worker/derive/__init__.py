"""Stage `derive`: what follows from the records of capture (design.md §1, §4).

    prices ─► ticks            the main thread (`tick_stage`)
    prices, candles ─► candles a thread (`candle_stage`)
    orderbook ─► depth         a thread (`depth_stage`)

Each has a consumer group, a producer and a commit of its own, so that none waits for another.
"""

import threading

from container_worker import log
from container_worker.derive import candle_stage, depth_stage, tick_stage
from container_worker.derive.fold_stage import FoldStage
from container_worker.derive.symbols import Symbols
from container_worker.kafka import check_topics
from container_worker.settings import DeriveSettings
from marketdata.topics import CANDLES, DEPTH, ORDERBOOK, PRICES, TICKS

__all__ = ["run"]

END_SECONDS = 15.0


def run(settings: DeriveSettings, stop: threading.Event) -> int:
    """Derives until `stop`; the exit code.

    Raises:
        TopicMismatch: a topic is not as `marketdata.topics` says.
        BrokerError: Kafka refused; BrokerUnavailable when it did not answer at the start.
    """
    kafka = settings.kafka
    check_topics(kafka, (PRICES, TICKS, CANDLES, ORDERBOOK, DEPTH))
    symbols = Symbols()
    others = [
        FoldStage(candle_stage.plan(kafka, symbols, stop), kafka, stop),
        FoldStage(depth_stage.plan(symbols), kafka, stop),
    ]
    for one in others:
        one.start()
    try:
        tick_stage.run(kafka, symbols, stop)
    finally:
        stop.set()
        for one in others:
            one.join(END_SECONDS)
    for one in others:
        if one.failure is not None:
            raise one.failure
        if one.is_alive():
            log.event("derive.thread_left", level="warning", thread=one.name)
    return 0
