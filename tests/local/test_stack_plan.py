"""The plan of a stack: who waits for whom, who ends first, and what each gets to know."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from container_worker import streams_file
from container_worker.exchanges import REGISTRY
from container_worker.variables import DEFAULTS
from local.exchanges.port_table import PORT_NAMES
from local.exchanges.port_table import PORTS as PORTS_OF
from local.exchanges.registry import simulator
from local.replayed_streams import Replayed, streams_yaml
from local.stack_exchanges import credentials
from local.stack_plan import (
    BUCKET,
    STREAMS,
    TABLES,
    TOPICS,
    URL_NAMES,
    ServerCommands,
    child_environment,
    plan,
    urls,
)
from local.stack_settings import (
    DEMO_STREAMS,
    PUBLIC_PORTS,
    StackSettings,
    choose_ports,
    public_ports,
)

SERVERS = ServerCommands(("kafka",), ("dynamodb",), ("s3",))
PORTS = PUBLIC_PORTS | {"s3_private": 1, "kafka_controller": 2, "exchanges": 3}
CREDENTIALS = {"STOCKBIT_TOKEN": "token of a test"}
REPLAY = {"mode": "replay", "recordings": (Path("/r/one"), Path("/r/two"))}


def settings(**changes):
    return StackSettings(data=Path("/data"), **changes)


def planned(inherited=None, **changes):
    stages = plan(settings(**changes), PORTS, SERVERS, inherited or {}, CREDENTIALS)
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
        "STOCKBIT_TOKEN": "secret",
        "STELLAR_AUTH_HEADER": "secret",
        "COINBASE_WS_URL": "wss://elsewhere",
    }
    environment = child_environment(settings(), PORTS, inherited)
    assert "secret" not in environment.values()
    assert not {"AWS_PROFILE", "QUEUE_ID"} & set(environment)
    assert environment["PATH"] == "/bin"
    assert environment["NO_PROXY"] == "inside,127.0.0.1,localhost"
    assert environment["ARCHIVE_FLUSH_SECONDS"] == "1"
    assert environment["AWS_ACCESS_KEY_ID"] == "local"
    assert environment["COINBASE_WS_URL"] == "ws://127.0.0.1:19445"


def test_credentials_reach_capture_alone():
    for name, stage in planned().items():
        has = "STOCKBIT_TOKEN" in stage.command.env
        assert has == (name == "capture"), name


def test_a_simulated_stockbit_gets_a_made_token_and_a_live_one_the_users():
    own = {"STOCKBIT_TOKEN": "mine", "STELLAR_AUTH_HEADER": "Key: mine"}
    made = credentials(["stockbit"], own, live=False, now_s=1_900_000_000)
    assert set(made) == {"STOCKBIT_TOKEN"}
    assert made["STOCKBIT_TOKEN"].count(".") == 2
    assert credentials(["coinbase"], own, live=False, now_s=1) == {}
    assert credentials([], own, live=True, now_s=1) == own


def test_a_live_stack_has_the_exchanges_own_addresses_or_the_users():
    live = settings(mode="live")
    assert live.exchanges == ()
    environment = child_environment(live, PORTS, {})
    assert not [name for name in environment if name.startswith(("BINANCE_", "STELLAR_"))]
    own = urls(live, PORTS, {})
    assert own["binance_ws"] == "wss://stream.binance.com:9443"
    assert own["binance_rest"] == "https://api.binance.com"
    assert own["stellar_rpc"] == DEFAULTS["STELLAR_RPC_URL"]
    us = {"BINANCE_REST_URL": "https://api.binance.us", "STELLAR_FILTERS": "[]"}
    assert child_environment(live, PORTS, us).items() >= us.items()
    assert urls(live, PORTS, us)["binance_rest"] == "https://api.binance.us"
    assert not set(public_ports(live, PORTS)) & set(PORT_NAMES)


def test_every_exchange_has_its_addresses_with_the_paths_of_its_own():
    served = urls(settings(), PORTS, {})
    environment = child_environment(settings(), PORTS, {})
    for name, port in PORT_NAMES.items():
        assert f":{port}" in served[name]
        variable = f"{name.upper()}_URL"
        assert (
            environment[variable].partition(f":{port}")[2] == urlsplit(DEFAULTS[variable]).path
        )
        assert environment[variable].startswith(served[name])
    argv = planned()["exchanges"].command.argv
    assert argv[argv.index("--stellar-rpc-port") + 1] == "19451"
    assert argv[argv.index("--exchanges") + 1] == ",".join(PORTS_OF)
    assert argv[argv.index("--state") + 1] == "/data/exchanges.json"


def test_a_replay_of_stockbit_is_captured_in_the_wire_format_of_its_recordings():
    users = {"STOCKBIT_WIRE": "flat"}
    told = settings(**REPLAY, replayed=("stockbit",), stockbit_wire="channel")
    assert child_environment(told, PORTS, users)["STOCKBIT_WIRE"] == "channel"
    assert child_environment(settings(), PORTS, users)["STOCKBIT_WIRE"] == "flat"
    assert "STOCKBIT_WIRE" not in child_environment(settings(), PORTS, {})


def test_a_replay_has_the_ports_of_its_recordings_exchanges_alone():
    one = settings(**REPLAY, replayed=("coinbase",))
    assert set(public_ports(one, PORTS)) & set(PORT_NAMES) == {"coinbase_ws", "coinbase_rest"}
    served = urls(one, PORTS, {})
    assert served["coinbase_rest"] == "http://127.0.0.1:19446"
    assert served["binance_ws"] is served["stellar_rpc"] is None
    environment = child_environment(one, PORTS, {})
    assert "BINANCE_WS_URL" not in environment


def test_a_replay_serves_every_recording_and_captures_its_tickers():
    stages = planned(**REPLAY, once=True, speed="max")
    argv = stages["exchanges"].command.argv
    at = argv.index("--replay")
    assert argv[at : at + 4] == ("--replay", "/r/one", "/r/two", "--once")
    assert argv[argv.index("--speed") + 1] == "max"
    assert "--state" not in argv
    assert "/data/run/streams.yaml" in stages["capture"].command.argv


def test_the_demo_captures_every_type_of_every_exchange():
    demo = streams_file.read(DEMO_STREAMS)
    assert {wish.exchange: set(wish.types) for wish in demo} == {
        name: set(adapter.types) for name, adapter in REGISTRY.items()
    }


def test_the_demos_tickers_are_simulated():
    for wish in streams_file.read(DEMO_STREAMS):
        assert set(wish.tickers) <= set(simulator(wish.exchange).default_tickers), wish


def test_the_streams_of_a_replay_have_its_tickers_in_types_that_there_are():
    told = Replayed(["BTCUSDT", "1INCHUSDT"], ["ws_trades"])
    [one] = streams_file.parse(streams_yaml({"binance": told}), "made")
    assert (one.queue_id, one.tickers, one.types) == (
        "replay",
        ("BTCUSDT", "1INCHUSDT"),
        ("ws_trades",),
    )
    every = streams_file.parse(
        streams_yaml({name: Replayed(["1"]) for name in REGISTRY}), "made"
    )
    assert {wish.exchange: set(wish.types) for wish in every} == {
        name: set(adapter.types) for name, adapter in REGISTRY.items()
    }


def test_a_given_streams_file_wins():
    given = planned(streams=Path("/my/streams.yaml"))["capture"]
    assert "/my/streams.yaml" in given.command.argv


def test_everything_listens_on_the_host_that_was_asked_for_and_children_use_loopback():
    stages = planned(host="0.0.0.0")
    assert "0.0.0.0:19000" in stages["s3-lock"].command.argv
    assert "0.0.0.0" in stages["gateway"].command.argv
    environment = stages["capture"].command.env
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:19092"
    assert all(
        url is None or "0.0.0.0" not in url for url in urls(settings(), PORTS, {}).values()
    )


def test_the_addresses_have_every_name_of_the_contract():
    assert tuple(urls(settings(), PORTS, {})) == URL_NAMES


def test_default_ports_are_the_documents_and_free_ones_are_distinct():
    assert PUBLIC_PORTS["api"] == 8080
    assert PUBLIC_PORTS["stream"] == 3000
    free = choose_ports(settings(free_ports=True))
    assert len(set(free.values())) == len(free) == len(PUBLIC_PORTS) + 3
