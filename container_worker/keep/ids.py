"""Tells the functions which life of each topic they push from (rule 21).

topic ids of Kafka ─► TOPIC#<topic> / ID in the ring table
"""

from typing import TYPE_CHECKING

from container_worker.keep.store_errors import store_errors
from container_worker.settings import KafkaSettings
from container_worker.topic_ids import topic_ids
from marketdata.ring_items import ID, topic_pk
from marketdata.topics import CANDLES, DEPTH, EVENTS, PRICES, TICKS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PUSHED = (TICKS, PRICES, CANDLES, DEPTH, EVENTS)


def write_ids(kafka: KafkaSettings, client: "DynamoDBClient", table: str) -> None:
    """Writes the ids that the topics have now; needs `dynamodb:PutItem`.

    Raises:
        BrokerUnavailable: no broker answered; BrokerError: a topic cannot be described.
        StoreUnavailable: DynamoDB did not answer; StoreError: it refused.
    """
    for topic, topic_id in topic_ids(kafka, PUSHED).items():
        item = {
            "pk": {"S": topic_pk(topic)},
            "sk": {"S": ID},
            "topic_id": {"S": topic_id},
        }
        with store_errors("writing the topics' ids"):
            client.put_item(TableName=table, Item=item)
