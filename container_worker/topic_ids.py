"""The ids that tell a topic from another one that had its name before (rule 13)."""

from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from container_worker.kafka_client import client_config, translate
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerUnavailable
from marketdata.topics import Topic

ANSWER_SECONDS = 10.0


def topic_ids(kafka: KafkaSettings, topics: Iterable[Topic]) -> dict[str, str]:
    """The id that each topic got when it was created; a topic made anew has another one.

    Raises:
        BrokerUnavailable: no broker answered.
        BrokerError: a topic cannot be described.
    """
    names = [topic.name for topic in topics]
    try:
        admin = AdminClient(client_config(kafka))
        asked = admin.describe_topics(TopicCollection(names), request_timeout=ANSWER_SECONDS)
        return {name: str(asked[name].result(ANSWER_SECONDS + 1).topic_id) for name in names}
    except KafkaException as error:
        raise translate(error.args[0], "the topics cannot be described") from error
    except TimeoutError as error:
        raise BrokerUnavailable("the topics were not described in time") from error
