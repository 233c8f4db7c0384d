"""The plan of a stack: who waits for whom, who ends first, and what each gets to know."""

from pathlib import Path

import pytest
import yaml

from local.stack_plan import (
    BUCKET,
    STREAMS,
    TABLES,
    TOPICS,
    URL_NAMES,
    ServerCommands,
    child_environment,
    plan,
    streams_yaml,
    urls,
)
from local.stack_settings import DEMO_STREAMS, PUBLIC_PORTS, StackSettings, choose_ports

SERVERS = ServerCommands(("kafka",), ("dynamodb",), ("s3",))
PORTS = PUBLIC_PORTS | {"s3_private": 1, "kafka_controller": 2}
REPLAY = {"mode": "replay", "recordings": (Path("/r/one"), Path("/r/two"))}


def settings(**changes):
    return StackSettings(data=Path("/data"), **changes)


def planned(inherited=None, **changes):
    stages = plan(settings(**changes), PORTS, SERVERS, inherited or {})
    return {stage.name: stage for stage in stages}


@pytest.mark.parametrize("changes", [{}, REPLAY, {"mode": "live"}])
def test_everything_that_is_needed_is_a_stage_or_a_fact(changes):
    stages = planned(**changes)
    facts = {TOPICS, TABLES, BUCKET, STREAMS}
    for stage in stages.values():
        assert set(stage.needs) <= set(stages) | facts
    assert ("exchanges" in stages) == (changes.get("mode") != "live")


def test_capture_ends_first_then_what_reads_then_the_servers():
    end = {name: stage.end for name, stage in planned().items()}
    assert end["capture"] < end["derive"] < end["archive"]
    assert end["derive"] < end["push"]
    assert max(end["archive"], end["push"]) < min(end["gateway"], end["exchanges"])
    assert max(end["gateway"], end["exchanges"]) < min(end["kafka"], end["s3-lock"])
    assert end["s3-lock"] < end["s3"]


def test_nothing_of_the_users_own_accounts_reaches_a_process():
    inherited = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "secret",
        "KAFKA_PASSWORD_PRODUCER": "secret",
        "QUEUE_ID": "mine",
        "PATH": "/bin",
        "LC_ALL": "C",
        "HTTPS_PROXY": "http://proxy:1",
        "NO_PROXY": "inside",
        "ARCHIVE_FLUSH_SECONDS": "1",
    }
    environment = child_environment(settings(), PORTS, inherited)
    assert "secret" not in environment.values()
    assert not {"AWS_PROFILE", "QUEUE_ID"} & set(environment)
    assert environment["PATH"] == "/bin"
    assert environment["NO_PROXY"] == "inside,127.0.0.1,localhost"
    assert environment["ARCHIVE_FLUSH_SECONDS"] == "1"
    assert environment["AWS_ACCESS_KEY_ID"] == "local"


def test_a_live_stack_keeps_the_exchanges_own_addresses():
    environment = child_environment(settings(mode="live"), PORTS, {})
    assert "BINANCE_WS_URL" not in environment
    assert urls(settings(mode="live"), PORTS)["binance_rest"] == "https://api.binance.com"


def test_a_replay_serves_every_recording_and_captures_its_tickers():
    stages = planned(**REPLAY, once=True, speed="max")
    argv = stages["exchanges"].command.argv
    at = argv.index("--replay")
    assert argv[at : at + 4] == ("--replay", "/r/one", "/r/two", "--once")
    assert argv[argv.index("--speed") + 1] == "max"
    assert "/data/run/streams.yaml" in stages["capture"].command.argv


def test_streams_of_the_demo_and_of_a_replay_are_whole():
    demo = yaml.safe_load(DEMO_STREAMS.read_text())
    made = yaml.safe_load(streams_yaml(["BTCUSDT", "1INCHUSDT"]))
    assert demo["streams"][0]["tickers"] == ["BTCUSDT", "ETHUSDT"]
    assert made["streams"][0]["tickers"] == ["BTCUSDT", "1INCHUSDT"]
    for streams in (demo, made):
        assert set(streams["streams"][0]) == {"queue_id", "exchange", "tickers", "types"}


def test_a_given_streams_file_wins():
    given = planned(streams=Path("/my/streams.yaml"))["capture"]
    assert "/my/streams.yaml" in given.command.argv


def test_everything_listens_on_the_host_that_was_asked_for_and_children_use_loopback():
    stages = planned(host="0.0.0.0")
    assert "0.0.0.0:19000" in stages["s3-lock"].command.argv
    assert "0.0.0.0" in stages["gateway"].command.argv
    environment = stages["capture"].command.env
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:19092"
    assert all(url is None or "0.0.0.0" not in url for url in urls(settings(), PORTS).values())


def test_the_addresses_have_every_name_of_the_contract():
    assert tuple(urls(settings(), PORTS)) == URL_NAMES


def test_default_ports_are_the_documents_and_free_ones_are_distinct():
    assert PUBLIC_PORTS["api"] == 8080
    assert PUBLIC_PORTS["stream"] == 3000
    free = choose_ports(settings(free_ports=True))
    assert len(set(free.values())) == len(free) == len(PUBLIC_PORTS) + 2
