"""Whether a replay has arrived: every frame served, every record durable (design.md §9).

exchanges' overview, Kafka's offsets ─► done or not
"""

import threading
from collections.abc import Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from local.replayed_streams import overview
from marketdata.topics import ARCHIVED, PRICES, TICKS, Topic

READERS: Mapping[str, tuple[Topic, ...]] = {
    "archive": ARCHIVED,
    "derive": (PRICES,),
    "push": (TICKS,),
}
POLL_S = 1.0
QUIET_POLLS = 3

Offsets = dict[tuple[str, int], int]


def behind(targets: Offsets, committed: Offsets) -> Offsets:
    """The partitions that a group has not committed up to their target."""
    return {
        partition: target
        for partition, target in targets.items()
        if target > 0 and committed.get(partition, 0) < target
    }


class EndOfReplay:
    """Follows a `--once` replay to its end.

    When the simulators have sent its last frame, capture may still hold some: the ends of the
    topics are taken as the goal once they have not moved for three polls. The goal then stands
    still, so that the watermarks of every later minute do not move it on.
    """

    def __init__(self, overview_url: str, bootstrap: str) -> None:
        self._overview_url = overview_url
        self._bootstrap = bootstrap

    def wait(self, stop: threading.Event) -> bool:
        """Block until it is done (True) or `stop` is set (False)."""
        while not stop.wait(POLL_S):
            found = overview(self._overview_url)
            if found and found.done:
                break
        while not stop.is_set():
            try:
                return self._follow(stop)
            except (KafkaError, OSError):  # a broker that restarts; begin again
                stop.wait(POLL_S)
        return False

    def _follow(self, stop: threading.Event) -> bool:
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap)
        admin = KafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            topics = [topic for topics in READERS.values() for topic in topics]
            goal = self._settled(stop, consumer, topics)
            for group, read in READERS.items():
                names = {topic.name for topic in read}
                targets = {at: end for at, end in goal.items() if at[0] in names}
                while behind(targets, _committed(admin, group)):
                    if stop.wait(POLL_S):
                        return False
            return not stop.is_set()
        finally:
            admin.close()
            consumer.close()

    @staticmethod
    def _settled(
        stop: threading.Event, consumer: KafkaConsumer, topics: list[Topic]
    ) -> Offsets:
        partitions = [
            TopicPartition(topic.name, number)
            for topic in topics
            for number in range(topic.partitions)
        ]
        before: Offsets = {}
        quiet = 0
        while quiet < QUIET_POLLS and not stop.wait(POLL_S):
            ends = consumer.end_offsets(partitions)
            now = {(at.topic, at.partition): end for at, end in ends.items()}
            quiet = quiet + 1 if now == before else 0
            before = now
        return before


def _committed(admin: KafkaAdminClient, group: str) -> Offsets:
    found = admin.list_group_offsets(group)[group]
    return {(at.topic, at.partition): meta.offset for at, meta in found.items()}
