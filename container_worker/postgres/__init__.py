"""The stage `postgres`: the contract events of the topic `events` become rows of a table.

    events ─► PostgresStage ─► one transaction a batch: rows and the place reached ─► commit

The place reached is a row of the same transaction, so that the table and what is still to be
read never disagree, whatever is killed or restored from a backup. The group's commit follows
and is for those who watch the lag.
"""

import threading

from container_worker import log
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.postgres.database import Database, connect_first
from container_worker.postgres.settings import PostgresSettings
from container_worker.postgres.stage import PostgresStage
from container_worker.topic_ids import topic_ids
from marketdata.topics import EVENTS, Topic


def run(settings: PostgresSettings, stop: threading.Event, topic: Topic = EVENTS) -> int:
    """Saves until `stop`; the exit code.

    Raises:
        InputError: the server refuses the login or the database, the table does not fit, or
            the topic is not as `marketdata.topics` says.
        StoreUnavailable: the server did not answer at the start.
        BrokerError: Kafka refused; BrokerUnavailable when it did not answer at the start.
    """
    database = Database(settings.database)
    try:
        if not connect_first(database, stop):
            return 0
        consumer = KafkaConsumer(
            settings.kafka, group=settings.group, topics=(topic,), held=True
        )
        try:
            [topic_id] = topic_ids(settings.kafka, (topic,)).values()
            log.event("postgres.started", group=settings.group, **settings.database.place)
            PostgresStage(consumer, database, topic_id).run(stop)
        finally:
            if not consumer.close():
                log.event("postgres.group_not_left", level="warning")
    finally:
        database.close()
    return 0
