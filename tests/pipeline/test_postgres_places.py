"""The stage `postgres` over a scripted consumer: no polled record is passed over."""

import pytest

from container_worker.kafka_records import ConsumedRecord, Partition, Polled
from container_worker.postgres.database import Saved
from container_worker.postgres.stage import PostgresStage
from marketdata import codec
from marketdata.errors import BrokerUnavailable

TOPIC = "events"
FIRST, SECOND = Partition(TOPIC, 0), Partition(TOPIC, 1)


class Consumer:
    """Delivers `polls` in turn; `refused` are partitions whose next seek fails."""

    def __init__(self, polls):
        self.polls = list(polls)
        self.refused = {SECOND}

    def poll(self, _records, _seconds):
        return self.polls.pop(0)

    def seek(self, partition, offset):
        if partition in self.refused:
            self.refused.remove(partition)
            raise BrokerUnavailable(f"{partition} cannot be read from {offset}")

    def commit(self, offsets, *, wait):
        assert not wait


class Database:
    """Keeps the ids and the places."""

    def __init__(self):
        self.ids, self.places = [], {}

    def connect(self):
        """It is there."""

    def reached(self, _topic_id):
        return dict(self.places)

    def save(self, rows, _topic_id, reached):
        self.ids += [row.id for row in rows]
        self.places |= reached
        return Saved(new=len(rows))


@pytest.fixture
def records(event):
    """`records(partition, *offsets)`: one event each."""

    def make(partition, *offsets):
        values = [codec.encode(event(100 * partition.number + at)) for at in offsets]
        return [
            ConsumedRecord(*partition, at, b"events", value, None)
            for at, value in zip(offsets, values, strict=True)
        ]

    return make


@pytest.fixture
def wanted(event):
    """`wanted(partition, *offsets)`: the ids of those events."""
    return lambda part, *offsets: [event(100 * part.number + at).id for at in offsets]


def run(polls):
    """The database after a step for each poll."""
    database = Database()
    stage = PostgresStage(Consumer(polls), database, "topic-id")
    for _ in polls:
        stage.step()
    return database


def test_records_that_came_while_another_partition_could_not_be_placed_are_saved(
    records, wanted
):
    database = run(
        [
            Polled([], assigned=(FIRST,)),
            Polled(records(FIRST, 0, 1), assigned=(SECOND,)),
            Polled(records(FIRST, 2)),
            Polled(records(SECOND, 0)),
        ]
    )
    assert database.ids == wanted(FIRST, 0, 1, 2) + wanted(SECOND, 0)
    assert database.places == {0: 3, 1: 1}


def test_records_fetched_before_their_partition_was_placed_are_read_again(records, wanted):
    database = run(
        [
            Polled(records(FIRST, 0, 1), assigned=(FIRST,)),
            Polled(records(FIRST, 0, 1, 2)),
        ]
    )
    assert database.ids == wanted(FIRST, 0, 1, 2)
