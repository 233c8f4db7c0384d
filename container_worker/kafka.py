"""The one port to Kafka for what the worker writes (rules 1-5).

    Record ─► Producer.send ─► librdkafka's queue ─► broker ─► on_ack

Library errors become `marketdata.errors` at this port and nowhere else.
"""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from container_worker import log
from container_worker.kafka_client import client_config, translate
from container_worker.kafka_topics import check_topics, create_missing, partition_counts
from container_worker.settings import KafkaSettings
from marketdata.codec import Record

if TYPE_CHECKING:
    from marketdata.errors import BrokerError

__all__ = [
    "Acked",
    "Producer",
    "check_topics",
    "client_config",
    "create_missing",
    "partition_counts",
    "producer_config",
    "translate",
]

Acked = Callable[[], None]

_RESERVE = 8
"""One part in eight of the memory bound comes on top for gap and telemetry records (rule 5)."""
_CROWDED = 0.8
_RECORD_COST = 256
"""What a record holds beside its value: key, headers, the library's own bookkeeping."""
_SENDS_A_POLL = 64


def producer_config(kafka: KafkaSettings) -> dict[str, Any]:
    """The producer's promises: idempotent, acks=all, murmur2, never given up (rules 1, 5)."""
    return {
        "acks": "all",
        "batch.size": 1_000_000,
        "compression.type": "lz4",
        "enable.idempotence": True,
        "linger.ms": 5,
        "message.max.bytes": 8 * 1024 * 1024,
        "message.timeout.ms": 0,
        "partitioner": "murmur2_random",
        # Our own count of bytes is the bound; the library's must never come first.
        "queue.buffering.max.kbytes": max(64, kafka.buffer_bytes // 256),
        "queue.buffering.max.messages": 0,
    }


class Producer:
    """An idempotent producer with a memory bound of its own.

    Callbacks run inside `send`, `poll` and `flush`, in the thread that called. Several threads
    may use one producer; records of one key keep the order of their `send`s. A record for one
    of the `expendable` topics that the broker refuses is lost, logged, and ends nothing.
    """

    def __init__(self, kafka: KafkaSettings, *, expendable: Collection[str] = ()) -> None:
        self._expendable = frozenset(expendable)
        self._bound = kafka.buffer_bytes
        self._whole = kafka.buffer_bytes + kafka.buffer_bytes // _RESERVE
        config = client_config(kafka) | producer_config(kafka)
        try:
            self._producer = confluent_kafka.Producer(config)
        except KafkaException as error:
            raise translate(error.args[0], "Kafka's client does not start") from error
        self._lock = threading.Lock()
        self._failure: BrokerError | None = None
        self._since_poll = 0
        self.sent = 0
        self.acked = 0
        self.held_bytes = 0

    @property
    def in_flight(self) -> int:
        """Records that were taken and are not yet acknowledged."""
        return self.sent - self.acked

    @property
    def crowded(self) -> bool:
        """Whether the bound is near, so that nothing more should be read (rule 5)."""
        return self.held_bytes >= self._bound * _CROWDED

    def send(
        self, record: Record, on_ack: Acked | None = None, *, reserved: bool = False
    ) -> bool:
        """Takes a record; `on_ack` is called once when all replicas have it.

        False means that the memory bound is reached and the record was not taken: the caller
        keeps it, polls, and tries again. `reserved` records (gaps, telemetry) have room of
        their own beyond the bound.

        Raises:
            BrokerError: a record was refused, or the producer can no longer keep its order.
        """
        cost = len(record.value) + _RECORD_COST
        if self.held_bytes + cost > (self._whole if reserved else self._bound):
            self.poll()
            return False
        callback = self._delivered if on_ack is None else partial(self._delivered_to, on_ack)
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                on_delivery=callback,
                headers=record.headers,  # type: ignore[arg-type]  # list is invariant
            )
        except BufferError:
            return False
        except KafkaException as error:
            doing = f"a record for {record.topic} was not taken"
            raise translate(error.args[0], doing) from error
        with self._lock:
            self.sent += 1
            self.held_bytes += cost
            self._since_poll += 1
        if self._since_poll >= _SENDS_A_POLL and not reserved:
            self.poll()
        return True

    def poll(self, seconds: float = 0.0) -> None:
        """Serves acknowledgements; waits for the first one up to `seconds`.

        Raises:
            BrokerError: as `send`.
        """
        self._since_poll = 0
        self._producer.poll(seconds)
        if self._failure is not None:
            raise self._failure

    def flush(self, seconds: float) -> int:
        """Waits until all is acknowledged; returns how many records are not, after `seconds`.

        Raises:
            BrokerError: as `send`.
        """
        deadline = time.monotonic() + seconds
        self._producer.flush(max(0.0, seconds))
        while self.in_flight and time.monotonic() < deadline:
            self.poll(0.05)
        if self._failure is not None:
            raise self._failure
        return self.in_flight

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        with self._lock:
            self.acked += 1
            self.held_bytes -= len(message) + _RECORD_COST
        if error is None:
            return
        ours = translate(error, f"a record for {message.topic()} was refused")
        if message.topic() in self._expendable:
            log.event("kafka.refused", level="warning", reason=str(ours))
        elif self._failure is None:
            self._failure = ours

    def _delivered_to(self, on_ack: Acked, error: KafkaError | None, message: Any) -> None:
        self._delivered(error, message)
        if error is None:
            on_ack()
