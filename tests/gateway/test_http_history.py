"""From the topic to the history: Kafka, event source, `history`, `GET /api/ohlcv`."""

import json
import os
import signal
import subprocess
import sys
import uuid
from urllib.parse import urljoin

import msgspec
import pytest
import requests
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from marketdata import codec
from marketdata.messages import Candle

pytestmark = pytest.mark.services

START = 1_606_165_140_000
MINUTE = 60_000
NUMBER = 60
FAULTS = {
    "seed": 7,
    "faults": [
        {"kind": "redeliver", "times": 3},
        {"kind": "cold_start"},
        {"kind": "kill"},
    ],
}


@pytest.fixture
def topic(kafka):
    """A topic of the test's own."""
    name = f"candles-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    admin.close()
    return name


@pytest.fixture
def history(kafka, tables, topic, gateway, tmp_path):
    """`history(*options)` starts the function's event source."""
    running = []
    environment = {**os.environ, **tables}
    environment["CALLBACK_URL_STREAM"] = f"{gateway.api}/_management/stream"

    def start(*options):
        command = [sys.executable, "-m", "local.event_source", "--bootstrap", kafka]
        command += ["--topic", topic, "--group", topic]
        command += ["--handler", "functions.history.handler"]
        command += ["--starting-position", "TRIM_HORIZON", "--batch-size", "20", *options]
        log = tmp_path / f"log-{len(running)}"
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stderr=output, stdout=output)
        process.log = log
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(15)


@pytest.fixture
def written(kafka, topic):
    """A ticker with candles in the topic: each grows twice and is closed, as capture does."""
    ticker = f"{uuid.uuid4().hex[:8].upper()}-EUR"
    producer = KafkaProducer(bootstrap_servers=kafka)
    headers = codec.base_headers("ws_candles", "demo", 1)
    for minute in range(NUMBER):
        for close, closed in (("1", False), ("2", False), (f"{minute}.50", True)):
            candle = Candle(
                pair=ticker.replace("-", "/"),
                timestamp=START + minute * MINUTE,
                **{
                    name: msgspec.Raw(text.encode())
                    for name, text in {
                        "open": "1",
                        "high": "99",
                        "low": "0.5",
                        "close": close,
                        "volume": "3E-8",
                    }.items()
                },
                source="blockchain",
                interval="1m",
                closed=closed,
            )
            producer.send(
                topic,
                codec.encode(candle),
                key=codec.key("blockchain", ticker),
                headers=codec.record_headers(headers, candle.timestamp, 1, b"exchange"),
            )
    producer.flush(20)
    producer.close()
    return ticker


def get(gateway, **parameters):
    return requests.get(f"{gateway.api}/api/ohlcv", params=parameters, timeout=20)


def test_candles_become_history_whole_and_once_though_batches_come_again(
    written, history, gateway, tmp_path, wait_until
):
    """Batches are redelivered, and the process dies before it commits."""
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps(FAULTS))
    first = history("--faults", str(faults))
    assert first.wait(30) == 9, first.log.read_text()
    history()
    asked = {"pair": written, "from": 0, "to": 9999999999999, "limit": 25}
    whole = {**asked, "limit": 100}  # the writers work side by side: the last may come first
    wait_until(
        lambda: get(gateway, **whole).text.count(".50,") == NUMBER, 30, "every candle's end"
    )
    answer, texts = get(gateway, **asked), []
    while answer is not None:
        texts.append(answer.text)
        link = answer.links.get("next")
        url = urljoin(answer.url, link["url"]) if link else None
        answer = requests.get(url, timeout=20) if url else None
    assert [len(json.loads(text)) for text in texts] == [25, 25, 10]
    rows = [row for text in texts for row in json.loads(text, parse_float=str)]
    assert [row["close"] for row in rows] == [f"{one}.50" for one in reversed(range(NUMBER))]
    assert len({row["_id"] for row in rows}) == NUMBER
    assert {row["volume"] for row in rows} == {"0.00000003"}
