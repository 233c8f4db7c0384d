"""What Kafka deleted before it was archived, told on `queue-events` (docs/completeness.md).

partition, offsets, its units ─► an `error` that goes on, one a ticker and type
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

from container_worker.kafka import Producer
from container_worker.kafka_records import LogRange, Partition
from container_worker.settings import KafkaSettings, QueueSettings
from container_worker.telemetry import Sender, Telemetry
from marketdata.archive_state import split_unit

ARCHIVE_ID = "archive"
"""The `queue_id` of what the archive tells."""
FLUSH_S = 5.0


class FlushedSender(Sender, Protocol):
    """The part of `kafka.Producer` that is needed here."""

    def flush(self, seconds: float) -> int:
        """As `kafka.Producer.flush`."""
        ...


class LossTelemetry:
    """Has a producer from its first loss on: mostly there is none.

    `tell` may be called from any thread, and waits up to 5 s for Kafka.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        queue: QueueSettings,
        connect: Callable[[KafkaSettings, str], FlushedSender] | None = None,
    ) -> None:
        self._kafka = kafka
        self._queue = queue
        self._connect = connect or _connect
        self._producer: FlushedSender | None = None
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
        with self._lock:
            producer = self._producer = self._producer or self._connect(
                self._kafka, self._queue.events_topic
            )
            for exchange, its in concerned.items():
                telemetry = Telemetry(producer, self._queue, ARCHIVE_ID, its)
                telemetry.error(f"{exchange}: {text}", goes_on=True)
            producer.flush(FLUSH_S)


def _connect(kafka: KafkaSettings, events_topic: str) -> Producer:
    return Producer(kafka, expendable=[events_topic])
