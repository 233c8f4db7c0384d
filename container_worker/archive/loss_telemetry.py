"""What Kafka deleted before it was archived, told on `queue-events` (docs/completeness.md).

partition, offsets, its units ─► an `error` that goes on, one a ticker and type
"""

import threading
from collections import defaultdict
from collections.abc import Iterable

from container_worker.kafka import Producer
from container_worker.kafka_records import LogRange, Partition
from container_worker.settings import KafkaSettings, QueueSettings
from container_worker.telemetry import Telemetry
from marketdata.archive_state import split_unit

ARCHIVE_ID = "archive"
"""The `queue_id` of what the archive tells."""
FLUSH_S = 5.0


class LossTelemetry:
    """Has a producer from its first loss on: mostly there is none.

    `tell` may be called from any thread, and waits up to 5 s for Kafka.
    """

    def __init__(self, kafka: KafkaSettings, queue: QueueSettings) -> None:
        self._kafka = kafka
        self._queue = queue
        self._producer: Producer | None = None
        self._lock = threading.Lock()

    def tell(self, partition: Partition, gone: LogRange, units: Iterable[str]) -> None:
        """Tells that a partition's offsets `gone` came to nobody; `units` as in its state.

        Raises:
            BrokerError: Kafka's client does not start.
        """
        text = (
            f"Kafka deleted the offsets {gone.begin} to {gone.end - 1} of {partition.topic}"
            f"[{partition.number}] before they were archived"
        )
        concerned: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for unit in units:
            exchange, ticker, type_ = split_unit(unit)
            concerned[exchange].append((ticker, type_))
        producer = self._connected()
        for exchange, its in concerned.items():
            telemetry = Telemetry(producer, self._queue, ARCHIVE_ID, its)
            telemetry.error(f"{exchange}: {text}", goes_on=True)
        producer.flush(FLUSH_S)

    def _connected(self) -> Producer:
        with self._lock:
            if self._producer is None:
                expendable = [self._queue.events_topic]
                self._producer = Producer(self._kafka, expendable=expendable)
            return self._producer
