"""The loop of the stage `postgres`: poll, save, commit; wait while the database is away.

KafkaConsumer ─► rows ─► Database.save ─► commit
"""

import threading
import time
from collections.abc import Iterable

from container_worker import log
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.kafka_records import ConsumedRecord, Partition, Polled
from container_worker.postgres.database import Database, Saved, backoff
from container_worker.postgres.table import Row, row_of
from marketdata import codec
from marketdata.errors import BrokerError, BrokerUnavailable, DecodeError, StoreUnavailable

POLL_RECORDS = 2_000
"""A batch at most; in bytes it is what Kafka's client holds fetched, 32 MB at most."""
POLL_SECONDS = 0.1
SUMMARY_SECONDS = 30.0
_BEGINNING = -2
"""Kafka's own number for the first offset that there is."""


class PostgresStage:
    """Saves what the group assigns, until told to stop.

    While the database is away nothing is read, so nothing is held; then each partition goes on
    at the place that the database itself names.

    Args:
        consumer: Subscribed, and holding what is newly assigned.
        database: Connected.
        topic_id: The id of the subscribed topic.
    """

    def __init__(self, consumer: KafkaConsumer, database: Database, topic_id: str) -> None:
        self._consumer = consumer
        self._database = database
        self._topic_id = topic_id
        self._read: dict[Partition, int] = {}
        self._unplaced: set[Partition] = set()
        self._pauses = backoff()
        self._try_at = 0.0
        self._is_away = False
        self._rejects = 0
        self._totals = Saved()
        self._summary_at = time.monotonic() + SUMMARY_SECONDS

    def run(self, stop: threading.Event) -> None:
        """Works until `stop`; what was not saved then is read again at the next start.

        Raises:
            InputError: the table does not take what it should.
            BrokerError: the topic is gone, or ends before what was read of it.
        """
        while not stop.is_set():
            self.step()
        self._summarise()

    def step(self) -> None:
        """One poll and what follows from it; raises as `run`."""
        polled = self._consumer.poll(POLL_RECORDS, POLL_SECONDS)
        self._follow(polled)
        try:
            if self._is_there():
                # First what was read of placed partitions: nobody would deliver it again.
                self._save(polled.records)
                self._place()
        except StoreUnavailable as error:
            self._lost(error)
        except BrokerUnavailable as error:
            log.event("postgres.kafka_unavailable", level="warning", error=str(error))
        if time.monotonic() >= self._summary_at:
            self._summarise()

    def _follow(self, polled: Polled) -> None:
        for partition in (*polled.lost, *polled.assigned):
            self._read.pop(partition, None)
        self._unplaced.difference_update(polled.lost)
        self._unplaced.update(polled.assigned)
        for partition in polled.out_of_range:
            self._leave_hole(partition)

    def _leave_hole(self, partition: Partition) -> None:
        """The log no longer has what comes next: on from its beginning, and said aloud."""
        wanted = self._read.get(partition, 0)
        try:
            span = self._consumer.log_range(partition)
        except BrokerUnavailable:
            self._unplaced.add(partition)  # read from the same place, it comes here again
            return
        name = f"{partition.topic}[{partition.number}]"
        if wanted > span.end:
            raise BrokerError(
                f"the log of {name} ends at {span.end}, before what the database has of it: "
                "Kafka lost records; start the stage again"
            )
        log.event("postgres.retention", level="error", partition=name, lost_from=wanted,
                  lost_to=span.begin)  # fmt: skip
        self._read[partition] = span.begin
        self._consumer.seek(partition, span.begin)

    def _is_there(self) -> bool:
        if self._is_away and time.monotonic() < self._try_at:
            return False
        self._database.connect()
        if self._is_away:
            log.event("postgres.connected", **self._database.settings.place)
            self._is_away, self._pauses = False, backoff()
        return True

    def _lost(self, error: StoreUnavailable) -> None:
        """Reads nothing more until the database is back and says where to go on."""
        pause = next(self._pauses)
        self._try_at = time.monotonic() + pause
        self._is_away = True
        self._unplaced.update(self._read)
        self._consumer.pause(self._read)
        self._read.clear()
        log.event("postgres.unavailable", level="warning", error=str(error), again_in_s=pause)

    def _place(self) -> None:
        if not self._unplaced:
            return
        reached = self._database.reached(self._topic_id)
        for partition in sorted(self._unplaced):
            offset = reached.get(partition.number, _BEGINNING)
            self._consumer.seek(partition, offset)
            self._read[partition] = max(0, offset)
            self._unplaced.discard(partition)

    def _save(self, records: Iterable[ConsumedRecord]) -> None:
        rows: list[Row] = []
        reached: dict[Partition, int] = {}
        for record in records:
            partition = Partition(record.topic, record.partition)
            if record.offset < self._read.get(partition, record.offset + 1):
                continue  # not placed yet, or fetched before it was placed
            reached[partition] = record.offset + 1
            row = self._row(record)
            if row is not None:
                rows.append(row)
        if not reached:
            return
        places = {partition.number: offset for partition, offset in reached.items()}
        saved = self._database.save(rows, self._topic_id, places)
        self._totals = Saved(*map(sum, zip(self._totals, saved, strict=True)))
        self._read.update(reached)
        self._consumer.commit(reached, wait=False)

    def _row(self, record: ConsumedRecord) -> Row | None:
        try:
            if codec.is_mark(record.value):
                return None
            return row_of(codec.decode_event(record.value))
        except (DecodeError, UnicodeDecodeError):
            self._rejects += 1
            return None

    def _summarise(self) -> None:
        """One line for all that was saved since the last one."""
        self._summary_at = time.monotonic() + SUMMARY_SECONDS
        if any(self._totals) or self._rejects:
            counts = self._totals._asdict()
            log.event("postgres.saved", partitions=len(self._read), rejects=self._rejects,
                      **counts)  # fmt: skip
        self._totals, self._rejects = Saved(), 0
