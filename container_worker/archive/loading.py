"""Opening partitions in the background, while the others go on.

partition ─► Loader.begin ─► Loading.future ─► Opened
"""

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from container_worker import log
from container_worker.archive.loss_telemetry import LossTelemetry
from container_worker.archive.opening import Opened, open_partition
from container_worker.archive.outage import Outage, Patience
from container_worker.archive.workers import Workers
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.kafka_records import Partition
from container_worker.object_store import ObjectStore
from marketdata.errors import BrokerUnavailable

if TYPE_CHECKING:
    from concurrent.futures import Future

BROKER_WAIT_S = 1.0
BROKER_SAID_S = 30.0


@dataclass(frozen=True, slots=True)
class Loading:
    """A partition on its way; `given_up` ends it."""

    future: "Future[Opened | None]"
    given_up: threading.Event


class Loader:
    """Loads checkpoints, and waits for Kafka or the store when they do not answer."""

    def __init__(
        self,
        store: ObjectStore,
        consumer: KafkaConsumer,
        topic_ids: dict[str, str],
        *,
        workers: Workers,
        outage: Outage,
        losses: LossTelemetry,
    ) -> None:
        self._store = store
        self._consumer = consumer
        self._topic_ids = topic_ids
        self._workers = workers
        self._outage = outage
        self._losses = losses
        self._said_s = -BROKER_SAID_S

    def begin(self, partition: Partition, *, anew: bool = False) -> Loading:
        """Loads in another thread; `anew` as in `open_partition`."""
        given_up = threading.Event()
        job = partial(self._load, partition, given_up, anew=anew)
        return Loading(self._workers.submit(job), given_up)

    def _load(
        self, partition: Partition, given_up: threading.Event, *, anew: bool
    ) -> Opened | None:
        while not given_up.is_set():
            try:
                span = self._consumer.log_range(partition)
            except BrokerUnavailable as error:
                self._say(error)
                given_up.wait(BROKER_WAIT_S)
                continue
            patience = Patience(self._outage, given_up)
            topic_id = self._topic_ids[partition.topic]
            opened = open_partition(self._store, partition, topic_id, span, patience, anew=anew)
            if opened is not None and opened.gone is not None:
                self._losses.tell(partition, opened.gone, opened.fold.state.units)
            return opened
        return None

    def _say(self, error: BrokerUnavailable) -> None:
        """One line now and then, whatever the number of partitions that wait."""
        now_s = time.monotonic()
        if now_s - self._said_s >= BROKER_SAID_S:
            self._said_s = now_s
            log.event("archive.broker_unavailable", level="warning", detail=str(error))
