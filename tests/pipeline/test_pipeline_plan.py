"""The stack of a pipeline: only what the file asks for, and each secret in one process."""

from pathlib import Path

import pytest

from container_worker import streams_file
from local.pipeline_file import parse
from local.pipeline_plan import (
    FACTS,
    PipelineStack,
    plan,
    ports_of,
    stack_settings,
    streams_yaml,
    urls,
)
from local.stack_plan import ServerCommands
from local.stack_settings import PRIVATE_PORTS, PUBLIC_PORTS

FREE = range(20_001, 20_001 + len(PUBLIC_PORTS) + len(PRIVATE_PORTS))
SERVERS = ServerCommands(("kafka",), ("dynamodb",), ("s3",))
SOURCE = """\
pipelines:
  Two words:
    source:
      type: RPCSourceAdapter
      config:
        rpc_url: "http://127.0.0.1:9000/node?key=open+sesame"
        auth_header: "Bearer sesame"
        start_ledger: 7
        poll_interval: 0.5
        filters: [{type: contract, topics: [["**"]]}]
        pagination: {limit: 200}
        xdrFormat: base64
    consumers:
"""
CLIENTS = """\
      - type: SaveToWebSocket
        config: {port: 8090, path: /events, max_queue_size: 5000}
"""
DATABASES = """\
      - type: SaveToPostgreSQL
        config: {database: one, username: me, password: the first sesame}
      - type: SaveToPostgreSQL
        config: {host: db.example, port: 6432, database: two, username: you, table: s.moves}
"""


def stack_of(consumers):
    [pipeline] = parse(SOURCE + consumers, "file.yaml")
    settings = stack_settings(Path("/data"), "127.0.0.1")
    return PipelineStack(pipeline, settings, Path("file.yaml"))


def planned(consumers, inherited=None):
    stack = stack_of(consumers)
    ports = ports_of(stack.pipeline, FREE)
    return {one.name: one for one in plan(stack, ports, SERVERS, inherited or {})}


def test_the_pipeline_has_the_stages_that_its_consumers_need_and_no_other():
    assert set(planned(DATABASES)) == {"kafka", "dynamodb", "capture", "postgres", "postgres-2"}
    assert set(planned(CLIENTS)) == {"kafka", "dynamodb", "capture", "gateway", "push", "keep"}


@pytest.mark.parametrize("consumers", [CLIENTS, DATABASES, CLIENTS + DATABASES])
def test_everything_that_a_stage_needs_is_there(consumers):
    stages = planned(consumers)
    for stage in stages.values():
        assert set(stage.needs) <= set(stages) | FACTS


def test_capture_asks_the_node_as_the_file_says():
    env = planned(DATABASES, {"STELLAR_POLL_SECONDS": "9"})["capture"].command.env
    assert {name: one for name, one in env.items() if name.startswith("STELLAR_")} == {
        "STELLAR_RPC_URL": "http://127.0.0.1:9000/node?key=open+sesame",
        "STELLAR_AUTH_HEADER": "Bearer sesame",
        "STELLAR_START_LEDGER": "7",
        "STELLAR_POLL_SECONDS": "0.5",
        "STELLAR_FILTERS": '[{"type":"contract","topics":[["**"]]}]',
        "STELLAR_PAGE_LIMIT": "200",
        "STELLAR_XDR_FORMAT": "base64",
    }


def test_a_secret_is_in_the_environment_of_its_own_process_and_nowhere_else():
    stack, stages = stack_of(CLIENTS + DATABASES), planned(CLIENTS + DATABASES)
    with_secret = {name for name, one in stages.items() if "sesame" in str(one.command.env)}
    assert with_secret == {"capture", "postgres"}
    assert "first sesame" not in str(stages["capture"].command.env)
    assert "Bearer" not in str(stages["postgres"].command.env)
    assert not any("sesame" in str(one.command.argv) for one in stages.values())
    told = [repr(stack), streams_yaml(stack.pipeline)]
    told.append(str(urls(stack, ports_of(stack.pipeline, FREE))))
    assert "sesame" not in "".join(told)


def test_a_password_that_the_file_leaves_out_is_taken_from_pgpassword():
    stages = planned(DATABASES, {"PGPASSWORD": "from outside"})
    passwords = [stages[name].command.env["POSTGRES_PASSWORD"] for name in sorted(stages)[-2:]]
    assert passwords == ["the first sesame", "from outside"]


def test_each_database_is_filled_by_a_process_and_group_of_its_own():
    env = planned(DATABASES)["postgres-2"].command.env
    assert (env["POSTGRES_HOST"], env["POSTGRES_PORT"]) == ("db.example", "6432")
    assert (env["POSTGRES_DATABASE"], env["POSTGRES_USER"]) == ("two", "you")
    assert (env["POSTGRES_TABLE"], env["POSTGRES_GROUP"]) == ("s.moves", "postgres-2")


def test_clients_find_the_port_the_path_and_the_queue_of_the_file():
    stages, stack = planned(CLIENTS), stack_of(CLIENTS)
    gateway = stages["gateway"]
    argv = gateway.command.argv
    assert argv[argv.index("--api-port") + 1] == "8090"
    assert argv[argv.index("--ws-path") + 1] == "/events"
    assert gateway.port == 8090
    for name in ("gateway", "push"):
        assert stages[name].command.env["MAX_QUEUE_SIZE"] == "5000"
    found = urls(stack, ports_of(stack.pipeline, FREE))
    assert found["ws"] == "ws://127.0.0.1:8090/events"
    assert found["stellar_rpc"] == "http://127.0.0.1:9000"


def test_the_streams_file_is_one_that_capture_takes():
    text = streams_yaml(stack_of(CLIENTS).pipeline)
    [wish] = streams_file.parse(text, "streams.yaml")
    assert (wish.queue_id, wish.exchange, wish.tickers) == ("Two-words", "stellar", ("events",))
