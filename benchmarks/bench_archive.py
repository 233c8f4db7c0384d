"""Rows a second from a topic to durable objects: one archiver, real Kafka, S3Proxy.

Beside it, on the same records in the same run, the sink of `plain_sink`.

The records are in Kafka before the archiver starts. It is timed from the first one that is
folded until all are in durable objects, checkpoints are written and offsets committed.

    python benchmarks/bench_archive.py
"""

import os
import platform
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import boto3
import plain_sink
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from measuring import versions

from container_worker.archive.stage import ArchiveStage
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.object_store import ObjectStore, s3_client
from container_worker.settings import ArchiveSettings, KafkaSettings
from container_worker.topic_ids import topic_ids
from local import embedded
from marketdata import codec
from marketdata.archive_layout import FOLDED
from marketdata.messages import DepthUpdate
from marketdata.times import iso_ms
from marketdata.topics import ORDERBOOK, PRICES

BUCKET = "bench"
TICKERS = ("BTCUSDT", "ETHUSDT", "LTCUSDT", "XRPUSDT")
START_MS = 1_722_500_000_000
FRAMES = 25_000
TRADES = 300_000
TARGET_ROWS = 150_000
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local-secret",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def depth_records(count):
    """Deltas of 20 levels a side, from 256 made before."""
    rng = random.Random(1)

    def level(around):
        quantity = "0.00000000" if rng.random() < 0.3 else f"{rng.random() * 5:.8f}"
        return (f"{around + rng.random() * 100:.8f}", quantity)

    sides = [[level(60_000) for _ in range(20)] for _ in range(256)]
    for index in range(count):
        ticker = TICKERS[index % len(TICKERS)]
        number = index // len(TICKERS) + 1
        delta = DepthUpdate(
            E=START_MS + number * 100,
            s=ticker,
            U=number * 10,
            u=number * 10 + 9,
            b=sides[index % 256],
            a=sides[(index + 7) % 256],
            x="binance",
        )
        base = codec.base_headers("ws_diff_depth", "bench", 1)
        yield ticker, codec.record_headers(base, delta.u, 1, b"exchange"), codec.encode(delta)


def trade_records(count):
    """Trades of eight decimals."""
    for index in range(count):
        ticker = TICKERS[index % len(TICKERS)]
        number = index // len(TICKERS) + 1
        value = (
            f'{{"type":"price_update","symbol":"{ticker}","price":60000.{index:08d},'
            f'"volume":null,"timestamp":"{iso_ms(START_MS + number)}","source":"binance",'
            f'"trade_id":{number},"quantity":0.{index:08d},"side":"BUY"}}'
        )
        base = codec.base_headers("ws_trades", "bench", 1)
        yield ticker, codec.record_headers(base, number, 1, b"exchange"), value.encode()


def produce(servers, topic, records):
    """Sends records and waits until the broker has them."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
        }
    )
    for ticker, headers, value in records:
        while True:
            try:
                producer.produce(topic, value, f"binance:{ticker}", headers=headers)
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush()


def measure(servers, endpoint, topic, records, count):
    """Records a second, and in a second of processor time, from the first to all durable."""
    produce(servers, topic.name, records)
    kafka = KafkaSettings(servers)
    store = ObjectStore(BUCKET, s3_client(endpoint))
    consumer = KafkaConsumer(kafka, group="archive", topics=FOLDED, held=True)
    settings = ArchiveSettings(kafka, BUCKET)
    stage = ArchiveStage(settings, store, consumer, topic_ids(kafka, FOLDED))
    stop = threading.Event()
    thread = threading.Thread(target=stage.run, args=(stop,))
    thread.start()
    wait(lambda: stage.folded(topic.name) > 0)
    before, begun_s, begun_cpu_s = (
        stage.folded(topic.name),
        time.monotonic(),
        time.process_time(),
    )
    wait(lambda: stage.folded(topic.name) >= count)
    stop.set()
    thread.join()
    seconds, cpu_s = time.monotonic() - begun_s, time.process_time() - begun_cpu_s
    consumer.close()
    return (count - before) / seconds, (count - before) / cpu_s


def wait(condition, seconds=300):
    """Blocks until it is so."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"the archiver was not done within {seconds} s")
        time.sleep(0.005)


def run(folder):
    """Both topics, one after the other."""
    os.environ.update(CREDENTIALS)
    with embedded.kafka(folder / "kafka") as servers, embedded.s3(folder / "s3") as endpoint:
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        admin = AdminClient({"bootstrap.servers": servers})
        new = [NewTopic(one.name, one.partitions, 1, config=one.configs) for one in FOLDED]
        for future in admin.create_topics(new).values():
            future.result(10)
        time.sleep(1)  # the broker tells its new topics to itself
        depth = measure(servers, endpoint, ORDERBOOK, depth_records(FRAMES), FRAMES)
        trades = measure(servers, endpoint, PRICES, trade_records(TRADES), TRADES)
        peers = [
            plain_sink.measure(servers, endpoint, BUCKET, topic, rows_of=rows_of, count=count)
            for topic, rows_of, count in (
                (ORDERBOOK, plain_sink.depth_rows, FRAMES),
                (PRICES, plain_sink.trade_rows, TRADES),
            )
        ]
    print("\narchive: rows from the topic to durable objects")
    print(f"  Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    print(f"  {versions('confluent-kafka', 'boto3', 'msgspec', 'kafka-python')}")
    for name, rates, peer, rows in (
        ("order book, 40 rows a record", depth, peers[0], 40),
        ("trades", trades, peers[1], 1),
    ):
        wall, cpu = (rate * rows for rate in rates)
        print(f"  {name:<30}{wall:>10,.0f} rows/s")
        print(f"  {'':<30}{cpu:>10,.0f} rows in a second of processor time")
        print(f"  {'  the plain sink':<30}{peer * rows:>10,.0f} rows/s")
        print(f"  {'  ratio':<30}{wall / (peer * rows):>10.1f}", flush=True)
    return depth[0] * 40 >= TARGET_ROWS


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(0 if run(Path(temporary)) else 1)
