"""What the archive's tests share: topics made anew, archivers as processes, a bucket."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid

import boto3
from confluent_kafka import Consumer, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from container_worker.object_store import ObjectStore, s3_client
from marketdata.archive_layout import FOLDED

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local-secret",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def make_topics(bootstrap):
    """The archived topics, empty and with new ids."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    names = [topic.name for topic in FOLDED]
    there = admin.list_topics(timeout=10).topics
    old = [name for name in names if name in there]
    if old:
        for future in admin.delete_topics(old).values():
            future.result(10)
    until = time.monotonic() + 20
    for topic in FOLDED:
        new = NewTopic(topic.name, topic.partitions, 1, config=topic.configs)
        while True:
            try:
                admin.create_topics([new])[topic.name].result(10)
                break
            except Exception:
                if time.monotonic() > until:
                    raise
    while not set(names) <= set(
        AdminClient({"bootstrap.servers": bootstrap}).list_topics().topics
    ):
        assert time.monotonic() < until, "the topics are not there"


class Rig:
    """One bucket, the topics, and the archivers that a test starts."""

    def __init__(self, bootstrap, endpoint, log):
        self.bootstrap = bootstrap
        self.endpoint = endpoint
        self.bucket = f"archive-{uuid.uuid4().hex[:12]}"
        self.s3 = boto3.client("s3", endpoint_url=endpoint)
        self.s3.create_bucket(Bucket=self.bucket)
        self.store = ObjectStore(self.bucket, s3_client(endpoint))
        self.log = log
        self.processes = []
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 2,
                "log_level": 0,
            }
        )
        make_topics(bootstrap)
        self.ends = None
        self.witness = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "archive", "log_level": 0}
        )

    def send(self, records):
        """Produces records in order, and waits until the broker has them."""
        for topic, key, headers, value in records:
            while True:
                try:
                    self.producer.produce(topic, value, key, headers=headers)
                    break
                except BufferError:
                    self.producer.poll(0.1)
        assert self.producer.flush(30) == 0
        self.ends = None

    def start(self, flush_seconds=0.2, **variables):
        """Starts an archiver."""
        environment = os.environ | CREDENTIALS | {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA_AUTH": "none",
            "ARCHIVE_BUCKET": self.bucket,
            "ARCHIVE_FLUSH_SECONDS": str(flush_seconds),
            "AWS_ENDPOINT_URL_S3": self.endpoint,
        } | variables  # fmt: skip
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "container_worker", "archive"],
                env=environment,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def stop(self, process):
        """SIGTERM; returns the exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(25)

    def close(self):
        """Kills what still runs."""
        self.witness.close()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def objects(self, prefix="data/"):
        """Path → bytes of the CSV objects."""
        found = {}
        for path in self.store.paths(prefix):
            if path.endswith(".csv"):
                found[path] = self.s3.get_object(Bucket=self.bucket, Key=path)["Body"].read()
        return found

    def stored_bytes(self):
        """The bytes of all objects together."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix="data/"
        )
        return sum(one["Size"] for page in pages for one in page.get("Contents", ()))

    def log_ends(self):
        """The end offsets of all partitions."""
        return {
            TopicPartition(topic.name, number): self.witness.get_watermark_offsets(
                TopicPartition(topic.name, number), timeout=10
            )[1]
            for topic in FOLDED
            for number in range(topic.partitions)
        }

    def committed(self, partitions):
        """The group's offsets."""
        try:
            found = self.witness.committed(list(partitions), timeout=10)
            return {TopicPartition(one.topic, one.partition): one.offset for one in found}
        except KafkaException as error:  # a coordinator that is only just being found
            if not error.args[0].retriable():
                raise
            return dict.fromkeys(partitions, -1)

    def is_durable(self):
        """Whether the group has committed every record."""
        if self.ends is None:
            self.ends = {at: end for at, end in self.log_ends().items() if end}
        ends = self.ends
        done = self.committed(ends)
        return all(done[at] >= end for at, end in ends.items())

    def topic_ids(self):
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        asked = admin.describe_topics(TopicCollection([topic.name for topic in FOLDED]))
        return {name: str(one.result(10).topic_id) for name, one in asked.items()}
