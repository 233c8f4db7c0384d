"""The capture process with real Kafka: both forms, kills, drains, refusals."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest
from capture_rig import Reader
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from local import embedded, kafka_server
from local.ports import free_ports
from local.processes import Command
from marketdata.topics import TOPICS

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

STREAMS = """
streams:
  - queue_id: {id}
    exchange: binance
    tickers: [BTCUSDT]
    types: [ws_diff_depth, ws_trades]
"""


@pytest.fixture(scope="module")
def broker(kafka):
    """The broker with all topics of ours."""
    admin = AdminClient({"bootstrap.servers": kafka})
    have = admin.list_topics(timeout=10).topics
    new = [
        NewTopic(topic.name, topic.partitions, 1, config=topic.configs)
        for topic in TOPICS.values()
        if topic.name not in have
    ]
    for made in (admin.create_topics(new) if new else {}).values():
        made.result(10)
    return kafka


class Log:
    """Reads topics from where they ended when this was made."""

    def __init__(self, broker, *topics, offset=None):
        self._consumer = Consumer(
            {"bootstrap.servers": broker, "group.id": uuid.uuid4().hex, "log_level": 0}
        )
        partitions = []
        for topic in topics:
            for number in self._partitions(topic):
                partition = TopicPartition(topic, number)
                partition.offset = self._end(partition) if offset is None else offset
                partitions.append(partition)
        self._consumer.assign(partitions)
        self.messages = []

    def _partitions(self, topic):
        """The broker tells a new topic to itself a moment after it said that it is made."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            found = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
            if found and all(one.leader >= 0 for one in found.values()):
                return list(found)
        raise AssertionError(f"{topic} has no partitions")

    def _end(self, partition):
        return self._consumer.get_watermark_offsets(partition, timeout=10)[1]

    def poll(self):
        """Everything so far: (topic, key, headers, value)."""
        while (message := self._consumer.poll(0.05)) is not None:
            if message.error() is not None:
                continue
            self.messages.append(
                (
                    message.topic(),
                    message.key().decode(),
                    dict(message.headers() or []),
                    json.loads(message.value()),
                )
            )
        return self.messages

    def values(self, topic, **members):
        return [
            value
            for name, _, _, value in self.poll()
            if name == topic and all(value.get(key) == want for key, want in members.items())
        ]

    def close(self):
        self._consumer.close()


@pytest.fixture
def follow(broker):
    logs = []

    def open_log(*topics):
        logs.append(Log(broker, *topics))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


@pytest.fixture
def worker(broker):
    """Starts `python -m container_worker capture …`; kills what a test leaves."""
    started = []

    def start(venue, *arguments, **variables):
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BINANCE_", "KAFKA_", "QUEUE_", "SYMBOL", "TYPE"))
        } | {
            "KAFKA_BOOTSTRAP_SERVERS": broker,
            "BINANCE_WS_URL": venue.ws + "/ws",
            "BINANCE_REST_URL": venue.rest,
            **variables,
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "container_worker", "capture", *arguments],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def job(queue_id):
    return {
        "QUEUE_ID": queue_id,
        "SYMBOL": "BTCUSDT",
        "TYPE": "ws_diff_depth",
        "KAFKA_TOPIC": f"{queue_id}-data",
        "TELEMETRY_PRODUCER_ID": f"loader__{queue_id}",
    }


def create(broker, topic, partitions):
    admin = AdminClient({"bootstrap.servers": broker})
    [made] = admin.create_topics([NewTopic(topic, partitions, 1)]).values()
    made.result(10)


def send_stop(broker, queue_id):
    producer = Producer({"bootstrap.servers": broker})
    value = json.dumps({"command": "stop", "queue_id": queue_id})
    producer.produce("queue-control", value.encode(), queue_id.encode())
    assert producer.flush(10) == 0


def test_a_job_runs_until_its_stop_and_says_so(
    broker, exchange, worker, follow, wait_until
) -> None:
    queue_id = f"wf-{uuid.uuid4().hex[:8]}"
    send_stop(broker, queue_id)
    venue, names = exchange(), job(queue_id)
    create(broker, names["KAFKA_TOPIC"], 1)
    log = follow(names["KAFKA_TOPIC"], "queue-events", "orderbook")
    process = worker(venue, **names)
    wait_until(
        lambda: len(log.values(names["KAFKA_TOPIC"], e="depthUpdate")) > 20,
        seconds=30,
        what="deltas in the job's own topic",
    )
    send_stop(broker, "somebody-else")
    send_stop(broker, queue_id)
    assert process.wait(30) == 0
    events = [one for one in log.values("queue-events") if one["queue_id"] == queue_id]
    assert [events[0]["status"], events[-1]["status"]] == ["started", "finished"]
    assert events[-1]["finished"] is True
    written = [
        value
        for value in log.values(names["KAFKA_TOPIC"])
        if value["e"] in {"depthUpdate", "depthSnapshot"}
    ]
    assert events[-1]["records_written"] == len(written)
    assert [key for topic, key, _, _ in log.messages if topic == "orderbook"] == []
    reader = Reader(venue, "BTCUSDT")
    for value in log.values(names["KAFKA_TOPIC"]):
        reader.read(value)
    reader.check()
    assert (reader.verified, reader.holes) == (1, [])


def test_sigterm_drains_and_says_interrupted(
    broker, exchange, worker, follow, wait_until
) -> None:
    queue_id = f"wf-{uuid.uuid4().hex[:8]}"
    names = job(queue_id)
    create(broker, names["KAFKA_TOPIC"], 1)
    log = follow(names["KAFKA_TOPIC"], "queue-events")
    process = worker(exchange(), **names)
    wait_until(lambda: len(log.values(names["KAFKA_TOPIC"])) > 5, seconds=30, what="records")
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(30) == 0
    assert time.monotonic() - began < 20
    assert log.values("queue-events", queue_id=queue_id)[-1]["status"] == "interrupted"


def test_an_unknown_symbol_ends_a_job_with_2_and_one_sentence(
    broker, exchange, worker, follow
) -> None:
    names = job(f"wf-{uuid.uuid4().hex[:8]}") | {"SYMBOL": "BTC-USDT"}
    process = worker(exchange(), **names)
    _, text = process.communicate(timeout=30)
    assert process.returncode == 2
    lines = [line for line in text.splitlines() if not line.startswith("{")]
    assert lines == ["capture: binance does not list BTC-USDT (did you mean BTCUSDT?)"]


def test_a_restricted_location_ends_a_job_with_1_and_what_to_do(
    broker, exchange, worker
) -> None:
    venue = exchange()
    venue.fault(kind="refuse", status=451, where="both", requests=50)
    process = worker(venue, **job(f"wf-{uuid.uuid4().hex[:8]}"))
    _, text = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "HTTP 451, restricted location" in text
    assert "Traceback" not in text


def test_a_topic_with_another_partition_count_is_refused(
    exchange, worker, tmp_path, broker
) -> None:
    create(broker, "other-events", 3)
    streams = tmp_path / "streams.yaml"
    streams.write_text(STREAMS.format(id="q"))
    process = worker(exchange(), "--streams", str(streams), QUEUE_EVENTS_TOPIC="other-events")
    _, text = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "other-events has 3 partitions, not 1" in text


def test_after_sigkill_what_is_missing_is_a_gap_and_what_is_there_is_right(
    exchange, worker, follow, wait_until, tmp_path
) -> None:
    venue = exchange()
    streams = tmp_path / "streams.yaml"
    streams.write_text(STREAMS.format(id="killed"))
    log = follow("orderbook", "prices")

    def deltas():
        return len(log.values("orderbook", e="depthUpdate"))

    for number in range(3):
        target = deltas() + 15
        process = worker(venue, "--streams", str(streams))
        wait_until(lambda target=target: deltas() > target, seconds=30, what="deltas")
        if number < 2:
            process.kill()
            process.wait()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    reader = Reader(venue, "BTCUSDT")
    epochs = []
    for topic, _, headers, value in log.poll():
        if topic == "orderbook":
            reader.read(value)
            epochs.append(int(headers["epoch"]))
    reader.check()
    assert reader.verified == 1
    assert reader.snapshots == 3
    assert len(reader.holes) == 2
    assert epochs == sorted(epochs)
    assert len(set(epochs)) == 3


@pytest.mark.parametrize(
    "seconds", [4, pytest.param(25, marks=pytest.mark.soak)], ids=lambda value: f"{value}s"
)
def test_when_kafka_is_away_nothing_is_lost_unmarked(
    exchange, worker, wait_until, tmp_path, seconds
) -> None:
    [port, controller] = free_ports(2)
    folder = tmp_path / "kafka"
    folder.mkdir()
    settings = kafka_server.write_settings(
        folder, host="127.0.0.1", port=port, controller_port=controller
    )
    subprocess.run(kafka_server.format_command(settings), check=True, capture_output=True)
    command = Command("kafka", kafka_server.start_command(settings))
    servers = f"127.0.0.1:{port}"
    venue = exchange()
    streams = tmp_path / "streams.yaml"
    streams.write_text(STREAMS.format(id="away"))
    with embedded.running(command, tmp_path / "first.log", port):
        admin = AdminClient({"bootstrap.servers": servers})
        new = [
            NewTopic(each.name, each.partitions, 1, config=each.configs)
            for each in TOPICS.values()
        ]
        for made in admin.create_topics(new).values():
            made.result(10)
        log = Log(servers, "orderbook", "prices", offset=0)
        process = worker(venue, "--streams", str(streams), KAFKA_BOOTSTRAP_SERVERS=servers)
        wait_until(lambda: len(log.values("orderbook")) > 20, seconds=30, what="records")
        log.close()
    back_ms = venue.status()["time_ms"] + seconds * 1000
    wait_until(
        lambda: venue.status()["time_ms"] > back_ms, seconds=seconds + 10, what="the outage"
    )
    target = venue.status()["last_ids"]["BTCUSDT"]["update_id"]
    with embedded.running(command, tmp_path / "second.log", port):
        log = Log(servers, "orderbook", "prices", offset=0)
        wait_until(
            lambda: any(value.get("u", 0) > target for value in log.values("orderbook")),
            seconds=60,
            what="deltas from after the outage",
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        reader = Reader(venue, "BTCUSDT")
        for value in log.values("orderbook"):
            reader.read(value)
        reader.check()
        trades = [value["trade_id"] for value in log.values("prices", type="price_update")]
        log.close()
    assert (reader.verified, reader.holes) == (1, [])
    assert trades == list(range(trades[0], trades[0] + len(trades)))
