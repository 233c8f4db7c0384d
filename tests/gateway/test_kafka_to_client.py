"""From the topic to the screen: Kafka, event source, the function `push`, gateway, client."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid

import pytest
import requests
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from marketdata import codec
from marketdata.messages import Tick
from marketdata.times import iso_ms
from marketdata.topics import TICKS

pytestmark = pytest.mark.services


@pytest.fixture
def push(kafka, tables, gateway, tmp_path, wait_until):
    """`push(*options)` starts the function's event source in a group of its own."""
    group = f"push-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    with contextlib.suppress(TopicAlreadyExistsError):
        topic = NewTopic(TICKS.name, num_partitions=TICKS.partitions, replication_factor=1)
        admin.create_topics([topic])
    admin.close()
    running = []

    def start(*options):
        log = tmp_path / f"log-{len(running)}"
        command = [sys.executable, "-m", "local.event_source", "--bootstrap", kafka]
        command += [
            "--topic",
            TICKS.name,
            "--group",
            group,
            "--handler",
            "functions.push.handler",
        ]
        variables = {"CALLBACK_URL_STREAM": f"{gateway.api}/_management/stream"}
        environment = {**os.environ, **tables, **variables}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *options], env=environment, stderr=output, stdout=output
            )
        running.append(process)
        process.log = log
        wait_until(lambda: '"ready"' in log.read_text(), 20, "the event source's start")
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(15)


@pytest.fixture
def send(kafka):
    """`send(ticker, price)` writes a tick as `derive` does."""
    producer = KafkaProducer(bootstrap_servers=kafka)

    def one(ticker, price):
        symbol = f"{ticker.removesuffix('USDT')}/USDT"
        value = codec.encode(
            Tick(symbol, codec.msgspec.Raw(price.encode()), None, iso_ms(0), "binance", ("1s",))
        )
        producer.send(TICKS.name, value, key=codec.key("binance", ticker)).get(10)

    yield one
    producer.close()


def posts_logged(process):
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    return sum(line["sent"] for line in lines if line["message"] == "pushed")


def test_ticks_reach_their_subscribers_in_order_until_they_unsubscribe(
    push, send, subscriber, wait_until
):
    process = push()
    client, other = subscriber("BTC/USDT", "ETHUSDT"), subscriber("ETH/USDT")
    for number in range(20):
        send("BTCUSDT", f"{number}.50")
        send("ETHUSDT", f"{number}.25")
    updates = [client.receive() for _ in range(40)]
    for name, digits in (("BTC/USDT", 0.5), ("ETHUSDT", 0.25)):
        prices = [one["price"] for one in updates if one["symbol"] == name]
        assert prices == [number + digits for number in range(20)]
    assert [other.receive()["symbol"] for _ in range(20)] == ["ETH/USDT"] * 20
    client.ask({"type": "unsubscribe", "symbols": ["BTC/USDT"]})
    send("BTCUSDT", "99")
    send("ETHUSDT", "100")
    assert client.receive()["price"] == 100
    wait_until(lambda: posts_logged(process) == 62, 5, "the last batch's log line")


def test_an_outage_of_the_management_api_loses_no_newest_price(push, send, gateway, subscriber):
    """The batch is pushed when the API is back, and the partition goes on."""
    push()
    client = subscriber("BTC/USDT")
    gateway.fault("error", times=4)
    send("BTCUSDT", "1")
    assert client.receive(20)["price"] == 1
    assert gateway.faults() == []


def test_killed_between_posts_and_commit_a_client_sees_the_batch_again_and_goes_on(
    push, send, subscriber, tmp_path
):
    faults = tmp_path / "faults.json"
    faults.write_text('{"seed":1,"faults":[{"kind":"kill"},{"kind":"cold_start","times":2}]}')
    client = subscriber("BTC/USDT")
    first = push("--faults", str(faults))
    send("BTCUSDT", "1")
    assert client.receive(20)["price"] == 1
    assert first.wait(10) == 9
    push("--faults", str(faults))
    send("BTCUSDT", "2")
    assert [client.receive(20)["price"] for _ in range(2)] == [1, 2]
    assert client.is_silent()


def test_the_http_api_lists_symbols_and_refuses_by_name(gateway):
    body = requests.get(f"{gateway.api}/api/symbols", timeout=10).json()
    assert body["success"]
    assert {one["ticker"] for one in body["symbols"]} >= {"BTCUSDT", "ETHUSDT"}
    answer = requests.get(f"{gateway.api}/api/archive?exchange=binance", timeout=10)
    assert answer.status_code == 400
    assert answer.json() == {
        "success": False,
        "error": {"code": "VALIDATION_ERROR", "message": "the parameter 'ticker' is missing"},
    }
