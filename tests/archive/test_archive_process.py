"""Archivers as processes on a real broker and a real object store: killed, doubled, stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from container_worker.archive.outcome import read_head
from container_worker.archive.stage import ArchiveStage
from container_worker.kafka_consumer import KafkaConsumer
from container_worker.kafka_topics import create_missing
from container_worker.settings import ArchiveSettings, KafkaSettings
from marketdata.archive_layout import FOLDED
from marketdata.topics import QUEUE_EVENTS

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

PIECES = 10
SEED = int(os.environ.get("TAPEDECK_TEST_SEED", "0"))


def seeds(count):
    return [SEED] if SEED else range(1, count + 1)


def say(seed, request):
    """Prints the command that repeats this very case."""
    name = request.node.nodeid.partition("[")[0]
    sys.stdout.write(f"repeat with: TAPEDECK_TEST_SEED={seed} .venv/bin/pytest '{name}'\n")


def assert_same(rig, tape):
    found, wanted = rig.objects(), tape.objects()
    paths = found.keys() | wanted.keys()
    assert sorted(path for path in paths if found.get(path) != wanted.get(path)) == []


def send_in_step(rig, records, wait_until, events):
    """Sends piece by piece, each when the last one began to be durable.

    `events` are pairs of a piece's number and what is called once it was sent.
    """
    grown, plan = 0, sorted(events, key=lambda event: event[0])
    for piece in range(PIECES):
        first, end = (len(records) * one // PIECES for one in (piece, piece + 1))
        rig.send(records[first:end])
        while plan and plan[0][0] == piece:
            plan.pop(0)[1]()
        wait_until(lambda: rig.stored_bytes() > grown, 40, "rows of the piece are durable")  # noqa: B023
        grown = rig.stored_bytes()


def test_objects_are_the_plan_s_and_sigterm_ends_clean(rig, seeded_tape, wait_until):
    tape = seeded_tape(1, 1500)
    archiver = rig.start()
    rig.send(tape.records)
    wait_until(rig.is_durable, 40, "every record durable and committed")
    assert_same(rig, tape)
    assert rig.stop(archiver) == 0


def test_a_stop_makes_durable_and_commits_what_is_held(
    rig, seeded_tape, wait_until, monkeypatch
):
    tape = seeded_tape(2, 1500)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", rig.endpoint)
    store, kafka = rig.store, KafkaSettings(rig.bootstrap)
    gate, put = threading.Event(), store.put

    def held_put(*arguments, **options):
        assert gate.wait(60)
        return put(*arguments, **options)

    monkeypatch.setattr(store, "put", held_put)
    consumer = KafkaConsumer(kafka, group="archive", topics=FOLDED, held=True)
    stage = ArchiveStage(
        ArchiveSettings(kafka, rig.bucket, flush_seconds=3600), store, consumer, rig.topic_ids()
    )
    stop = threading.Event()
    thread = threading.Thread(target=stage.run, args=(stop,))
    thread.start()
    try:
        rig.send(tape.records)
        folded = len(tape.records)
        wait_until(
            lambda: sum(one.position for one in list(stage._open.values())) == folded,
            30,
            "all folded",
        )
        assert rig.objects() == {}
    finally:
        # Left alone it would go on taking partitions from the tests that follow.
        begun = time.monotonic()
        stop.set()
        gate.set()
        thread.join()
        consumer.close()
    assert time.monotonic() - begun < 20
    assert_same(rig, tape)
    assert rig.is_durable()


def killed_while_streaming(rig, seeded_tape, wait_until, seed):
    rng = random.Random(seed)
    tape = seeded_tape(seed, 2000)
    rig.start(flush_seconds=0.05)

    def kill():
        if rng.random() < 0.5:  # else in the middle of reading, or of joining the group
            before = rig.stored_bytes()
            wait_until(lambda: rig.stored_bytes() > before, 40, "a first write of the piece")
        rig.processes[-1].kill()
        rig.processes[-1].wait()
        rig.start(flush_seconds=rng.choice((0.05, 0.3)))

    moments = [(rng.randrange(PIECES), kill) for _ in range(rng.randrange(1, 4))]
    send_in_step(rig, tape.records, wait_until, moments)
    wait_until(rig.is_durable, 60, "every record durable and committed")
    assert_same(rig, tape)
    assert rig.stop(rig.processes[-1]) == 0
    return tape


@pytest.mark.parametrize("seed", seeds(2))
def test_sigkill_while_records_stream_in(rig, seeded_tape, wait_until, request, seed):
    say(seed, request)
    killed_while_streaming(rig, seeded_tape, wait_until, seed)


def test_sigkill_while_the_records_of_all_exchanges_stream_in(
    rig, exchange_tape, wait_until, request
):
    """What comes late included; `verify` and `completeness` then agree with the objects."""
    seed = SEED or 7
    say(seed, request)
    tape = killed_while_streaming(rig, exchange_tape, wait_until, seed)
    told = [sys.executable, "-m", "tapedeck"]
    where = ["--s3", rig.endpoint, "--bucket", rig.bucket]
    verify = subprocess.run(
        [*told, "archive", "verify", "--bootstrap", rig.bootstrap, *where],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verify.stdout.splitlines()[-1:] == [f"{len(tape.objects())} ok"], verify.stderr
    counted = subprocess.run(
        [*told, "completeness", "--json", *where], capture_output=True, text=True, check=True
    )
    units = json.loads(counted.stdout)["units"]
    gaps = sum(
        data.count(b",gap,")
        for path, data in rig.objects().items()
        if path.endswith(".marks.csv")
    )
    assert sum(unit["gaps"] for unit in units) == gaps
    assert len(units) == 9
    assert all(unit["offset"] > 0 for unit in units)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(101, 126))
def test_sigkill_while_records_stream_in_25_times(rig, seeded_tape, wait_until, request, seed):
    say(seed, request)
    killed_while_streaming(rig, seeded_tape, wait_until, seed)


def test_two_archivers_at_once(rig, seeded_tape, wait_until):
    tape = seeded_tape(5, 2000)
    rig.start()
    send_in_step(rig, tape.records, wait_until, [(3, rig.start)])
    wait_until(rig.is_durable, 40, "every record durable and committed")
    assert_same(rig, tape)
    assert [rig.stop(one) for one in rig.processes] == [0, 0]


def test_a_stopped_archiver_that_resumes_after_its_partitions_were_taken(
    rig, seeded_tape, wait_until
):
    tape = seeded_tape(6, 3000)
    half = len(tape.records) // 2
    stopped = rig.start(flush_seconds=0.5)
    rig.send(tape.records[:half])
    wait_until(lambda: any(rig.store.paths("data/")), 30, "a first object")
    stopped.send_signal(signal.SIGSTOP)
    rig.start()
    rig.send(tape.records[half:])
    wait_until(rig.is_durable, 60, "the other one took over")
    stopped.send_signal(signal.SIGCONT)
    wait_until(lambda: rig.stop(stopped) == 0, 60, "the resumed one ends clean")
    assert_same(rig, tape)


def told_losses(bootstrap):
    """(queue_id, symbol, type, message) of each `error` on queue-events, from its beginning."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "told", "log_level": 0})
    place = TopicPartition(QUEUE_EVENTS.name, 0, 0)
    end = reader.get_watermark_offsets(place, timeout=10)[1]
    reader.assign([place])
    events = [json.loads(one.value()) for one in reader.consume(end, 10)] if end else []
    reader.close()
    assert {event["status"] for event in events} <= {"error"}
    return {(one["queue_id"], one["symbol"], one["type"], one["message"]) for one in events}


def test_retention_is_a_gap_and_nothing_doubles(rig, seeded_tape, wait_until):
    create_missing(KafkaSettings(rig.bootstrap), [QUEUE_EVENTS])
    tape = seeded_tape(7, 1200)
    half = len(tape.records) // 2
    archiver = rig.start()
    rig.send(tape.records[:half])
    wait_until(rig.is_durable, 40, "the first half durable")
    assert rig.stop(archiver) == 0
    before = rig.objects()
    rig.send(tape.records[half:])
    ends = rig.log_ends()
    done = rig.committed([at for at, end in ends.items() if end])
    # Retention takes half of what is not archived yet.
    cut = {at: (done[at] + end) // 2 for at, end in ends.items() if end > 0}
    admin = AdminClient({"bootstrap.servers": rig.bootstrap, "log_level": 0})
    places = [TopicPartition(at.topic, at.partition, offset) for at, offset in cut.items()]
    for future in admin.delete_records(places).values():
        future.result(10)
    again = rig.start()
    wait_until(rig.is_durable, 40, "the rest durable")
    assert rig.stop(again) == 0
    after, whole = rig.objects(), tape.objects()
    assert all(after[path].startswith(data) for path, data in before.items())
    marks = b"".join(data for path, data in after.items() if path.endswith(".marks.csv"))
    assert marks.count(b",retention,") >= 3
    for path, data in after.items():
        if not path.endswith(".marks.csv"):
            rows = data.split(b"\n")
            assert set(rows) <= set(whole[path].split(b"\n")), f"{path} has rows of its own"
            assert int(read_head(path, rig.store.head(path)).rows) == len(rows) - 2
    told = told_losses(rig.bootstrap)
    assert {one[0] for one in told} == {"archive"}
    for at, offset in cut.items():
        if offset > done[at]:
            gone = f"the offsets {done[at]} to {offset - 1} of {at.topic}[{at.partition}]"
            said = f": Kafka deleted {gone} before they were archived; goes on"
            assert any(one[3].endswith(said) for one in told), (gone, told)


def test_a_topic_made_anew_goes_on_in_the_same_objects(
    rig, seeded_tape, wait_until, rig_module
):
    tape = seeded_tape(8, 1200)
    half = len(tape.records) // 2
    archiver = rig.start()
    rig.send(tape.records[:half])
    wait_until(rig.is_durable, 40, "the first half durable")
    assert rig.stop(archiver) == 0
    rig_module.make_topics(rig.bootstrap)
    again = rig.start()
    rig.send(tape.records[half:])
    wait_until(rig.is_durable, 40, "the second half durable")
    assert rig.stop(again) == 0
    assert_same(rig, tape)
    heads = [read_head(path, rig.store.head(path)) for path in rig.objects()]
    assert any(head.inherited for head in heads)


def test_a_lost_checkpoint_means_folding_from_the_start(rig, seeded_tape, wait_until):
    tape = seeded_tape(9, 1200)
    half = len(tape.records) // 2
    archiver = rig.start()
    rig.send(tape.records[:half])
    wait_until(rig.is_durable, 40, "the first half durable")
    assert rig.stop(archiver) == 0
    for path in list(rig.store.paths("_state/")):
        rig.s3.delete_object(Bucket=rig.bucket, Key=path)
    again = rig.start()
    rig.send(tape.records[half:])
    wait_until(rig.is_durable, 40, "the second half durable")
    assert rig.stop(again) == 0
    assert_same(rig, tape)


def test_a_deleted_object_is_made_again_from_the_topic(rig, seeded_tape, wait_until):
    tape = seeded_tape(10, 1200)
    half = len(tape.records) // 2
    archiver = rig.start()
    rig.send(tape.records[:half])
    wait_until(rig.is_durable, 40, "the first half durable")
    for path in rig.objects():
        if "ETHUSDT" in path and not path.endswith(".marks.csv"):
            rig.s3.delete_object(Bucket=rig.bucket, Key=path)
    rig.send(tape.records[half:])

    wanted = {path for path in tape.objects() if "ETHUSDT" in path}
    wait_until(
        lambda: wanted <= set(rig.store.paths("data/")), 40, "the deleted objects are there"
    )
    wait_until(rig.is_durable, 40, "every record durable and committed")
    assert rig.stop(archiver) == 0
    assert_same(rig, tape)
