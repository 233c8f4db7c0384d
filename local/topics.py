"""Creates the Kafka topics with their exact partition counts (rules 2 and 3).

bootstrap address ─► topics
"""

import time
from collections.abc import Iterable
from typing import Any

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from marketdata.errors import BrokerUnavailable, TopicMismatch
from marketdata.topics import TOPICS, Topic

TIMEOUT_MS = 30_000
DESCRIBE_S = 5.0
PAUSE_S = 0.1


def create_topics(bootstrap: str, topics: Iterable[Topic] = tuple(TOPICS.values())) -> None:
    """Create what is missing, and check what is there.

    Raises:
        TopicMismatch: a topic has another partition count, which never changes (rule 3).
        BrokerUnavailable: Kafka does not answer.
    """
    wanted = {topic.name: topic for topic in topics}
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, request_timeout_ms=TIMEOUT_MS, client_id="tapedeck-up"
        )
        try:
            there = set(admin.list_topics())
            _create(admin, [topic for name, topic in wanted.items() if name not in there])
            described = _described(admin, sorted(wanted))
        finally:
            admin.close()
    except KafkaError as error:
        raise BrokerUnavailable(f"Kafka at {bootstrap} does not answer: {error}") from error
    for one in described:
        count = len(one["partitions"])
        if count != wanted[one["name"]].partitions:
            raise TopicMismatch(
                f"the topic {one['name']} has {count} partitions instead of "
                f"{wanted[one['name']].partitions}: it was made by something else; choose "
                "another --data folder"
            )


def _described(admin: KafkaAdminClient, names: list[str]) -> list[dict[str, Any]]:
    """A topic that was just made has no partitions for a moment."""
    until_s = time.monotonic() + DESCRIBE_S
    while True:
        described: list[dict[str, Any]] = admin.describe_topics(names)
        if all(one["partitions"] for one in described) or time.monotonic() > until_s:
            return described
        time.sleep(PAUSE_S)


def _create(admin: KafkaAdminClient, topics: list[Topic]) -> None:
    if not topics:
        return
    new = [
        NewTopic(
            name=topic.name,
            num_partitions=topic.partitions,
            replication_factor=1,
            topic_configs=topic.configs,
        )
        for topic in topics
    ]
    try:
        admin.create_topics(new, timeout_ms=TIMEOUT_MS)
    except TopicAlreadyExistsError:
        return
