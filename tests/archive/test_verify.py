"""`tapedeck archive verify` and `list`, and the copies of closed days, on the real parts."""

import gzip
import subprocess
import sys

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

BTC = "data/orderbook/binance/2024-08-08_BTCUSDT.csv"
ETH = "data/orderbook/binance/2024-08-08_ETHUSDT.csv"


def tapedeck(rig, *arguments):
    """The command on the rig's Kafka and bucket."""
    places = ("--bootstrap", rig.bootstrap) if arguments[1] == "verify" else ()
    command = (*arguments, *places, "--s3", rig.endpoint, "--bucket", rig.bucket)
    return subprocess.run(
        [sys.executable, "-m", "tapedeck", *command],
        capture_output=True,
        text=True,
        check=False,
    )


def archived(rig, wait_until, records):
    archiver = rig.start()
    rig.send(records)
    wait_until(rig.is_durable, 40, "every record durable and committed")
    assert rig.stop(archiver) == 0


def test_verify_tells_right_from_changed_missing_and_out_of_reach(rig, seeded_tape, wait_until):
    tape = seeded_tape(21, 1500)
    archived(rig, wait_until, tape.records)
    found = tapedeck(rig, "archive", "verify")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert sorted(lines[:-1]) == sorted(f"ok: {path}" for path in tape.objects())
    assert lines[-1] == f"{len(tape.objects())} ok"

    head, data = rig.store.head(BTC), tape.objects()[BTC]
    changed = data[:777] + bytes([data[777] ^ 1]) + data[778:]
    rig.store.put(BTC, changed, head.metadata, base=head.etag)
    rig.s3.delete_object(Bucket=rig.bucket, Key=ETH)
    rig.store.put_anyway("data/prices/binance/2024-08-01_XUSDT.csv", b"by hand\n", {})
    found = tapedeck(rig, "archive", "verify")
    assert found.returncode == 1
    assert f"differs at byte 777: {BTC}" in found.stdout.splitlines()
    assert f"missing: {ETH}" in found.stdout.splitlines()
    assert "was not written by the archive" in found.stdout

    cut = {at: 5 for at, end in rig.log_ends().items() if end > 5 and at.topic == "orderbook"}
    admin = AdminClient({"bootstrap.servers": rig.bootstrap, "log_level": 0})
    places = [TopicPartition(at.topic, at.partition, offset) for at, offset in cut.items()]
    for future in admin.delete_records(places).values():
        future.result(10)
    found = tapedeck(rig, "archive", "verify")
    assert f"not verifiable before offset 5: {BTC}" in found.stdout.splitlines()
    after = BTC.replace("08-08", "08-09")
    assert f"ok: {after}" in found.stdout.splitlines()


def test_a_day_is_closed_by_a_watermark_and_its_copy_follows_late_rows(
    rig, seeded_tape, seeded_units, wait_until
):
    tape = seeded_units.Tape(3)
    btc, eth = seeded_units.Book(tape, "BTCUSDT"), seeded_units.Book(tape, "ETHUSDT")
    day_end = seeded_units.START_MS + 120_000
    for unit, closing in ((btc, day_end + 300_000), (eth, day_end + 299_999)):
        for _ in range(5):
            unit.tick()
            unit.goes_on()
        unit.now = closing
        unit.watermark()
    archiver = rig.start()
    rig.send(tape.records)
    wait_until(lambda: rig.store.head(f"{BTC}.gz"), 30, "the copy of the closed day")
    wait_until(rig.is_durable, 20, "every record durable and committed")

    def copy():
        return gzip.decompress(rig.store.load(f"{BTC}.gz")[0])

    assert copy() == tape.objects()[BTC]
    assert rig.store.head(f"{ETH}.gz") is None
    listed = tapedeck(rig, "archive", "list").stdout.splitlines()
    assert [line.split()[:2] for line in listed if line.endswith((BTC, ETH))] == [
        ["closed", "gz"],
        ["open", "--"],
    ]

    sent = len(tape.records)
    btc.goes_on(day_end - 1)
    rig.send(tape.records[sent:])
    wait_until(lambda: copy() == tape.objects()[BTC], 30, "the copy with the late row")
    assert rig.stop(archiver) == 0
    assert rig.store.load(f"{BTC}.gz")[0][4:8] == bytes(4), "the copy holds no time"


@pytest.mark.parametrize("command", ["verify", "list"])
def test_without_a_stack_the_command_says_what_to_give(tmp_path, command):
    found = subprocess.run(
        [sys.executable, "-m", "tapedeck", "archive", command, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert "tapedeck up" in found.stderr
    assert "Traceback" not in found.stderr
