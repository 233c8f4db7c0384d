"""The local event source does with a real topic what Lambda's mapping does (rule 33)."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from aws_lambda_powertools.utilities.kafka.consumer_records import ConsumerRecords
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from local.event_source.settings import read_settings
from local.ports import free_ports
from marketdata.errors import SettingsError

pytestmark = pytest.mark.services

REQUIRED = ["--bootstrap", "x", "--topic", "t", "--group", "g"]
HANDLER = """
import json, os, pathlib, time

HERE = pathlib.Path(__file__).parent
CALLS = []

def handler(event, context):
    CALLS.append(1)
    call = {"event": event, "pid": os.getpid(), "calls": len(CALLS), "began": time.monotonic()}
    (HERE / "entered").touch()
    while (HERE / "hold").exists():
        time.sleep(0.005)
    failing = HERE / "fail"
    left = int(failing.read_text()) if failing.exists() else 0
    failing.write_text(str(left - 1)) if left > 1 else failing.unlink(missing_ok=True)
    call["ended"] = time.monotonic()
    with (HERE / "calls").open("a") as output:
        output.write(json.dumps(call) + chr(10))
    if left:
        raise RuntimeError("told to fail")
"""


@dataclass
class Source:
    """A topic, a recording function and the processes that join them."""

    bootstrap: str
    topic: str
    folder: Path
    producer: KafkaProducer

    def send(self, partition, value, **more):
        value = value if isinstance(value, bytes) else value.encode()
        return self.producer.send(self.topic, value, partition=partition, **more).get(10).offset

    def calls(self):
        path = self.folder / "calls"
        return (
            [json.loads(line) for line in path.read_text().split("\n")[:-1]]
            if path.exists()
            else []
        )

    def delivered(self):
        """(partition, offset) of every record, in the order of delivery."""
        return [
            (record["partition"], record["offset"])
            for call in self.calls()
            for records in call["event"]["records"].values()
            for record in records
        ]

    def committed(self, partition=0):
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=self.topic)
        try:
            return consumer.committed(TopicPartition(self.topic, partition))
        finally:
            consumer.close()

    @contextlib.contextmanager
    def running(self, wait_until, *options):
        log = self.folder / f"log-{uuid.uuid4().hex[:6]}"
        command = [sys.executable, "-m", "local.event_source", "--bootstrap", self.bootstrap]
        command += ["--topic", self.topic, "--group", self.topic]
        command += ["--handler", "recording.handler", *options]
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stderr=output, stdout=output)
        process.log = log
        try:
            wait_until(
                lambda: '"ready"' in log.read_text() or process.poll() is not None,
                20,
                "the event source's start",
            )
            yield process
        finally:
            (self.folder / "hold").unlink(missing_ok=True)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(15)


@pytest.fixture
def source(kafka, tmp_path):
    topic = f"source-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
    admin.close()
    (tmp_path / "recording.py").write_text(HANDLER)
    producer = KafkaProducer(bootstrap_servers=kafka)
    yield Source(kafka, topic, tmp_path, producer)
    producer.close()


def test_the_event_is_an_msk_event(source, wait_until):
    """Powertools, an independent reader of Lambda's events, finds what was sent."""
    with source.running(wait_until):
        headers = [("type", b"ws_trades"), ("raw", bytes([0, 127, 128, 255]))]
        source.send(1, b"\x00\xff", key=b"binance:BTCUSDT", headers=headers)
        wait_until(source.calls, 10, "the invocation")
    [call] = source.calls()
    event = call["event"]
    assert event["eventSource"] == "aws:kafka"
    assert event["bootstrapServers"] == source.bootstrap
    assert list(event["records"]) == [f"{source.topic}-1"]
    [record] = event["records"][f"{source.topic}-1"]
    assert (record["topic"], record["partition"], record["offset"]) == (source.topic, 1, 0)
    assert record["timestampType"] == "CREATE_TIME"
    [read] = ConsumerRecords(event, None).records
    assert read.key == "binance:BTCUSDT"
    assert read.headers == {"type": b"ws_trades", "raw": bytes([0, 127, 128, 255])}
    assert record["value"] == "AP8="


def test_every_partition_is_delivered_in_order_and_committed(source, wait_until):
    with source.running(wait_until, "--batch-size", "7") as process:
        sent = [(n % 3, source.send(n % 3, f"{n}")) for n in range(60)]
        wait_until(lambda: len(source.delivered()) >= 60, 10, "all deliveries")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    delivered = source.delivered()
    assert sorted(delivered) == sorted(sent)
    for partition in range(3):
        offsets = [offset for number, offset in delivered if number == partition]
        assert offsets == sorted(offsets)
        assert source.committed(partition) == 20
    sizes = [sum(map(len, call["event"]["records"].values())) for call in source.calls()]
    assert max(sizes) <= 7


def test_latest_begins_at_the_end_and_trim_horizon_at_the_start(source, wait_until):
    source.send(0, "before")
    with source.running(wait_until):
        after = source.send(0, "after")
        wait_until(source.calls, 10, "the invocation")
    assert source.delivered() == [(0, after)]
    (source.folder / "calls").unlink()
    options = ["--group", f"{source.topic}-2", "--starting-position", "TRIM_HORIZON"]
    with source.running(wait_until, *options):
        wait_until(lambda: len(source.delivered()) == 2, 10, "both records")


def test_a_failing_batch_comes_again_unchanged_and_holds_up_its_partition(source, wait_until):
    (source.folder / "fail").write_text("3")
    with source.running(wait_until):
        source.send(0, "first")
        wait_until(lambda: len(source.calls()) >= 1, 10, "the first failure")
        source.send(0, "second")
        wait_until(lambda: (0, 1) in source.delivered(), 15, "the next record")
    assert source.delivered() == [(0, 0)] * 4 + [(0, 1)]
    first, *more = [call["event"] for call in source.calls()[:4]]
    assert all(event == first for event in more)


def test_a_batch_is_thrown_away_after_the_retries_that_are_configured(source, wait_until):
    (source.folder / "fail").write_text("3")
    with source.running(wait_until, "--max-retries", "2"):
        source.send(0, "poison")
        wait_until(lambda: len(source.calls()) == 3, 10, "three attempts")
        source.send(0, "next")
        wait_until(lambda: (0, 1) in source.delivered(), 10, "the next record")
    assert source.delivered() == [(0, 0)] * 3 + [(0, 1)]


def test_invocations_run_side_by_side_but_never_two_of_a_partition(source, wait_until):
    (source.folder / "hold").touch()
    with source.running(wait_until, "--concurrency", "3", "--batch-size", "1"):
        for n in range(12):
            source.send(n % 3, f"{n}")
        (source.folder / "hold").unlink()
        wait_until(lambda: len(source.delivered()) >= 12, 10, "all deliveries")
    spans = {}
    for call in source.calls():
        for name in call["event"]["records"]:
            spans.setdefault(name, []).append((call["began"], call["ended"]))
    for own in spans.values():
        own.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(own))
    firsts = [own[0] for own in spans.values()]
    assert max(began for began, _ in firsts) < min(ended for _, ended in firsts)


def test_an_event_stays_below_six_megabytes(source, wait_until):
    (source.folder / "hold").touch()
    with source.running(wait_until, "--batch-size", "1000"):
        for _ in range(16):
            source.send(0, b"x" * 900_000)
        (source.folder / "hold").unlink()
        wait_until(lambda: len(source.delivered()) >= 16, 15, "all deliveries")
    sizes = [len(json.dumps(call["event"])) for call in source.calls()]
    assert max(sizes) <= 6 * 1024 * 1024
    assert len(sizes) < 16


def faults(source, *listed, seed=1):
    path = source.folder / "faults.json"
    path.write_text(json.dumps({"seed": seed, "faults": list(listed)}))
    return ["--faults", str(path)]


def test_a_finished_batch_is_delivered_twice_when_told(source, wait_until):
    options = faults(source, {"kind": "redeliver", "times": 2})
    with source.running(wait_until, *options):
        for n in range(4):
            source.send(0, f"{n}")
            wait_until(lambda n=n: (0, n) in source.delivered(), 10, "the delivery")
        wait_until(lambda: len(source.calls()) >= 6, 10, "the repetitions")
    delivered = source.delivered()
    assert sorted(delivered) == sorted([(0, 0), (0, 1), (0, 2), (0, 3)] + [delivered[1]] * 2)


def test_killed_between_invocation_and_commit_the_batch_comes_again(source, wait_until):
    options = faults(source, {"kind": "kill"})
    with source.running(wait_until, *options) as process:
        source.send(0, "once")
        assert process.wait(10) == 9
    assert source.committed() == 0
    with source.running(wait_until, *options):
        wait_until(lambda: len(source.calls()) == 2, 10, "the second delivery")
        wait_until(lambda: source.committed() == 1, 10, "the commit")
    assert source.delivered() == [(0, 0), (0, 0)]


def test_a_cold_start_forgets_the_modules_state(source, wait_until):
    options = faults(source, {"kind": "cold_start", "times": 2})
    with source.running(wait_until, *options) as process:
        for n in range(4):
            source.send(0, f"{n}")
            wait_until(lambda n=n: len(source.calls()) == n + 1, 10, "the delivery")
        assert {call["pid"] for call in source.calls()} == {process.pid}
    assert [call["calls"] for call in source.calls()] == [1, 1, 2, 3]


def test_sigterm_lets_the_running_batch_finish_and_commits_it(source, wait_until):
    (source.folder / "hold").touch()
    with source.running(wait_until) as process:
        source.send(0, "running")
        wait_until((source.folder / "entered").exists, 10, "the invocation")
        process.send_signal(signal.SIGTERM)
        (source.folder / "hold").unlink()
        assert process.wait(10) == 0
    assert source.delivered() == [(0, 0)]
    assert source.committed() == 1


def run(*options, **variables):
    command = [sys.executable, "-m", "local.event_source", *options]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_kafka_that_does_not_answer_is_one_sentence_and_1(tmp_path):
    (tmp_path / "recording.py").write_text(HANDLER)
    [port] = free_ports(1)
    options = ["--bootstrap", f"127.0.0.1:{port}", "--topic", "ticks", "--group", "push"]
    options += ["--handler", "recording.handler", "--connect-s", "0"]
    done = run(*options, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"Kafka at 127.0.0.1:{port} cannot be read: it does not answer; start it, or give "
        "another address with --bootstrap"
    )


def test_bad_usage_is_named_and_2():
    done = run(*REQUIRED, "--handler", "no.such.handler")
    assert (done.returncode, done.stdout) == (2, "")
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("the handler no.such.handler cannot be loaded: No module named")


def test_missing_variables_of_the_function_are_named_and_2():
    done = run(*REQUIRED, "--handler", "functions.push.handler")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "the variable CONNECTIONS_TABLE is not set",
        "the variable CALLBACK_URL_STREAM is not set",
    ]


def test_every_bad_option_is_named(capsys):
    given = [*REQUIRED, "--handler", "x"]
    given += ["--batch-size", "0", "--window-ms", "-1", "--concurrency", "65"]
    with pytest.raises(SettingsError) as bad:
        read_settings(given)
    assert [fault.split()[0] for fault in bad.value.faults] == [
        "--handler",
        "--window-ms",
        "--batch-size",
        "--concurrency",
    ]
    with pytest.raises(SettingsError, match="--also a:b must be TOPIC:GROUP:PACKAGE"):
        read_settings([*REQUIRED, "--handler", "a.b", "--also", "a:b"])
    with pytest.raises(SystemExit):
        read_settings([*given, "--windows-ms", "0"])
    assert "unrecognized arguments: --windows-ms" in capsys.readouterr().err
