"""`tapedeck up` as a user runs it: every real part, a simulated exchange or a recording."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from local import stack_status

pytestmark = pytest.mark.services

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
TAPES = {
    "binance": RECORDINGS / "cryptofeed" / "BINANCE_2021-10-12.ws.1.0",
    "coinbase": RECORDINGS / "cryptofeed" / "COINBASE_2021-04-17.ws.28.0",
}


class Tapedeck:
    """The command on one data folder."""

    def __init__(self, data):
        self.data = data

    def run(self, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "tapedeck", *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            env=os.environ | {"ARCHIVE_FLUSH_SECONDS": "1", "AWS_PROFILE": "not-there"},
        )

    def up(self, *arguments):
        started = self.run("up", "--ports", "free", "--detach", *arguments)
        assert started.returncode == 0, started.stderr
        return started.stdout

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def objects(self, pattern):
        folder = self.data / "s3" / "tapedeck" / "data"
        return [path for path in folder.glob(pattern) if path.stat().st_size > 200]

    def rows(self, exchange, day):
        """The rows of each ticker's order book file of a day."""
        folder = self.data / "s3" / "tapedeck" / "data" / "orderbook" / exchange
        return {
            path.stem.partition("_")[2]: len(path.read_text().splitlines()) - 1
            for path in folder.glob(f"{day}_*.csv")
            if not path.name.endswith(".marks.csv")
        }

    def logs(self):
        return {path.name: path.read_text() for path in (self.data / "logs").iterdir()}


@pytest.fixture
def tapedeck(tmp_path):
    command = Tapedeck(tmp_path / "data")
    yield command
    command.run("down")
    assert [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(command.data) in part for part in process.info["cmdline"] or ())
    ] == []


def test_the_demo_fills_files_and_ends_without_a_trace(tapedeck, wait_until):
    said = tapedeck.up()
    assert "watch BTC/USDT ETH/USDT" in said
    assert str(tapedeck.data / "s3" / "tapedeck" / "data" / "orderbook") in said
    status = tapedeck.status()
    assert status["ready"] is True
    assert set(status["pids"]) == {
        *("kafka", "dynamodb", "s3", "s3-lock", "exchanges", "gateway", "push"),
        *("capture", "archive", "derive", "keep", "history"),
    }
    for pattern in (
        *("orderbook/binance/*_BTCUSDT.csv", "prices/binance/*_ETHUSDT.csv"),
        *("orderbook/coinbase/*_BTC-USD.csv", "orderbook/blockchain/*_BTC-EUR.csv"),
        *("orderbook/stockbit/*_BBCA.csv", "events/stellar/*.csv"),
    ):
        wait_until(lambda pattern=pattern: tapedeck.objects(pattern), 60, pattern)
    assert set(tapedeck.status()["restarts"].values()) == {0}
    assert tapedeck.run("down").returncode == 0
    assert tapedeck.status()["state"] == "down"
    for name, text in tapedeck.logs().items():
        assert "Traceback" not in text, name


@pytest.mark.recordings
def test_a_replay_of_two_exchanges_says_done_when_every_object_is_durable(tapedeck, wait_until):
    if not all(path.exists() for path in TAPES.values()):
        pytest.skip(f"{RECORDINGS} is not on this machine")
    tapedeck.up("--replay", *map(str, TAPES.values()), "--once", "--speed", "max")
    status = tapedeck.status()
    assert status["mode"] == "replay"
    assert status["replay"] in {"running", "done"}
    assert status["urls"]["coinbase_ws"]
    assert status["urls"]["stellar_rpc"] is None
    wait_until(
        lambda: stack_status.status(tapedeck.data).replay == "done", 90, "the end of the replay"
    )
    assert tapedeck.objects("orderbook/binance/*.csv")
    assert tapedeck.rows("coinbase", "2021-04-17") == changes_of(TAPES["coinbase"])


def changes_of(path):
    """How many levels the recorded updates of each product change, by product."""
    found = Counter()
    for line in path.read_text().splitlines():
        body = line.partition(": ")[2]
        if body.startswith('{"type":"l2update"'):
            update = json.loads(body)
            found[update["product_id"]] += len(update["changes"])
    return found


def test_an_unknown_ticker_ends_the_start_with_one_sentence(tapedeck, tmp_path):
    streams = tmp_path / "streams.yaml"
    streams.write_text(
        "streams:\n  - queue_id: mine\n    exchange: binance\n"
        "    tickers: [NOSUCHCOIN]\n    types: [ws_trades]\n"
    )
    ended = tapedeck.run("up", "--ports", "free", "--streams", str(streams))
    assert ended.returncode == 2, ended.stderr
    assert "NOSUCHCOIN" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1
