"""The archive's peer: the sink that one writes in an afternoon, on well-known libraries.

kafka-python, json, csv.writer, Decimal, one boto3 put_object a ticker at the end. It follows no
ids, keeps no state, and a kill in the middle leaves nothing.
"""

import csv
import io
import json
import time
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import boto3
from kafka import KafkaConsumer, TopicPartition


def depth_rows(message):
    """The rows of one delta."""
    moment = datetime.fromtimestamp(message["E"] / 1000, UTC).isoformat(timespec="milliseconds")
    for levels, side in ((message["b"], "BUY"), (message["a"], "SELL")):
        for price, quantity in levels:
            total = (Decimal(price) * Decimal(quantity)).normalize()
            yield moment, price, quantity, f"{total:f}", side


def trade_rows(message):
    """The row of one trade."""
    yield (
        message["timestamp"],
        message["symbol"],
        message["price"],
        message["quantity"],
        message["side"],
        message["trade_id"],
        message["source"],
    )


def measure(servers, endpoint, bucket, topic, *, rows_of, count):
    """Records a second, from the first one read until all objects are written."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic.name, number) for number in range(topic.partitions)])
    consumer.seek_to_beginning()
    files = defaultdict(io.StringIO)
    seen, begun_s = 0, None
    while seen < count:
        for batch in consumer.poll(timeout_ms=1_000, max_records=2_000).values():
            begun_s = begun_s or time.monotonic()
            for record in batch:
                message = json.loads(record.value, parse_float=str)
                csv.writer(files[record.key]).writerows(rows_of(message))
            seen += len(batch)
    store = boto3.client("s3", endpoint_url=endpoint)
    for key, rows in files.items():
        name = f"plain/{topic.name}/{key.decode()}.csv"
        store.put_object(Bucket=bucket, Key=name, Body=rows.getvalue().encode())
    consumer.close()
    return count / (time.monotonic() - begun_s)
