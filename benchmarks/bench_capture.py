"""Depth frames a second, from the socket to acknowledged records in Kafka, beside cryptofeed.

Both get the same frames from the same server and write to the same broker with acks=all, one
after the other. A rate is the number of frames by the time from the first frame sent to the
last record in the log, as the broker tells it. Ours is the stage `capture` as it is deployed.
"""

import subprocess
import sys
import tempfile
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

OUR_FRAMES = 300_000
THEIR_FRAMES = 20_000
STREAMS = """
streams: [{queue_id: bench, exchange: binance, tickers: [BTCUSDT], types: [ws_diff_depth]}]
"""
THEIR_TOPIC = "book-BINANCE-BTC-USDT"
HERE = Path(__file__).parent


def measure(frames, topic, records, folder, *, command, environment=None):
    """Frames a second, and a processor second, of a program that is given the addresses."""
    source = [sys.executable, HERE / "depth_frames.py", "--frames", frames]
    with child(*source, log=folder / "source.log", stdout=subprocess.PIPE) as server:
        at = next_line(server)
        variables = environment(at) if environment else {}
        with child(*command(at), log=folder / "log", environment=variables) as program:
            begun_s = next_line(server, program)["begun_s"]
            before, cpu_s = records.count(topic), cpu_seconds(program)
            ended_s = records.wait(frames - 50, topic, needed=program)
            cpu_s = cpu_seconds(program) - cpu_s
    return (frames - before) / (ended_s - begun_s), (frames - before) / cpu_s


def run(folder):
    """Both rates in one run against one broker."""
    peer = peer_python()
    with embedded.kafka(folder / "kafka") as servers:
        kafka = KafkaSettings(servers)
        theirs = topics.Topic(THEIR_TOPIC, 1, topics.DAY_MS, 8 * 1024 * 1024)
        create_missing(kafka, [*topics.TOPICS.values(), theirs])
        records = Records(servers)
        ours = measure(
            OUR_FRAMES,
            topics.ORDERBOOK.name,
            records,
            folder,
            command=lambda _: [sys.executable, "-m", "container_worker", "capture"],
            environment=lambda at: {
                "KAFKA_BOOTSTRAP_SERVERS": servers,
                "BINANCE_WS_URL": at["ws"],
                "BINANCE_REST_URL": at["rest"],
                "STREAMS": STREAMS,
            },
        )
        peers = measure(
            THEIR_FRAMES,
            THEIR_TOPIC,
            records,
            folder,
            command=lambda at: [
                peer,
                HERE / "peer_cryptofeed.py",
                at["ws"],
                at["rest"],
                servers,
            ],
        )
        records.close()
    return report(
        "capture: 20-level depth frames, socket to acknowledged record",
        "frames",
        Rate("tapedeck", versions("confluent-kafka", "websocket-client", "msgspec"), *ours),
        Rate("cryptofeed to Kafka", versions("cryptofeed", "aiokafka", python=peer), *peers),
        target=10,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if run(Path(folder)) else 1)
