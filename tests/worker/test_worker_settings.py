"""Settings: every fault is named at once, near-misses too; the documents list all variables."""

import re
from pathlib import Path

import pytest

from container_worker import settings
from container_worker.variables import DEFAULTS, near_misses
from functions import settings as function_settings
from marketdata.errors import SettingsError

JOB = {
    "QUEUE_ID": "wf-ws-orderbook-20240801-a1b2c3",
    "SYMBOL": "BTCUSDT",
    "TYPE": "ws_depth",
    "KAFKA_TOPIC": "wf-ws-orderbook-20240801-a1b2c3-data",
    "TELEMETRY_PRODUCER_ID": "loader-ws-orderbook__a1b2c3",
    "KAFKA_BOOTSTRAP_SERVERS": "kafka-bootstrap.kafka:9093",
}


def faults_of(read, variables):
    with pytest.raises(SettingsError) as raised:
        read(variables)
    return raised.value.faults


def test_the_documents_six_required_variables_are_enough_for_a_job():
    job = settings.read_job(JOB)
    assert job.kafka.bootstrap_servers == "kafka-bootstrap.kafka:9093"
    assert job.kafka.auth == "none"
    assert job.exchanges.endpoints["binance"].ws == "wss://stream.binance.com:9443/ws"
    assert job.exchanges.endpoints["binance"].rest == "https://api.binance.com"
    assert job.queue.control_topic == "queue-control"
    assert job.queue.events_topic == "queue-events"


@pytest.mark.parametrize("name", JOB)
def test_each_required_variable_is_named_when_it_is_missing_or_blank(name):
    for variables in ({k: v for k, v in JOB.items() if k != name}, JOB | {name: "  "}):
        [fault] = faults_of(settings.read_job, variables)
        assert fault.startswith(f"{name} is missing")


def test_all_faults_are_named_at_once():
    variables = {
        "QUEUEID": "x",
        "TYPE": "ws_dept",
        "KAFKA_TOPIC": "a topic",
        "KAFKA_BOOTSTRAP_SERVER": "host:9092",
        "BINANCE_WS_URL": "https://example.com",
        "KAFKA_BUFFER_MB": "lots",
        "CA_PATH": "/no/such/file.crt",
        "KAFKA_AUTH": "scram",
    }
    text = "\n".join(faults_of(settings.read_job, variables))
    for expected in (
        "QUEUEID is not a variable of ours: did you mean QUEUE_ID?",
        "KAFKA_BOOTSTRAP_SERVER is not a variable of ours: did you mean KAFKA_BOOTSTRAP_",
        "QUEUE_ID is missing",
        "SYMBOL is missing",
        "TELEMETRY_PRODUCER_ID is missing",
        "KAFKA_BOOTSTRAP_SERVERS is missing",
        "did you mean ws_depth?",
        "KAFKA_TOPIC: 'a topic'",
        "BINANCE_WS_URL: 'https://example.com'",
        "KAFKA_BUFFER_MB: 'lots'",
        "CA_PATH: there is no file '/no/such/file.crt'",
        "KAFKA_USER_PRODUCER is missing",
        "KAFKA_PASSWORD_PRODUCER is missing",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_BOOTSTAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
        ("QUEUEID", "QUEUE_ID"),
        ("queue_id", "QUEUE_ID"),
        ("SYMBOLS", "SYMBOL"),
        ("TYPES", "TYPE"),
        ("KAFKA_TOPICS", "KAFKA_TOPIC"),
        ("TELEMETRY_PRODUCER", "TELEMETRY_PRODUCER_ID"),
        ("BINANCE_URL", "BINANCE_WS_URL"),
        ("ARCHIVE_BUKET", "ARCHIVE_BUCKET"),
        ("KAFKA_PASSWORD_PRODUCERS", "KAFKA_PASSWORD_PRODUCER"),
    ],
)
def test_a_near_miss_is_recognised(name, meant):
    assert near_misses([name]) == [(name, meant)]


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "CPATH", "HOME", "TERM", "LANG", "HOSTNAME", "PYTHONPATH", "TZ", "_"),
        *("AWS_REGION", "AWS_ENDPOINT_URL_S3", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        *("CONNECTIONS_TABLE", "KEYS_TABLE", "CALLBACK_URL_STREAM", "KAFKA_HEAP_OPTS"),
        *("KAFKA_BOOTSTRAP_SERVICE_HOST", "KAFKA_BOOTSTRAP_PORT_9093_TCP_ADDR"),
        *("KAFKA_BOOTSTRAP_SERVICE_PORT_TLS", "KAFKA_BOOTSTRAP_PORT", "KAFKA_USER_CONSUMER"),
        *("ECS_CONTAINER_METADATA_URI_V4", "KUBERNETES_PORT_443_TCP"),
    ],
)
def test_what_is_not_ours_is_left_alone(name):
    assert near_misses([name]) == []


def test_a_user_means_scram_and_the_password_stays_out_of_every_text():
    variables = JOB | {"KAFKA_USER_PRODUCER": "u", "KAFKA_PASSWORD_PRODUCER": "s3cret "}
    job = settings.read_job(variables)
    assert (job.kafka.auth, job.kafka.password) == ("scram", "s3cret ")
    assert "s3cret" not in repr(job)
    [fault] = faults_of(settings.read_job, {**variables, "KAFKA_USER_PRODUCER": ""})
    assert "s3cret" not in fault


@pytest.mark.parametrize(
    "servers", ["kafka", "kafka:", "kafka:0", "kafka:70000", "http://k:1", ":9"]
)
def test_a_broker_is_host_and_port(servers):
    [fault] = faults_of(settings.read_job, JOB | {"KAFKA_BOOTSTRAP_SERVERS": servers})
    assert fault.endswith("is not host:port")


def test_several_brokers_and_ipv6_are_taken():
    variables = JOB | {"KAFKA_BOOTSTRAP_SERVERS": "a:1, b.c:2,[::1]:3"}
    assert settings.read_job(variables).kafka.bootstrap_servers == "a:1,b.c:2,[::1]:3"


def test_a_job_may_not_write_into_an_archived_topic():
    [fault] = faults_of(settings.read_job, JOB | {"KAFKA_TOPIC": "orderbook"})
    assert "needs its own" in fault


def test_a_cluster_arn_stands_in_for_brokers_and_gives_the_region():
    arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/tape/abc"
    variables = {"KAFKA_CLUSTER_ARN": arn, "KAFKA_AUTH": "iam"}
    assert settings.read_derive(variables).kafka.region == "eu-west-1"
    servers = {"KAFKA_BOOTSTRAP_SERVERS": "b:9098", "KAFKA_AUTH": "iam"}
    [fault] = faults_of(settings.read_derive, servers)
    assert fault.startswith("AWS_REGION is missing")


def test_archive_needs_its_bucket_and_bounds_its_numbers():
    servers = {"KAFKA_BOOTSTRAP_SERVERS": "b:9092"}
    [fault] = faults_of(settings.read_archive, servers)
    assert fault == "ARCHIVE_BUCKET is missing: the bucket of the archive"
    good = servers | {"ARCHIVE_BUCKET": "tapedeck"}
    assert settings.read_archive(good).flush_seconds == 60
    for text in ("0", "-1", "nan", "1e9", "soon"):
        [fault] = faults_of(settings.read_archive, good | {"ARCHIVE_FLUSH_SECONDS": text})
        assert fault.startswith("ARCHIVE_FLUSH_SECONDS")


KEEP = {
    "KAFKA_BOOTSTRAP_SERVERS": "b:9092",
    "CONNECTIONS_TABLE": "connections",
    "RING_TABLE": "ring",
    "KEYS_TABLE": "keys",
    "CALLBACK_URL_WS": "https://h/ws/",
}


def test_keep_needs_its_tables_and_one_stage_and_keeps_those_that_have_an_address():
    kept = settings.read_keep(KEEP)
    assert kept.callback_urls == {"ws": "https://h/ws"}
    assert (kept.times.register_s, kept.times.pong_s, kept.times.idle_s) == (10, 30, 300)
    for name in ("CONNECTIONS_TABLE", "RING_TABLE", "KEYS_TABLE"):
        [fault] = faults_of(settings.read_keep, {**KEEP, name: ""})
        assert fault.startswith(f"{name} is missing")
    [fault] = faults_of(settings.read_keep, {**KEEP, "CALLBACK_URL_WS": ""})
    assert fault.startswith("CALLBACK_URL_STREAM is missing")


def test_keep_bounds_its_times_and_its_lease_outlasts_some_sweeps():
    for name in ("PERIOD", "REGISTER", "PONG", "IDLE", "TOUCH", "LIFE", "RECONNECT"):
        for text in ("-1", "nan", "1e9", "soon"):
            [fault] = faults_of(settings.read_keep, {**KEEP, f"KEEP_{name}_S": text})
            assert fault.startswith(f"KEEP_{name}_S")
    [fault] = faults_of(settings.read_keep, {**KEEP, "KEEP_TAKEOVER_S": "5"})
    assert fault == "KEEP_TAKEOVER_S: 5 is less than 3 times KEEP_PERIOD_S"


OF_THE_FUNCTIONS = {
    *function_settings.VARIABLES.values(),
    *function_settings.SWITCHES.values(),
    *(name for name, *_ in function_settings.NUMBERS.values()),
    *(name for name, _ in function_settings.LISTS.values()),
}


def test_no_variable_of_the_functions_looks_like_a_mistake_in_one_of_ours():
    assert near_misses(OF_THE_FUNCTIONS) == []


PAGE = (Path(__file__).parents[2] / "docs/settings.md").read_text(encoding="utf-8")


def section(title):
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_page_of_settings_lists_every_variable_with_its_default():
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| ([^|]+) \| (.+) \|$", section("The container"), re.MULTILINE
    )
    listed = {name: default.strip().strip("`") for name, default, _ in rows}
    fixed = {name: default for name, default in DEFAULTS.items() if default}
    assert set(listed) == set(DEFAULTS)
    assert {name: default for name, default in listed.items() if name in fixed} == fixed


def test_the_page_of_settings_lists_the_functions_variables():
    cells = re.findall(r"^\| (`[A-Z_`, ]+`) \|", section("The functions"), re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"[A-Z_]+", cell)}
    assert listed == OF_THE_FUNCTIONS - {"AWS_REGION"}
