"""`tapedeck completeness` on checkpoints in a real object store."""

import json
import subprocess
import sys
import threading
import uuid

import pytest

from container_worker.archive.checkpoints import Checkpoint, CheckpointWriter
from container_worker.archive.outage import Outage, Patience
from container_worker.kafka_records import Partition
from container_worker.object_store import ObjectStore, s3_client
from marketdata.archive_fold import ArchiveFold
from marketdata.archive_state import PartitionState, encode_state

pytestmark = pytest.mark.services


def trade(ticker, id_, second):
    headers = [("type", b"ws_trades"), ("queue_id", b"q"), ("epoch", b"1"), ("id", b"%d" % id_),
               ("received_ns", b"1"), ("time", b"exchange")]  # fmt: skip
    value = (
        f'{{"type":"price_update","symbol":"A","price":1,"volume":null,'
        f'"timestamp":"2024-08-09T00:00:{second:02d}Z","source":"coinbase",'
        f'"trade_id":{id_},"quantity":2,"side":"BUY"}}'
    )
    return f"coinbase:{ticker}".encode(), headers, value.encode()


@pytest.fixture
def archive(s3):
    """A bucket with one partition's checkpoint: a gap of 3 ids and 4 of 20 seconds."""
    bucket = f"ledger-{uuid.uuid4().hex[:12]}"
    client = s3_client(s3)
    client.create_bucket(Bucket=bucket)
    fold = ArchiveFold("prices", PartitionState())
    for ticker, id_, second in (
        ("BTC-USD", 1, 0), ("BTC-USD", 2, 6), ("BTC-USD", 6, 10), ("BTC-USD", 7, 20),
        ("ETH-USD", 9, 30),
    ):  # fmt: skip
        fold.fold(*trade(ticker, id_, second))
    key, headers, value = trade("BTC-USD", 4, 8)
    fold.fold(key, [*headers, ("backfill", b"1")], value)
    partition = Partition("prices", 3)
    writer = CheckpointWriter(ObjectStore(bucket, client), partition, None)
    state = Checkpoint("id", 4242, encode_state(fold.state))
    assert writer.save(state, Patience(Outage(), threading.Event()))
    return ["--s3", s3, "--bucket", bucket]


def completeness(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tapedeck", "completeness", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_figures_are_exact_numbers_for_programs(archive):
    found = completeness("--json", "--ticker", "btc/usd", "--date", "2024-08-09", *archive)
    assert found.returncode == 0, found.stderr
    [unit] = json.loads(found.stdout, parse_float=str)["units"]
    assert unit == {
        "exchange": "coinbase",
        "ticker": "BTC-USD",
        "type": "ws_trades",
        "date": "2024-08-09",
        "events": 4,
        "gaps": 1,
        "gaps_per_million": "250000.0000",
        "causes": {"sequence": 1},
        "unnumbered_gaps": 0,
        "open_gap": None,
        "missing": 2,
        "backfilled": 1,
        "history": 0,
        "uncovered_seconds": 4,
        "seconds": 20,
        "coverage_percent": "80.0000",
        "first_event": "2024-08-09T00:00:00Z",
        "last_event": "2024-08-09T00:00:20Z",
        "known_until": "2024-08-09T00:00:20.000Z",
        "whole": True,
        "topic": "prices",
        "partition": 3,
        "offset": 4242,
    }


def test_people_get_a_table_with_one_line_a_unit(archive):
    found = completeness(*archive)
    assert found.returncode == 0, found.stderr
    head, first, second, last = found.stdout.splitlines()
    assert head.split()[:2] == ["unit", "events"]
    assert first.split()[:6] == ["coinbase:BTC-USD", "ws_trades", "4", "1", "250,000.0", "2"]
    assert "80.0000 %" in first
    assert second.startswith("coinbase:ETH-USD ws_trades")
    assert last == "as of the offsets prices[3] 4,242"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ticker", "DOGE"], "tapedeck: the archive counts nothing of DOGE\n"),
        (
            ["--date", "2023-01-01"],
            "tapedeck: the archive counts nothing of any capture unit on 2023-01-01\n",
        ),
        (["--exchange", "stellar"], "tapedeck: the archive counts nothing of stellar\n"),
    ],
)
def test_nothing_is_there_of_what_was_asked(archive, arguments, sentence):
    found = completeness(*arguments, *archive)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", sentence)


@pytest.mark.parametrize("arguments", [["--date", "2024-02-30"], ["--exchange", "mtgox"]])
def test_wrong_input_is_named_before_anything_is_read(arguments):
    found = completeness(*arguments, "--s3", "http://127.0.0.1:1")
    assert found.returncode == 2
    assert arguments[1] in found.stderr
    assert "Traceback" not in found.stderr
