"""Follows what flows to clients, by itself and without a group's offsets.

    ticks, candles, depth, from near their ends ─► Newest        topics' ids ─► ring table

Kafka away: it says so once, tries again each second, and the keeper goes on without it.
"""

import threading
import time
from collections.abc import Callable

from container_worker import log
from container_worker.kafka_consumer import KafkaConsumer, Partition
from container_worker.kafka_topics import check_topics
from container_worker.keep.decisions import Flows
from container_worker.keep.newest import Newest
from container_worker.log_ranges import log_ranges
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerUnavailable, StoreUnavailable, TapedeckError
from marketdata.topics import CANDLES, DEPTH, TICKS

GROUP = "keep"
FOLLOWED = (TICKS, CANDLES, DEPTH)
PARTITIONS = tuple(
    Partition(topic.name, number) for topic in FOLLOWED for number in range(topic.partitions)
)
TAIL_RECORDS = 1_000
"""So many of a partition's last records are read at the start, for values that rest since."""
QUIET_S = 10.0
"""After so long without any record Kafka is asked whether it is there."""
IDS_S = 600.0
PAUSE_S = 1.0
POLL_S = 0.2
CLOSE_S = 1.0
"""A call to Kafka that takes longer is left behind: it ends with the process."""
ANSWER_S = 3.0


class Following:
    """A thread that keeps a `Newest` up to date, and writes the topics' ids now and then.

    Args:
        kafka: How to reach the brokers.
        newest: What it fills.
        write_ids: Called at the start and every `IDS_S`; StoreUnavailable is tried again.
    """

    def __init__(
        self, kafka: KafkaSettings, newest: Newest, write_ids: Callable[[], None]
    ) -> None:
        self._kafka = kafka
        self._newest = newest
        self._write_ids = write_ids
        self._stop = threading.Event()
        self._away = False
        self._next_ids_s = 0.0
        self._store_away = False
        self._failure: TapedeckError | None = None
        self._next: dict[Partition, int] = {}
        self._since_ms: int | None = None
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends; waits a moment for what is under way."""
        self._stop.set()
        self._thread.join(CLOSE_S)

    def flows(self) -> Flows:
        """When names last had something.

        Raises:
            TopicMismatch: a topic is not as `marketdata.topics` says.
            BrokerError: Kafka refuses; StoreError: the table of ids does.
        """
        if self._failure is not None:
            raise self._failure
        if not self._thread.is_alive():
            raise RuntimeError("the thread that follows Kafka ended by itself")
        return Flows(self._since_ms, self._newest.flowed_ms)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except BrokerUnavailable as error:
                self._since_ms = None
                if not self._away:
                    self._away = True
                    log.event("keep.kafka_unavailable", level="warning", error=str(error))
                self._stop.wait(PAUSE_S)
            except TapedeckError as error:
                self._failure = error
                return

    def _follow(self) -> None:
        check_topics(self._kafka, FOLLOWED, ANSWER_S)
        consumer = KafkaConsumer(self._kafka, group=GROUP)
        try:
            for partition, (begin, end) in log_ranges(self._kafka, GROUP, PARTITIONS).items():
                tail = max(begin, end - TAIL_RECORDS)
                # Never back: an older value must not stand for the newest, not for a moment.
                consumer.seek(partition, max(tail, self._next.get(partition, 0)))
            self._since_ms = _now_ms()
            if self._away:
                self._away = False
                log.event("keep.kafka_back")
            heard_s = time.monotonic()
            while not self._stop.is_set():
                self._see_to_ids()
                if self._poll(consumer):
                    heard_s = time.monotonic()
                elif time.monotonic() - heard_s > QUIET_S:
                    log_ranges(self._kafka, GROUP, PARTITIONS[:1])
                    heard_s = time.monotonic()
        finally:
            consumer.close()

    def _poll(self, consumer: KafkaConsumer) -> bool:
        polled = consumer.poll(seconds=POLL_S)
        for partition in polled.out_of_range:
            begin, end = log_ranges(self._kafka, GROUP, [partition])[partition]
            consumer.seek(partition, max(begin, end - TAIL_RECORDS))
        now_ms = _now_ms()
        for record in polled.records:
            self._newest.take(record.topic, record.key, record.value, record.headers, now_ms)
            self._next[Partition(record.topic, record.partition)] = record.offset + 1
        return bool(polled.records)

    def _see_to_ids(self) -> None:
        if time.monotonic() < self._next_ids_s:
            return
        try:
            self._write_ids()
        except StoreUnavailable as error:
            self._next_ids_s = time.monotonic() + QUIET_S
            if not self._store_away:
                self._store_away = True
                log.event("keep.ids_unwritten", level="warning", error=str(error))
            return
        self._store_away = False
        self._next_ids_s = time.monotonic() + IDS_S


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
