"""The topics at the brokers, compared with what `marketdata.topics` says (rule 3)."""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from container_worker.kafka_client import ErrorLog, client_config, translate, unreachable
from container_worker.settings import KafkaSettings
from marketdata.errors import TopicMismatch
from marketdata.topics import Topic

ANSWER_SECONDS = 10.0
"""How long a start waits for the brokers before it gives up."""


def check_topics(
    kafka: KafkaSettings, topics: Iterable[Topic], seconds: float = ANSWER_SECONDS
) -> None:
    """Refuses topics that are missing or have another partition count (rule 3).

    Raises:
        TopicMismatch: naming all of them.
        BrokerUnavailable: no broker answered within `seconds`.
        BrokerError: the brokers refused the login.
    """
    counts = partition_counts(kafka, seconds)
    faults = []
    for topic in topics:
        count = counts.get(topic.name)
        if count is None:
            faults.append(
                f"the topic {topic.name} does not exist (it needs {topic.partitions})"
            )
        elif count != topic.partitions:
            faults.append(
                f"the topic {topic.name} has {count} partitions, not {topic.partitions}"
            )
    if faults:
        raise TopicMismatch(f"Kafka at {kafka.bootstrap_servers}: {'; '.join(faults)}")


def create_missing(kafka: KafkaSettings, topics: Iterable[Topic]) -> None:
    """Creates those topics that do not exist, for a job whose topics are its own.

    Raises:
        BrokerUnavailable: no broker answered.
        BrokerError: a topic cannot be created.
    """
    present = partition_counts(kafka)
    wanted = [topic for topic in topics if topic.name not in present]
    if not wanted:
        return
    new = [
        NewTopic(topic.name, topic.partitions, replication_factor=-1, config=topic.configs)
        for topic in wanted
    ]
    admin = _admin(kafka, ErrorLog())
    for name, future in admin.create_topics(new).items():
        try:
            future.result(ANSWER_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                doing = f"the topic {name} cannot be created"
                raise translate(error.args[0], doing) from error


def partition_counts(kafka: KafkaSettings, seconds: float = ANSWER_SECONDS) -> dict[str, int]:
    """The topics that exist, with their partition counts. Raises as `check_topics`."""
    errors = ErrorLog()
    admin = _admin(kafka, errors)
    try:
        metadata = admin.list_topics(timeout=seconds)
    except KafkaException as error:
        admin.poll(0)  # serves the client's error events, which say why
        raise unreachable(kafka, error.args[0], errors, seconds) from error
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def _admin(kafka: KafkaSettings, errors: ErrorLog) -> AdminClient:
    try:
        return AdminClient(client_config(kafka, errors))
    except KafkaException as error:
        raise translate(error.args[0], "Kafka's client does not start") from error
