"""Context values: defaults that work, and one sentence for each that does not."""

import pytest
import yaml

from container_worker.variables import DEFAULTS
from functions.settings import read_settings as read_functions
from infra.settings import KEYS, MAX_STREAMS_BYTES, SIZES, read_settings
from marketdata.errors import SettingsError
from marketdata.topics import TOPICS


@pytest.fixture
def root(tmp_path):
    """A folder with what a deployment needs to find."""
    (tmp_path / "build" / "functions" / "functions").mkdir(parents=True)
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "streams.yaml").write_text("streams: [{queue_id: one}]\n")
    return tmp_path


def faults(context, root):
    with pytest.raises(SettingsError) as caught:
        read_settings(context, root)
    return list(caught.value.faults)


def test_nothing_given_is_the_small_size_with_role_sign_in_and_kept_data(root):
    settings = read_settings({}, root)
    assert settings.size == SIZES["small"]
    assert settings.kafka_auth == "iam"
    assert not settings.scram
    assert settings.retain
    assert not settings.access_logs
    assert settings.storage_gb == 50
    assert settings.streams == "streams: [{queue_id: one}]\n"
    assert settings.exchanges.ports == (443, 9443)
    assert settings.exchanges.captured == frozenset()


def test_every_key_is_read(root):
    (root / "mine.yaml").write_text("streams: [{queue_id: two, exchange: stockbit}]\n")
    (root / "staged" / "functions").mkdir(parents=True)
    given = {
        "access_logs": True,
        "alarm_email": "someone@example.org",
        "availability_zones": "r-1a, r-1b,r-1c",
        "binance_rest_url": "https://api.example.org",
        "binance_ws_url": "wss://stream.example.org:7443/ws",
        "blockchain_rest_url": "https://b.example.org",
        "blockchain_ws_url": "wss://b.example.org/ws",
        "broker_storage_gb": 99,
        "coinbase_rest_url": "https://c.example.org:8444",
        "coinbase_ws_url": "wss://c.example.org",
        "stellar_auth_secret": "arn:aws:secretsmanager:r-1:111122223333:secret:node-AbCdEf",
        "stellar_filters": '[{"type":"contract"}]',
        "stellar_poll_seconds": 2,
        "stellar_rpc_url": "https://s.example.org",
        "stellar_start_ledger": "2000000",
        "stockbit_rest_url": "https://k.example.org",
        "stockbit_wire": "channel",
        "stockbit_ws_url": "wss://k.example.org/ws",
        "functions": "staged",
        "image": "example/worker:1",
        "kafka_auth": "scram",
        "on_delete": "destroy",
        "page_origin": "http://localhost:5173",
        "size": "standard",
        "streams": "mine.yaml",
        "open_ws": True,
        "rate_all": "true",
        "max_queue_size": 10_000,
        "ring_seconds": "60",
        "ring_topics": "events, ticks",
        "candle_sources": "binance",
        "connections_per_key": 3,
        "rate_per_minute": 30,
        "rate_burst": 5,
    }
    assert set(given) == set(KEYS)
    settings = read_settings(given, root)
    assert settings.size == SIZES["standard"]
    assert settings.scram
    assert settings.access_logs
    assert not settings.retain
    assert settings.page_origin == "http://localhost:5173"
    assert settings.storage_gb == 99
    assert settings.availability_zones == ("r-1a", "r-1b", "r-1c")
    assert settings.functions == root / "staged"
    assert settings.exchanges.ports == (443, 7443, 8444, 9443)
    assert settings.exchanges.captured == {"stockbit"}
    assert settings.exchanges.stellar_auth_secret.endswith("node-AbCdEf")
    variables = settings.exchanges.variables
    assert variables["STELLAR_FILTERS"] == '[{"type":"contract"}]'
    assert variables["STELLAR_POLL_SECONDS"] == "2"
    assert variables["STOCKBIT_WIRE"] == "channel"
    assert set(variables) < set(DEFAULTS)
    clients = read_functions(settings.clients.variables)
    assert (clients.open_ws, clients.rate_all) == (True, True)
    assert (clients.max_queue_size, clients.ring_seconds) == (10_000, 60)
    assert (clients.ring_topics, clients.candle_sources) == (("events", "ticks"), ("binance",))
    assert clients.max_connections == 3
    assert (clients.rate_per_minute, clients.rate_burst) == (30, 5)
    assert (settings.image, settings.alarm_email) == ("example/worker:1", "someone@example.org")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("open_ws", "yes", "context open_ws=yes: must be true or false"),
        (
            "rate_burst",
            0,
            "context rate_burst=0: must be a whole number from 1 to 1000000",
        ),
        (
            "ring_topics",
            "ticks,trades",
            (
                "context ring_topics=ticks,trades: must be none, or words of events, candles, "
                "ticks, depth, prices"
            ),
        ),
        ("size", "medium", "context size=medium: must be small or standard"),
        ("size", "", "context size=: must be small or standard"),
        ("kafka_auth", "none", "context kafka_auth=none: must be iam or scram"),
        ("access_logs", "yes", "context access_logs=yes: must be false or true"),
        ("on_delete", "keep", "context on_delete=keep: must be retain or destroy"),
        ("alarm_email", "me", "context alarm_email=me: is not an e-mail address"),
        (
            "availability_zones",
            "r-1a,r-1a",
            "context availability_zones=r-1a,r-1a: this size needs 2 different zones",
        ),
        (
            "broker_storage_gb",
            "1.5",
            "context broker_storage_gb=1.5: must be a whole number from 1 to 16384",
        ),
        (
            "broker_storage_gb",
            0,
            "context broker_storage_gb=0: must be a whole number from 1 to 16384",
        ),
        (
            "binance_ws_url",
            "http://example.org",
            "context binance_ws_url=http://example.org: must be a wss:// address",
        ),
        (
            "binance_rest_url",
            "https://example.org:nine",
            "context binance_rest_url=https://example.org:nine: must be a https:// address",
        ),
        ("stockbit_wire", "json", "context stockbit_wire=json: must be flat or channel"),
        (
            "stellar_start_ledger",
            "-1",
            "context stellar_start_ledger=-1: must be a whole number from 0 to 4294967295",
        ),
        (
            "stellar_poll_seconds",
            "0.5",
            "context stellar_poll_seconds=0.5: must be a whole number from 1 to 3600",
        ),
        (
            "stellar_filters",
            "{}",
            "context stellar_filters: must be a JSON list of getEvents filters",
        ),
        (
            "stellar_auth_secret",
            "node",
            "context stellar_auth_secret=node: must be the ARN of a secret",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_is_allowed(key, value, sentence, root):
    assert faults({key: value}, root) == [sentence]


ORIGIN = "must be an origin as a browser names it, https://example.org or http://localhost:5173"


@pytest.mark.parametrize(
    "value",
    [
        *("*", "null", "example.org", "https://", "https://*.example.org", "ftp://example.org"),
        *("https://example.org/", "https://example.org/app", "https://me@example.org"),
        *(
            "https://Example.org",
            "https://example.org:443",
            "https://example.org:",
            "https://[::1",
        ),
        *(
            "https://a.example,https://b.example",
            "https://exämple.org",
            "https://example.org?a",
        ),
        *("https://example.org:99999", "https://example.org:٨", "https://a b.example"),
    ],
)
def test_an_origin_that_no_browser_would_send_is_refused(value, root):
    """API Gateway compares texts: with any of these the page would be refused for ever."""
    assert faults({"page_origin": value}, root) == [f"context page_origin={value}: {ORIGIN}"]


@pytest.mark.parametrize(
    "value", ["", "https://example.org", "http://127.0.0.1:8080", "https://a-b.c.example:8443"]
)
def test_an_origin_is_taken_as_it_is(value, root):
    assert read_settings({"page_origin": value}, root).page_origin == value


def test_an_unknown_key_of_ours_is_refused_and_the_near_one_named(root):
    assert faults({"stream": "x.yaml", "colour": "red"}, root) == [
        "context stream: is no key of this app; did you mean streams?",
        f"context colour: is no key of this app; known are {', '.join(KEYS)}",
    ]


def test_keys_of_the_cdk_itself_are_left_alone(root):
    context = {
        "@aws-cdk/aws-iam:minimizePolicies": True,
        "aws:cdk:enable-path-metadata": True,
        "availability-zones:account=1:region=r": ["r-1a"],
    }
    assert read_settings(context, root).size.name == "small"


def test_all_faults_are_told_at_once(root):
    context = {"size": "tall", "kafka_auth": "tls", "alarm_email": "@", "page_origin": "*"}
    assert len(faults(context, root)) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read as YAML"),
        ("streams: [", "cannot be read as YAML"),
        ("", "has no list `streams`"),
        ("streams: []", "has no list `streams`"),
        (f"streams: [{{queue_id: {'x' * MAX_STREAMS_BYTES}}}]", "is over 32768 bytes"),
    ],
)
def test_a_streams_file_that_cannot_be_deployed_is_refused(content, words, root):
    if content is not None:
        (root / "bad.yaml").write_text(content)
    (fault,) = faults({"streams": "bad.yaml"}, root)
    assert fault.startswith("context streams: ")
    assert "bad.yaml" in fault
    assert words in fault


def test_without_staged_functions_the_command_that_stages_them_is_named(root):
    (fault,) = faults({"functions": "nowhere"}, root)
    assert "nowhere" in fault
    assert "python -m infra.build_functions" in fault


def test_a_size_never_asks_for_more_insync_replicas_than_survive_one_broker():
    for size in SIZES.values():
        assert size.min_insync == size.replication - 1
        assert size.replication <= size.brokers


def test_the_partitions_of_all_topics_fit_the_brokers():
    allowed = {"kafka.t3.small": 300, "kafka.m7g.large": 1000}
    offsets_topic = 50
    for size in SIZES.values():
        partitions = sum(topic.partitions for topic in TOPICS.values()) + offsets_topic
        a_broker = partitions * size.replication / size.brokers
        assert a_broker <= allowed[size.broker_type] / 2


def test_the_streams_that_are_deployed_by_default_are_a_streams_file():
    from infra.build_functions import ROOT  # noqa: PLC0415

    document = yaml.safe_load((ROOT / "infra" / "streams.yaml").read_text())
    (stream,) = document["streams"]
    assert set(stream) == {"queue_id", "exchange", "tickers", "types"}
