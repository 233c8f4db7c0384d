"""Stage `archive`: Kafka to daily CSV objects, each a pure function of its topic."""

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from container_worker import log
from container_worker.archive.stage import ArchiveStage
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.object_store import ObjectStore, s3_client
from container_worker.settings import ArchiveSettings
from container_worker.topic_ids import topic_ids
from marketdata.archive_layout import FOLDED
from marketdata.errors import StoreError, StoreUnavailable

GROUP = "archive"
ABANDONED_AFTER = timedelta(hours=1)


def run(settings: ArchiveSettings, stop: threading.Event) -> int:
    """Archives until `stop`; returns the exit code: 1 when a partition had to be left.

    Raises:
        TopicMismatch: a topic is missing or has another partition count (rule 3).
        BrokerError: Kafka does not answer at the start, or refuses.
        StoreError: there is no such bucket, or it may not be used.
    """
    store = ObjectStore(settings.bucket, s3_client())
    with suppress(StoreUnavailable):  # the loop waits for it, and says so
        store.check()
        _abort_abandoned(store)
    consumer = KafkaConsumer(settings.kafka, group=GROUP, topics=FOLDED, held=True)
    try:
        ids = topic_ids(settings.kafka, FOLDED)
        log.event("archive.started", bucket=settings.bucket, topics=list(ids))
        stage = ArchiveStage(settings, store, consumer, ids)
        stage.run(stop)
    finally:
        consumer.close()
    log.event("archive.ended", partitions_stopped=len(stage.halted))
    return 1 if stage.halted else 0


def _abort_abandoned(store: ObjectStore) -> None:
    """Throws away the parts of uploads that a killed archiver left; nobody needs them."""
    before = datetime.now(UTC) - ABANDONED_AFTER
    for upload in store.uploads("data/"):
        if upload.begun < before:
            with suppress(StoreError):
                store.abort(upload.path, upload.id)
