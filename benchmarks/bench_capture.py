"""Depth frames a second, from the socket to acknowledged records in Kafka, beside cryptofeed.

Both get the same frames from the same server and write to the same broker with acks=all, in
turns, twice each; the better time counts. A rate is the number of frames by the time from the
first frame sent to the last record in the log, as the broker tells it. Ours is the stage
`capture` as it is deployed.

    python benchmarks/bench_capture.py
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from measuring import (
    Rate,
    Records,
    child,
    cpu_seconds,
    next_line,
    peer_python,
    report,
    versions,
)

from container_worker.kafka import create_missing
from container_worker.settings import KafkaSettings
from local import embedded
from marketdata import topics

OUR_FRAMES = 150_000
THEIR_FRAMES = 15_000
ROUNDS = 2
STREAMS = """
streams: [{queue_id: bench, exchange: binance, tickers: [BTCUSDT], types: [ws_diff_depth]}]
"""
THEIR_TOPIC = topics.Topic("book-BINANCE-BTC-USDT", 1, topics.DAY_MS)
HERE = Path(__file__).parent


def measure(frames, topic, records, folder, start):
    """Frames a second, and in a processor second, of a program; `start(at)` is its child."""
    there = records.count(topic)
    source = [sys.executable, HERE / "depth_frames.py", "--frames", frames]
    with child(*source, log=folder / "source.log", stdout=subprocess.PIPE) as server:
        at = next_line(server)
        with start(at, log=folder / "log") as program:
            begun_s = next_line(server, program)["begun_s"]
            before, cpu_s = records.count(topic), cpu_seconds(program)
            ended_s = records.wait(there + frames - 50, topic, needed=program)
            cpu_s = cpu_seconds(program) - cpu_s
    done = there + frames - before
    return done / (ended_s - begun_s), done / cpu_s


def ours(servers, at, *, log):
    """The stage `capture` with one stream."""
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "BINANCE_WS_URL": at["ws"],
        "BINANCE_REST_URL": at["rest"],
        "STREAMS": STREAMS,
    }
    command = [sys.executable, "-m", "container_worker", "capture"]
    return child(*command, log=log, environment=variables)


def theirs(python, servers, at, *, log):
    """The peer, in its own environment."""
    return child(python, HERE / "peer_cryptofeed.py", at["ws"], at["rest"], servers, log=log)


def run(folder):
    """All rounds against one broker."""
    python = peer_python()
    with embedded.kafka(folder / "kafka") as servers:
        create_missing(KafkaSettings(servers), [*topics.TOPICS.values(), THEIR_TOPIC])
        records = Records(servers)
        sides = (
            (OUR_FRAMES, topics.ORDERBOOK.name, partial(ours, servers)),
            (THEIR_FRAMES, THEIR_TOPIC.name, partial(theirs, python, servers)),
        )
        rounds = [
            [measure(frames, topic, records, folder, start) for frames, topic, start in sides]
            for _ in range(ROUNDS)
        ]
        records.close()
    best = [max(side) for side in zip(*rounds, strict=True)]
    return report(
        "capture: 20-level depth frames, socket to acknowledged record",
        "frames",
        Rate("tapedeck", versions("confluent-kafka", "websocket-client", "msgspec"), *best[0]),
        Rate(
            "cryptofeed to Kafka", versions("cryptofeed", "aiokafka", python=python), *best[1]
        ),
        target=10,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(0 if run(Path(temporary)) else 1)
