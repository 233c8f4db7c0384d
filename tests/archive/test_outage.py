"""A store that goes away: nothing is lost, memory stays bounded, one line an outage."""

import logging
import threading

import pytest

from container_worker.archive.stage import ArchiveStage
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.settings import ArchiveSettings, KafkaSettings
from marketdata.archive_layout import FOLDED
from marketdata.errors import StoreUnavailable

pytestmark = pytest.mark.services

BOUND = 96 * 1024


class AwayStore:
    """The real store, except while it is `away` (a full disk answers 507 just so)."""

    def __init__(self, store):
        self._store = store
        self.away = threading.Event()

    def __getattr__(self, name):
        def call(*args, **kwargs):
            if self.away.is_set():
                raise StoreUnavailable("InsufficientStorage (507)")
            return getattr(self._store, name)(*args, **kwargs)

        return call


def test_an_outage_loses_nothing_and_holds_no_more_than_its_bound(
    rig, seeded_tape, wait_until, caplog
):
    caplog.set_level(logging.INFO, logger="tapedeck")
    tape = seeded_tape(31, 3000)
    kafka, store = KafkaSettings(rig.bootstrap), AwayStore(rig.store)
    consumer = KafkaConsumer(kafka, group="archive", topics=FOLDED, held=True)
    settings = ArchiveSettings(kafka, rig.bucket, flush_seconds=0.1, buffer_bytes=BOUND)
    stage = ArchiveStage(settings, store, consumer, rig.topic_ids())
    stop = threading.Event()
    thread = threading.Thread(target=stage.run, args=(stop,))
    thread.start()
    try:
        rig.send(tape.records[:500])
        wait_until(lambda: any(rig.store.paths("data/")), 30, "a first object")
        store.away.set()
        rig.send(tape.records[500:])
        wait_until(lambda: stage._paused, 30, "reading is paused")
        held = sum(one.held_bytes for one in list(stage._open.values()))
        assert held < 10 * BOUND, "at most what one poll brings is above the bound"
        store.away.clear()
        wait_until(rig.is_durable, 40, "every record durable and committed")
    finally:
        stop.set()
        thread.join()
        consumer.close()
    assert rig.objects() == tape.objects()
    said = [record.message for record in caplog.records]
    assert said.count("archive.store_unavailable") == said.count("archive.store_back") == 1
