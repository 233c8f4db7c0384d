"""The stack of one pipeline: which processes, with which settings, and where it is found.

Pure: a pipeline, settings and ports in, lists out. The stages that `tapedeck up` has too are
taken from its plan.

    Pipeline ─► environment, [Stage], [fact], urls
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from container_worker.exchanges.stellar.subscribe import EXCHANGE, TICKER
from container_worker.postgres.settings import DatabaseSettings
from local import stack_plan
from local.pipeline_file import Pipeline
from local.processes import Command
from local.stack_plan import STREAMS, TABLES, TOPICS, URL_NAMES, ServerCommands, Stage
from local.stack_settings import LIVE, PRIVATE_PORTS, PUBLIC_PORTS, StackSettings
from marketdata.topics import CONTRACT_EVENTS

MODE = "pipeline"
"""What the run file and `tapedeck status` call it."""

ALWAYS = frozenset({"kafka", "dynamodb", "capture"})
FOR_CLIENTS = frozenset({"gateway", "push", "keep"})
FACTS = frozenset({TOPICS, TABLES, STREAMS})
_WS_PORT = "api"
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class PipelineStack:
    """One start of a pipeline; `password` is for databases whose consumer names none."""

    pipeline: Pipeline
    settings: StackSettings
    file: Path

    @property
    def stage_names(self) -> frozenset[str]:
        """The stages that it has in common with `tapedeck up`."""
        return ALWAYS | FOR_CLIENTS if self.pipeline.websocket else ALWAYS


def stack_settings(data: Path, host: str) -> StackSettings:
    """The settings of `tapedeck up --live`, with the streams of a pipeline."""
    return StackSettings(
        data=data,
        mode=LIVE,
        streams=data / "run" / "streams.yaml",
        free_ports=True,
        host=host,
    )


def streams_yaml(pipeline: Pipeline) -> str:
    """The streams file that capture is given."""
    letters = (one if one.isalnum() or one in "-_." else "-" for one in pipeline.name)
    stream = {
        "queue_id": "".join(letters)[:_LONGEST_ID],
        "exchange": EXCHANGE,
        "tickers": [TICKER],
        "types": [CONTRACT_EVENTS],
    }
    return msgspec.json.encode({"streams": [stream]}).decode()


def ports_of(pipeline: Pipeline, free: Sequence[int]) -> dict[str, int]:
    """All ports of `tapedeck up`: free ones, but that of the clients is the file's."""
    ports = dict(zip((*PUBLIC_PORTS, *PRIVATE_PORTS), free, strict=True))
    if pipeline.websocket:
        ports[_WS_PORT] = pipeline.websocket.port
    return ports


def plan(
    stack: PipelineStack,
    ports: Mapping[str, int],
    servers: ServerCommands,
    inherited: Mapping[str, str],
) -> list[Stage]:
    """Every process of the pipeline.

    What is for the node reaches capture alone, a password its own stage alone.
    """
    source = stack.pipeline.source
    kept = {name: one for name, one in inherited.items() if not name.startswith("STELLAR_")}
    credentials = {
        "STELLAR_RPC_URL": source.rpc_url,
        "STELLAR_AUTH_HEADER": source.auth_header,
        "STELLAR_START_LEDGER": source.start_ledger,
        "STELLAR_POLL_SECONDS": source.poll_seconds,
        "STELLAR_FILTERS": source.filters.decode(),
        "STELLAR_PAGE_LIMIT": source.page_limit,
        "STELLAR_XDR_FORMAT": source.xdr_format,
    }
    known = stack_plan.plan(stack.settings, ports, servers, kept, credentials)
    stages = [_adapted(stack, one) for one in known if one.name in stack.stage_names]
    env = stack_plan.child_environment(stack.settings, ports, kept)
    return stages + [
        _saving(number, database, env, inherited)
        for number, database in enumerate(stack.pipeline.databases, 1)
    ]


def _adapted(stack: PipelineStack, stage: Stage) -> Stage:
    """A stage of `tapedeck up` without what the pipeline does not have."""
    needs = tuple(need for need in stage.needs if need in stack.stage_names | FACTS)
    command = stage.command
    consumer = stack.pipeline.websocket
    if consumer and stage.name in FOR_CLIENTS:
        more = {"MAX_QUEUE_SIZE": str(consumer.max_queue_size)}
        command = replace(command, env={**command.env, **more})
    if consumer and stage.name == "gateway":
        command = replace(command, argv=(*command.argv, "--ws-path", consumer.path))
    return replace(stage, command=command, needs=needs)


def _saving(
    number: int,
    database: DatabaseSettings,
    env: Mapping[str, str],
    inherited: Mapping[str, str],
) -> Stage:
    """The process that saves to one database; each has a consumer group of its own."""
    name = "postgres" if number == 1 else f"postgres-{number}"
    variables = {
        "POSTGRES_HOST": database.host,
        "POSTGRES_PORT": str(database.port),
        "POSTGRES_DATABASE": database.database,
        "POSTGRES_USER": database.user,
        "POSTGRES_PASSWORD": database.password or inherited.get("PGPASSWORD", ""),
        "POSTGRES_SSLMODE": database.sslmode,
        "POSTGRES_TABLE": database.table,
        "POSTGRES_GROUP": name,
    }
    argv = (sys.executable, "-m", "container_worker.postgres")
    return Stage(Command(name, argv, {**env, **variables}), needs=(TOPICS,), end=3)


def urls(stack: PipelineStack, ports: Mapping[str, int]) -> dict[str, str | None]:
    """The addresses of `tapedeck status --json`; of the node only what cannot be a secret."""
    host = stack.settings.address
    consumer = stack.pipeline.websocket
    found: dict[str, str | None] = dict.fromkeys(URL_NAMES)
    found["kafka"] = f"{host}:{ports['kafka']}"
    found["dynamodb"] = f"http://{host}:{ports['dynamodb']}"
    found["stellar_rpc"] = origin(stack.pipeline.source.rpc_url)
    if consumer:
        found["ws"] = f"ws://{host}:{ports[_WS_PORT]}{consumer.path}"
    return found


def origin(url: str) -> str:
    """Scheme, host and port of a URL: its path and query may hold a key."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"
