"""The embedded servers are real, listen on this machine only, and keep their data."""

import boto3
import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from local import embedded

pytestmark = pytest.mark.services


def test_kafka_keeps_what_is_written(kafka):
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic("kept", 3, 1)])
    producer = KafkaProducer(bootstrap_servers=kafka)
    sent = producer.send("kept", b"value", key=b"key").get(10)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=kafka, consumer_timeout_ms=10_000)
    consumer.assign([TopicPartition("kept", sent.partition)])
    consumer.seek_to_beginning()
    assert next(consumer).value == b"value"
    consumer.close()
    admin.close()


def test_dynamodb_answers(dynamodb):
    client = boto3.client("dynamodb", endpoint_url=dynamodb)
    assert "TableNames" in client.list_tables()


def test_s3_has_the_bucket(s3):
    names = [b["Name"] for b in boto3.client("s3", endpoint_url=s3).list_buckets()["Buckets"]]
    assert "tapedeck" in names  # beside those of other tests


def test_nothing_listens_beyond_this_machine(kafka, dynamodb, s3):
    addresses = {
        connection.laddr.ip
        for child in psutil.Process().children(recursive=True)
        for connection in child.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_tables_are_there_after_a_restart(tmp_path):
    for round_ in range(2):
        with embedded.dynamodb(tmp_path) as endpoint:
            client = boto3.client("dynamodb", endpoint_url=endpoint)
            if round_ == 0:
                client.create_table(
                    TableName="kept",
                    AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                    BillingMode="PAY_PER_REQUEST",
                )
                client.put_item(TableName="kept", Item={"pk": {"S": "one"}})
            assert client.scan(TableName="kept")["Count"] == 1


def test_kafka_has_its_records_and_cluster_id_after_a_restart(tmp_path):
    ids = set()
    for round_ in range(2):
        with embedded.kafka(tmp_path) as bootstrap:
            admin = KafkaAdminClient(bootstrap_servers=bootstrap)
            ids.add(admin.describe_cluster()["cluster_id"])
            if round_ == 0:
                admin.create_topics([NewTopic("kept", 1, 1)])
                producer = KafkaProducer(bootstrap_servers=bootstrap)
                producer.send("kept", b"value").get(10)
                producer.close()
            else:
                consumer = KafkaConsumer(bootstrap_servers=bootstrap)
                assert consumer.end_offsets([TopicPartition("kept", 0)]) == {("kept", 0): 1}
                consumer.close()
            admin.close()
    assert len(ids) == 1
