"""The end of a topic that derive writes, read when it begins a partition: what was sent.

ticks[p], candles[p], last records ─► seed of what is folded
"""

import threading
import time
from collections.abc import Iterable, Mapping

from container_worker import log
from container_worker.kafka_consumer import ConsumedRecord, KafkaConsumer, LogRange, Partition
from container_worker.log_ranges import log_ranges
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerUnavailable
from marketdata.topics import TICKS, Topic

TAIL_RECORDS = 20_000
TAIL_SECONDS = 10.0
PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 1.0
_GROUP = "derive-sent"


def read_sent(
    kafka: KafkaSettings,
    numbers: Iterable[int],
    stop: threading.Event,
    topic: Topic = TICKS,
) -> list[ConsumedRecord]:
    """The newest records of these partitions of `topic`, each partition's in order.

    At most `TAIL_RECORDS` a partition. When the brokers do not give them within
    `PATIENCE_SECONDS`, or at `stop`, what has come is returned: then values may be sent twice,
    and none is lost.

    Raises:
        BrokerError: the topic may not be read.
    """
    partitions = [Partition(topic.name, number) for number in numbers]
    until_s = time.monotonic() + PATIENCE_SECONDS
    while partitions:
        consumer = KafkaConsumer(kafka, group=_GROUP)
        try:
            return _read(consumer, log_ranges(kafka, _GROUP, partitions))
        except BrokerUnavailable as error:
            log.event("derive.sent_unknown", level="warning", error=str(error))
        finally:
            consumer.close()
        if time.monotonic() > until_s or stop.wait(_PAUSE_SECONDS):
            break
    return []


def _read(
    consumer: KafkaConsumer, ranges: Mapping[Partition, LogRange]
) -> list[ConsumedRecord]:
    missing: dict[Partition, int] = {}
    for partition, (begin, end) in ranges.items():
        if begin < end:
            consumer.seek(partition, max(begin, end - TAIL_RECORDS))
            missing[partition] = end
    records: list[ConsumedRecord] = []
    deadline = time.monotonic() + TAIL_SECONDS
    while missing and time.monotonic() < deadline:
        polled = consumer.poll()
        for record in polled.records:
            records.append(record)
            partition = Partition(record.topic, record.partition)
            if record.offset + 1 >= missing.get(partition, 0):
                missing.pop(partition, None)
        for partition in polled.out_of_range:
            missing.pop(partition, None)
    if missing:
        log.event("derive.sent_incomplete", level="warning", partitions=len(missing))
    return records
